import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const BLOCK = 4096

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
})
after(() => cluster?.stop())

/** What a node says of its own part in the log; undefined while it does not answer. */
async function controlOf(api: string): Promise<{ role: string; recovering: boolean } | undefined> {
  const response = await fetch(`${api}/v1/local`).catch(() => undefined)
  if (response?.ok !== true) return undefined
  const { control } = (await response.json()) as { control: { role: string; recovering: boolean } | null }
  return control ?? undefined
}

test('a voter whose control log was deleted gives no vote, says so, and votes again once others have filled it', {
  timeout: longest(180_000),
}, async () => {
  const bytes = new Uint8Array(randomBytes(BLOCK))
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  await volume.write(0, bytes)
  await cluster.healthy('demo')
  const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
  const followers = cluster.info.nodes.filter(({ id }) => id !== leader)
  const [lost, other] = followers
  const leading = cluster.info.nodes.find(({ id }) => id === leader)
  assert.ok(lost !== undefined && other !== undefined && leading !== undefined)

  // With the leader down too the remaining voter would lead by the vote of the one that forgot.
  await cluster.kill(lost.id)
  await cluster.kill(leading.id)
  await rm(join(lost.dataDir, 'store', 'control'), { recursive: true })
  cluster.start(lost.id)
  const control = await eventually('it says that it lost its log', async () => {
    const said = await controlOf(lost.api)
    return said?.recovering ? said : undefined
  })
  assert.equal(control.role, 'follower')

  cluster.start(leading.id)
  await cluster.healthy('demo', 120_000)
  await eventually('it has its log again', async () =>
    (await controlOf(lost.api))?.recovering === false ? true : undefined,
  )
  assert.deepEqual(Buffer.from(await volume.read(0, BLOCK)), Buffer.from(bytes))
  // It counts again: with another voter down it is one of the two that are needed.
  await cluster.kill(other.id)
  await volume.write(0, bytes)
})
