import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AshlarError, type ClusterId, type NodeName, type StoreId } from '@ashlar/proto'
import { planRecovery, recoverCluster } from '../../src/rescue/cluster-recovery.ts'
import { openStore, surveyStore } from '../../src/storage/index.ts'
import { helloOf, judgeHello } from '../../src/transport/handshake.ts'

const OLD = '0189aaaa-0000-7000-8000-000000000001' as ClusterId
const OTHER = '0189aaaa-0000-7000-8000-000000000002' as ClusterId

describe('a cluster that is made of what is left of another one', () => {
  let base: string
  const path = (name: string) => join(base, name)

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'ashlar-recovery-'))
    for (const name of ['a', 'b', 'c']) await make(name, OLD)
    await make('foreign', OTHER)
  })
  after(() => rm(base, { recursive: true, force: true }))

  /** A data directory of a voter of a cluster, which no node runs over. */
  async function make(name: string, cluster: ClusterId): Promise<void> {
    const store = await openStore({ directory: path(name), ballastBytes: 0 }, () => {})
    await store.saveCluster(cluster, [{ store: store.identity.store, address: `${name}:7` }], false)
    await store.close()
  }

  it('plans without changing anything', async () => {
    const { cluster, newCluster } = await planRecovery([path('a'), path('b')], undefined)
    assert.deepEqual([cluster, newCluster], [OLD, undefined])
    assert.equal((await surveyStore(path('a'))).cluster, OLD)
  })

  it('has an id of its own, so that two halves of one cluster refuse each other by name', async () => {
    const halves = [await recoverCluster([path('a')], undefined), await recoverCluster([path('b')], undefined)]
    const [one, two] = halves.map(({ newCluster }) => newCluster)
    assert.ok(one !== undefined && two !== undefined && one !== two && one !== OLD && two !== OLD)
    assert.deepEqual(
      halves.map(({ generation }) => generation),
      [1, 1],
      'their epochs are equal',
    )
    const [here, there] = await Promise.all(['a', 'b'].map(identityOf))
    assert.ok(here !== undefined && there !== undefined)
    const refusal = judgeHello(here, helloOf(there))
    assert.match(refusal?.message ?? '', new RegExp(`another cluster: a belongs to ${one}, b to ${two}`))
    await assert.rejects(planRecovery([path('a'), path('b')], undefined), refusedAs(/different clusters/))
  })

  it('may be made once more, with a directory of the old one that was found since or that it did not come to', async () => {
    const { cluster, newCluster } = await recoverCluster([path('a'), path('c')], undefined)
    const [a, c] = await Promise.all(['a', 'c'].map((name) => surveyStore(path(name))))
    assert.deepEqual([a?.cluster, c?.cluster], [newCluster, newCluster])
    assert.deepEqual(
      [a?.formerClusters, c?.formerClusters],
      [
        [OLD, cluster],
        [OLD, cluster],
      ],
    )
  })

  it('is not made of a directory of any other one', async () => {
    await assert.rejects(planRecovery([path('a'), path('foreign')], undefined), refusedAs(/different clusters/))
    await assert.rejects(planRecovery([path('foreign'), path('b')], undefined), refusedAs(/foreign to 0189aaaa/))
  })

  async function identityOf(name: string) {
    const { store, cluster } = await surveyStore(path(name))
    return {
      store: store as StoreId,
      counter: 1,
      name: name as NodeName,
      address: `${name}:7`,
      cluster,
      featureLevel: 0,
    }
  }
})

function refusedAs(message: RegExp) {
  return (error: unknown) => error instanceof AshlarError && error.code === 'USAGE' && message.test(error.message)
}
