import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const BLOCK = 4096
const VOLUME = 'losses'

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ nodes: 4, size: '64Mi' })
  // With one in sync it goes on, so that the one that is left alone is the last that holds every acknowledged write.
  const created = await cluster.cli([
    'volume',
    'create',
    VOLUME,
    '--size',
    '16Mi',
    '--replicas',
    '2',
    '--min-in-sync',
    '1',
  ])
  assert.equal(created.code, 0, created.stderr)
})
after(() => cluster?.stop())

interface Node {
  readonly id: string
  readonly state: string
}

const servers = () => cluster.info.nodes.map((node) => node.peer)

async function write(block: number, value: number): Promise<void> {
  await using client = await connect({ servers: servers(), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume(VOLUME)
  await volume.write(block * BLOCK, new Uint8Array(BLOCK).fill(value))
}

async function read(block: number): Promise<number | undefined> {
  await using client = await connect({ servers: servers(), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume(VOLUME, { mode: 'read-only' })
  return (await volume.read(block * BLOCK, BLOCK))[0]
}

test('an extent whose only in-sync store is lost goes on by force, and its node is declared lost', {
  timeout: longest(240_000),
}, async () => {
  await write(0, 1)
  const [extent] = await cluster.healthy(VOLUME)
  assert.ok(extent !== undefined)
  const replica = extent.replicas.find(({ node }) => node !== extent.primary)
  const victim = cluster.node(extent.primary)
  const behind = cluster.node(replica?.node ?? '')
  const asked = cluster.info.nodes.find(({ id }) => id !== victim.id && id !== behind.id)
  assert.ok(asked !== undefined)
  const server = asked.api
  const cli = (...args: string[]) => cluster.cli(args, { server })

  // 1. The replica is away while a write is acknowledged. 2. The primary dies. 3. The replica is back, and may not
  //    lead.
  await cluster.kill(behind.id)
  await write(0, 2)
  await cluster.kill(victim.id)
  cluster.start(behind.id)
  const stateOf = async (id: string) =>
    (await cluster.json<Node[]>(['node', 'ls'], server)).find((node) => node.id === id)?.state
  await eventually('the primary is down and the replica is up', async () =>
    (await stateOf(victim.id)) === 'down' && (await stateOf(behind.id)) === 'up' ? true : undefined,
  )
  const explained = await cli('explain', 'extent', `${VOLUME}/0`)
  assert.match(explained.stdout, new RegExp(`ashlar extent force-primary ${VOLUME}/0 --node ${behind.id}`))

  const force = ['extent', 'force-primary', `${VOLUME}/0`, '--node', behind.id]
  const report = await cli(...force)
  assert.equal(report.code, 4, report.stderr)
  assert.match(report.stdout, new RegExp(`last write on ${behind.id} is epoch \\d+, seq \\d+`))
  const forced = await cli(...force, '--accept-data-loss')
  assert.equal(forced.code, 0, forced.stderr)
  assert.equal(await read(0), 1, 'what only the other one had is lost')
  await write(1, 3)
  assert.match((await cli('volume', 'describe', VOLUME)).stdout, /Forced: +extent 0: .* not acknowledged yet/)

  const costs = await cli('node', 'lost', victim.id)
  assert.equal(costs.code, 4, costs.stderr)
  assert.match(costs.stdout, /replicas are copied to other nodes in full/)
  const lost = await cli('node', 'lost', victim.id, '--yes')
  assert.equal(lost.code, 0, lost.stderr)
  // Its places went to others at once; a new disk in its node is a new store, and the old one blocks nothing.
  const extents = await cluster.healthy(VOLUME, 120_000, server)
  assert.ok(extents[0]?.replicas.every(({ node }) => node !== victim.id))
  await rm(victim.dataDir, { recursive: true })
  cluster.start(victim.id)
  await eventually('its node is up again', async () => ((await stateOf(victim.id)) === 'up' ? true : undefined))
  assert.deepEqual([await read(0), await read(1)], [1, 3])
  assert.equal((await cli('volume', 'acknowledge-loss', VOLUME)).code, 0)
  await eventually('the volume is healthy', async () => {
    const volumes = await cluster.json<{ name: string; state: string }[]>(['volume', 'ls'], server)
    return volumes.find(({ name }) => name === VOLUME)?.state === 'healthy' ? true : undefined
  })
})
