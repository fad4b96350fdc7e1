import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, readFile, rename, rm } from 'node:fs/promises'
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

interface Local {
  readonly ready: boolean
  readonly reason: string
}

async function localOf(api: string): Promise<Local | undefined> {
  const response = await fetch(`${api}/v1/local`).catch(() => undefined)
  return response?.ok === true ? ((await response.json()) as Local) : undefined
}

test('a voter whose data directory was rolled back on the same boot is refused, then compared, and never believed', {
  timeout: longest(120_000),
}, async () => {
  const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
  const victim = cluster.info.nodes.find(({ id }) => id !== leader)
  const server = cluster.info.nodes.find(({ id }) => id === leader)?.api
  assert.ok(victim !== undefined && server !== undefined)
  const copy = `${victim.dataDir}-before`
  const starts = async () => {
    const nodes = await cluster.json<{ id: string; startCounter: number }[]>(['node', 'ls'], server)
    return nodes.find(({ id }) => id === victim.id)?.startCounter ?? 0
  }
  const before = await starts()
  await cluster.kill(victim.id)
  await cp(victim.dataDir, copy, { recursive: true })
  cluster.start(victim.id)
  // Healthy it may be called before it is missed: control must know a start that the copy lacks.
  await eventually('it registered again', async () => ((await starts()) > before ? true : undefined))
  await cluster.healthy('demo', 60_000, server)

  const bytes = new Uint8Array(randomBytes(BLOCK))
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  await volume.write(0, bytes)

  await cluster.kill(victim.id)
  await rm(victim.dataDir, { recursive: true })
  await rename(copy, victim.dataDir)
  cluster.start(victim.id)
  const { ready, reason } = await eventually('it says that it is refused', async () => {
    const local = await localOf(victim.api)
    return local?.reason.includes('rolled back') === true ? local : undefined
  })
  assert.equal(ready, false)
  assert.match(
    reason,
    /registered with start counter (\d+), but start \1 was seen before: its data directory is a copy/,
  )

  await cluster.kill(victim.id)
  cluster.start(victim.id)
  await cluster.healthy('demo', 60_000, server)
  const [node] = (await cluster.json<{ id: string; trust: string }[]>(['node', 'ls'], server)).filter(
    ({ id }) => id === victim.id,
  )
  assert.equal(node?.trust, 'suspect', 'it was compared, and leads nothing in this incarnation')
  assert.deepEqual(Buffer.from(await volume.read(0, BLOCK)), Buffer.from(bytes))
})

test('two halves of one cluster that are both recovered refuse each other by name', {
  timeout: longest(120_000),
}, async () => {
  const [one, two] = cluster.info.nodes
  assert.ok(one !== undefined && two !== undefined)
  await Promise.all(cluster.info.nodes.map(({ id }) => cluster.kill(id)))
  const ids: string[] = []
  for (const { dataDir } of [one, two]) {
    const done = await cluster.cli(['cluster', 'recover', '--from', dataDir, '--yes', '-o', 'json'])
    assert.equal(done.code, 0, done.stderr)
    ids.push((JSON.parse(done.stdout) as { newCluster: string }).newCluster)
  }
  assert.notEqual(ids[0], ids[1])
  for (const { id } of [one, two]) cluster.start(id)
  const refusal = new RegExp(`another cluster: n\\d belongs to (${ids.join('|')}), n\\d to (${ids.join('|')})`)
  await eventually('one refuses the other, which ends', async () => {
    const logs = await Promise.all(
      [one, two].map(({ id }) => readFile(join(cluster.directory, 'logs', `${id}-again.log`), 'utf8')),
    )
    return logs.some((log) => refusal.test(log)) ? true : undefined
  })
})
