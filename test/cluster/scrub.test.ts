import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { type ExtentId, NODE_ENDS } from '@ashlar/proto'
import { blockKey } from '../../packages/node/src/storage/encoding/keyspace.ts'
import { openLevelDbDriver } from '../../packages/node/src/storage/index.ts'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const BLOCK = 4096
const BLOCKS = 256

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
})
after(() => cluster?.stop())

interface Pass {
  readonly startedAt: string
  readonly blocks: number
  readonly damagedBlocks: number
}

interface Scrub {
  readonly state: string
  readonly last: Pass | null
}

/** Writes other bytes over blocks in the closed database of a node, as a disk that rots does. */
async function rot(dataDir: string, extent: ExtentId, blocks: readonly number[]): Promise<void> {
  const driver = await openLevelDbDriver(join(dataDir, 'store/db'))
  const wrong = new Uint8Array(BLOCK).fill(0xa5)
  const batch = blocks.map((block) => ({ type: 'put' as const, key: blockKey('bytes', extent, block), value: wrong }))
  await driver.apply(batch, 'synced')
  await driver.close()
}

/** Stops a node, lets blocks of its first extent rot, and starts it again until all is in sync. */
async function rotWhileStopped(id: string, blocks: readonly number[]): Promise<void> {
  const [extent] = await cluster.extents('demo', other(id))
  assert.ok(extent !== undefined)
  await cluster.kill(id)
  await rot(cluster.node(id).dataDir, (extent as unknown as { id: ExtentId }).id, blocks)
  await startAgain(id)
}

interface NodeLine {
  readonly id: string
  readonly trust: string
  readonly state: string
  readonly startCounter: number
}

async function nodeLine(id: string): Promise<NodeLine> {
  const nodes = await cluster.json<NodeLine[]>(['node', 'ls'], other(id))
  const line = nodes.find((node) => node.id === id)
  assert.ok(line !== undefined)
  return line
}

/**
 * Starts a node whose process ended. Until it registered its extents still stand as it left them, which says nothing.
 */
async function startAgain(id: string): Promise<void> {
  const { startCounter: before } = await nodeLine(id)
  cluster.start(id)
  await eventually('the node registered in a new incarnation', async () => {
    const { startCounter, state } = await nodeLine(id)
    return startCounter > before && state === 'up' ? true : undefined
  })
  await cluster.healthy('demo', 60_000, other(id))
}

function other(id: string): string {
  const node = cluster.info.nodes.find((candidate) => candidate.id !== id)
  assert.ok(node !== undefined)
  return node.api
}

/** A pass over the store of a node from its beginning to its end. */
async function pass(id: string): Promise<Pass> {
  const server = other(id)
  // One may go on, or be about to: it began before the blocks were looked at.
  const asked = await eventually('no pass goes on', async () => {
    const scrub = await cluster.json<Scrub>(['node', 'scrub', id], server)
    return scrub.state === 'waiting' ? scrub : undefined
  })
  await cluster.json(['node', 'scrub', id, '--start'], server)
  return await eventually('a pass', async () => {
    const { last } = await cluster.json<Scrub>(['node', 'scrub', id], server)
    return last !== null && last.startedAt !== asked.last?.startedAt ? last : undefined
  })
}

test('A2.6: rot on a replica is found by its scrub and repaired from another store, and a rotting disk is not used until compared', {
  timeout: longest(300_000),
}, async () => {
  const written = Array.from({ length: BLOCKS }, () => new Uint8Array(randomBytes(BLOCK)))
  {
    await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
    await using volume = await client.openVolume('demo')
    await Promise.all(written.map((bytes, block) => volume.write(block * BLOCK, bytes)))
  }
  const [extent] = await cluster.healthy('demo')
  const replica = cluster.info.nodes.find(({ id }) => id !== extent?.primary)?.id
  assert.ok(replica !== undefined)

  await rotWhileStopped(replica, [7, 8])
  const damaged = await cluster.cli(['cluster', 'check', '--deep'], { server: other(replica) })
  assert.equal(damaged.code, 8, damaged.stdout)
  assert.match(damaged.stdout, /^State: +repaired\nCompared: +256 blocks of 1 extent, each on 3 replicas$/m)
  const sources = cluster.info.nodes.flatMap(({ id }) => (id === replica ? [] : [id])).join(' or ')
  assert.match(
    damaged.stdout,
    new RegExp(
      `^Problems: +2 damaged blocks on ${replica}, found by this check and repaired from ${sources}: demo/0 blocks 7-8$`,
      'm',
    ),
  )

  await rotWhileStopped(replica, [3, 200])
  const found = await pass(replica)
  assert.deepEqual([found.damagedBlocks, found.blocks], [2, BLOCKS])
  const again = await pass(replica)
  assert.equal(again.damagedBlocks, 0, 'they were repaired')
  const checked = await cluster.cli(['cluster', 'check', '--deep'], { server: other(replica) })
  assert.equal(checked.code, 0, checked.stdout)
  const explained = await cluster.cli(['explain', 'node', replica], { server: other(replica) })
  assert.match(explained.stdout, /the last pass ended .*, 256 blocks read, 0 of them damaged/)
  const metrics = await (await fetch(`${cluster.node(replica).api}/metrics`)).text()
  assert.match(metrics, /^ashlar_recovery_repaired_blocks_total 2$/m)
  assert.match(metrics, /^ashlar_scrub_damaged_blocks_total 2$/m)

  await rotWhileStopped(
    replica,
    Array.from({ length: 40 }, (_, at) => at * 5),
  )
  await cluster.cli(['node', 'scrub', replica, '--start'], { server: other(replica) })
  assert.equal(await cluster.ended(replica), NODE_ENDS['store-suspect'].exit)
  const { ended } = await cluster.json<{ ended: { reason: string } | null }>(
    ['node', 'describe', replica],
    other(replica),
  )
  assert.match(ended?.reason ?? '', /more damaged blocks were repaired/, 'control has why it ended')
  const log = await readFile(join(cluster.directory, 'logs', `${replica}-again.log`), 'utf8')
  assert.match(log, /the store is suspect: more damaged blocks were repaired within an hour than maxRepairsPerHour/)
  await startAgain(replica)
  assert.equal(
    (await pass(replica)).damagedBlocks,
    0,
    'what the first incarnation left was repaired in the second, which kept running',
  )
  await eventually(`${replica} was compared, and is trusted again`, async () =>
    (await nodeLine(replica)).trust === 'trusted' ? true : undefined,
  )
  assert.equal((await cluster.cli(['cluster', 'check', '--deep'], { server: other(replica) })).code, 0)
})
