import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { Prng } from '@ashlar/node/core'
import type { ExtentId } from '@ashlar/proto'
import { blockKey } from '../../packages/node/src/storage/encoding/keyspace.ts'
import { openLevelDbDriver } from '../../packages/node/src/storage/index.ts'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const BLOCK = 4096
/** Two leaves, and a bit of a third. */
const BLOCKS = 600
/** Bits that are flipped. */
const FLIPPED_BLOCKS = 20
const FLIPPED_VERSIONS = 3
/** In a table a value follows its key and 8 bytes of LevelDB's. */
const VALUE_AT = 11 + 8
const VERSION_BYTES = 20

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
})
after(() => cluster?.stop())

/** Writes every block of `written`, over what was there. */
async function writeAll(written: readonly Uint8Array[]): Promise<void> {
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  await Promise.all(written.map((bytes, block) => volume.write(block * BLOCK, bytes)))
}

async function assertHeld(written: readonly Uint8Array[]): Promise<void> {
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  for (const [block, bytes] of written.entries())
    assert.ok(Buffer.from(bytes).equals(await volume.read(block * BLOCK, BLOCK)), `block ${block} is what was written`)
}

/** Makes tables of what a killed node left in its log, and flips bits in bytes of blocks and in versions. */
async function damageTables(
  dataDir: string,
  extent: ExtentId,
  written: readonly Uint8Array[],
  random: () => number,
): Promise<void> {
  const database = join(dataDir, 'store/db')
  await (await openLevelDbDriver(database)).close()
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  for (const name of (await readdir(database)).filter((file) => file.endsWith('.ldb'))) {
    const table = await readFile(join(database, name))
    const flip = (at: number) => {
      table[at] = (table[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    }
    const places = (wanted: (block: number) => Uint8Array) =>
      written.map((_, block) => table.indexOf(wanted(block))).filter((at) => at >= 0)
    const blocks = places((block) => (written[block] as Uint8Array).subarray(0, 16))
    // Every sixteenth key of a table block is there as a whole.
    const versions = places((block) => blockKey('version', extent, block))
    if (blocks.length === 0 || versions.length === 0) continue
    for (let n = 0; n < FLIPPED_BLOCKS; n++) flip(pick(blocks) + Math.floor(random() * BLOCK))
    for (let n = 0; n < FLIPPED_VERSIONS; n++) flip(pick(versions) + VALUE_AT + Math.floor(random() * VERSION_BYTES))
    return await writeFile(join(database, name), table)
  }
  throw new Error('no table holds blocks and their versions')
}

interface NodeLine {
  readonly id: string
  readonly trust: string
  readonly state: string
}

/** The API of another node. */
function server(id: string): string {
  const node = cluster.info.nodes.find((candidate) => candidate.id !== id)
  assert.ok(node !== undefined)
  return node.api
}

/** It is up and trusted, all is in sync, and every block of every replica was read and is the same. */
async function isWhole(id: string): Promise<true | undefined> {
  const nodes = await cluster.json<NodeLine[]>(['node', 'ls'], server(id))
  if (!nodes.some((node) => node.id === id && node.state === 'up' && node.trust === 'trusted')) return undefined
  const extents = await cluster.extents('demo', server(id))
  if (extents.some(({ replicas }) => replicas.some(({ standing }) => standing !== 'in-sync'))) return undefined
  return (await cluster.cli(['cluster', 'check', '--deep'], { server: server(id) })).code === 0 ? true : undefined
}

/**
 * Starts the node until all is whole, or it names the command that puts its directory aside, which is then run. Each end
 * before that is one of its own decision.
 */
async function comeToRest(id: string): Promise<string[]> {
  const course: string[] = []
  while (course.length < 6) {
    cluster.start(id)
    const whole = await eventually(`${id} is whole, or ends`, async () =>
      cluster.isRunning(id) ? await isWhole(id) : false,
    )
    if (whole) return [...course, 'whole']
    const log = await readFile(join(cluster.directory, 'logs', `${id}-again.log`), 'utf8')
    const aside = /mv (\S+) (\S+\.damaged), and start/.exec(log)
    course.push(aside === null ? 'ended' : 'put aside')
    if (aside !== null) await rename(aside[1] as string, aside[2] as string)
    else assert.match(log, /the store is suspect: /, `${id} says why it ended`)
  }
  return course
}

test('A2.17-5: a node whose tables have flipped bits is repaired from the others, or says how to start it again', {
  timeout: longest(120_000),
}, async (t) => {
  const seed = Number(process.env['ASHLAR_FLIP_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`ASHLAR_FLIP_SEED=${seed}`)
  const prng = new Prng(seed)
  const [before, written] = [0, 1].map(() => Array.from({ length: BLOCKS }, () => new Uint8Array(randomBytes(BLOCK))))
  assert.ok(before !== undefined && written !== undefined)
  await writeAll(before)
  await writeAll(written)
  const [extent] = await cluster.healthy('demo')
  const id = cluster.info.nodes.find((node) => node.id !== extent?.primary)?.id
  assert.ok(id !== undefined)
  await cluster.kill(id)
  await damageTables(cluster.node(id).dataDir, (extent as unknown as { id: ExtentId }).id, written, () => prng.next())
  const course = await comeToRest(id)
  t.diagnostic(`${id}: ${course.join(', ')}`)
  assert.equal(course.at(-1), 'whole')
  assert.ok(course.filter((end) => end === 'ended').length <= 1, 'as suspect it does not end again for what it finds')
  await assertHeld(written)
})
