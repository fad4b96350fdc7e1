/**
 * What the store layer costs above the bare driver: 4 KiB random overwrites, 16 at a time, through the store and as plain
 * batches of data and version keys, in turns in one run. Prints blocks a second and CPU microseconds a block, all threads,
 * compaction included. The rows `nothing below` leave LevelDB out. Arguments: mebibytes to overwrite (256), blocks a turn
 * (16384: as many for each, because compaction follows the blocks and not the time), turns (4), blocks at once (16).
 *
 *   UV_THREADPOOL_SIZE=16 node --conditions=ashlar-source packages/node/test/storage/bench-store.ts
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { BLOCK_DATA, type Epoch, extentId, MIB, type Seq, type VolumeId } from '@ashlar/proto'
import type { BlockChange } from '../../src/core/machine.ts'
import type { BatchOperation, StorageDriver } from '../../src/storage/driver.ts'
import { blockKey } from '../../src/storage/encoding/keyspace.ts'
import { openLevelDbDriver, openStoreOnDriver } from '../../src/storage/index.ts'
import { encodeVersion } from '../../src/storage/repositories/version-value.ts'
import { randomFrom } from '../conformance/storage-driver-suite.ts'
import { D, StoreRunner } from './store-kit.ts'

const [mebibytes = '256', perTurn = '16384', turns = '4', atOnce = '16'] = process.argv.slice(2)
const BLOCKS = (Number(mebibytes) * MIB) / D
const AT_ONCE = Number(atOnce)
const IDLE_CHECK_MS = 200
const EXTENT = extentId(1 as VolumeId, 0)

interface Subject {
  readonly name: string
  write(seq: number, changes: readonly BlockChange[]): Promise<void>
  close(): Promise<void>
}

/** Takes every batch and keeps nothing of it but what the opening needs. */
function nothingBelow(): StorageDriver {
  const kept = new Map<string, Uint8Array>()
  return {
    capabilities: { durable: false },
    get: async (key) => kept.get(String(key)),
    getMany: async (keys) => keys.map(() => undefined),
    apply: async (batch) => {
      if (kept.size < 2) for (const entry of batch) if (entry.type === 'put') kept.set(String(entry.key), entry.value)
    },
    async *scan() {},
    space: async () => ({ freeBytes: 2 ** 40, totalBytes: 2 ** 40 }),
    compact: async () => undefined,
    statistics: () => ({}),
    close: async () => undefined,
  }
}

function bare(name: string, driver: StorageDriver): Subject {
  return {
    name,
    async write(_seq, changes) {
      const batch: BatchOperation[] = []
      for (const { block, version, bytes } of changes) {
        batch.push({ type: 'put', key: blockKey('version', EXTENT, block), value: encodeVersion(version) })
        batch.push({ type: 'put', key: blockKey('bytes', EXTENT, block), value: bytes as Uint8Array })
      }
      await driver.apply(batch, 'synced')
    },
    close: () => driver.close(),
  }
}

async function stored(name: string, driver: StorageDriver): Promise<Subject> {
  const runner = new StoreRunner()
  runner.use(await openStoreOnDriver(driver, {}, runner.complete))
  runner.create(EXTENT, BLOCKS * D)
  let op = 0
  return {
    name,
    async write(seq, changes) {
      runner.completions.length = 0
      await Promise.all(
        changes.map((change, i) => {
          const lastSeq = (seq + i) as Seq
          op++
          return runner.run({
            type: 'commit',
            change: {
              extent: EXTENT,
              blocks: [change],
              head: { lastEpoch: 1 as Epoch, lastSeq, commitSeq: (lastSeq - 1) as Seq },
              operation: {
                session: 5 as never,
                op,
                lowMark: Math.max(0, op - 32),
                generation: 1,
                seq: lastSeq,
                cancel: false,
                first: change.block,
                count: 1,
              },
            },
          })
        }),
      )
    },
    close: () => runner.store.close(),
  }
}

const source = new Uint8Array(D + 4096)
const random = randomFrom(1)
for (let i = 0; i < source.length; i++) source[i] = random(256)
let seq = 1

function changesAt(blockOf: (i: number) => number): BlockChange[] {
  return Array.from({ length: AT_ONCE }, (_, i) => {
    const at = random(4096)
    const bytes = source.slice(at, at + D)
    const version = { epoch: 1 as Epoch, seq: (seq + i) as Seq, kind: BLOCK_DATA, checksum: crc32(bytes) } as const
    return { block: blockOf(i), version, bytes }
  })
}

async function fill(subject: Subject): Promise<void> {
  for (let first = 0; first < BLOCKS; first += AT_ONCE) {
    await subject.write(
      seq,
      changesAt((i) => first + i),
    )
    seq += AT_ONCE
  }
}

async function turn(subject: Subject): Promise<{ blocks: number; wall: number; cpu: number }> {
  const started = performance.now()
  const before = process.cpuUsage()
  let blocks = 0
  while (blocks < Number(perTurn)) {
    await subject.write(
      seq,
      changesAt(() => random(BLOCKS)),
    )
    seq += AT_ONCE
    blocks += AT_ONCE
  }
  const wall = (performance.now() - started) / 1000
  await compactionEnds()
  const { user, system } = process.cpuUsage(before)
  return { blocks, wall, cpu: user + system }
}

/** Waits until the process is idle, so that what a turn left to compact is charged to it and not to the next one. */
async function compactionEnds(): Promise<void> {
  for (;;) {
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, IDLE_CHECK_MS))
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 < IDLE_CHECK_MS * 0.05) return
  }
}

const root = await mkdtemp(join(tmpdir(), 'ashlar-bench-'))
const subjects: Subject[] = [
  bare('batches, nothing below', nothingBelow()),
  await stored('store, nothing below', nothingBelow()),
  bare('batches on LevelDB', await openLevelDbDriver(join(root, 'bare'))),
  await stored('store on LevelDB', await openLevelDbDriver(join(root, 'stored'))),
]
for (const subject of subjects) {
  await fill(subject)
  await compactionEnds()
}
const sums = new Map<string, { blocks: number; wall: number; cpu: number }>()
for (let n = 0; n < Number(turns); n++) {
  for (const subject of subjects) {
    const result = await turn(subject)
    const sum = sums.get(subject.name) ?? { blocks: 0, wall: 0, cpu: 0 }
    sums.set(subject.name, {
      blocks: sum.blocks + result.blocks,
      wall: sum.wall + result.wall,
      cpu: sum.cpu + result.cpu,
    })
  }
}
for (const [name, { blocks, wall, cpu }] of sums) {
  console.log(
    `${name.padEnd(24)} ${String(Math.round(blocks / wall)).padStart(8)} blocks/s ${(cpu / blocks).toFixed(1).padStart(7)} us CPU a block`,
  )
}
for (const subject of subjects) await subject.close()
await rm(root, { recursive: true })
