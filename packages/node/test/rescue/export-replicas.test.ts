import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  BLOCK_TRIM,
  type ClusterId,
  type Epoch,
  type ExtentId,
  extentId,
  LIMITS,
  type StoreId,
  type VolumeId,
} from '@ashlar/proto'
import type { BlockChange, HeadRecord } from '../../src/core/machine.ts'
import { exportReplicas } from '../../src/rescue/export-replicas.ts'
import { blockKey } from '../../src/storage/encoding/keyspace.ts'
import { openLevelDbDriver, openStore } from '../../src/storage/index.ts'
import { del, put } from '../conformance/storage-driver-suite.ts'
import { bare, content, D, data, StoreRunner } from '../storage/store-kit.ts'

const VOLUME = 7 as VolumeId
const FIRST: ExtentId = extentId(VOLUME, 0)
const THIRD: ExtentId = extentId(VOLUME, 2)
const EXTENT_BYTES = LIMITS.minExtentBytes
const CLUSTER = '019acf5e-0000-7000-8000-000000000001' as ClusterId

/** An image in memory that records its writes. */
class MemoryImage {
  bytes = new Uint8Array(0)
  readonly written: number[] = []
  async resize(sizeBytes: number): Promise<void> {
    this.bytes = new Uint8Array(sizeBytes)
  }
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.bytes.set(bytes, offset)
    this.written.push(offset / D)
  }
  block(number: number): Uint8Array {
    return this.bytes.subarray(number * D, (number + 1) * D)
  }
}

type Disturbance = (driver: Awaited<ReturnType<typeof openLevelDbDriver>>) => Promise<void>

describe('an image made from data directories', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ashlar-export-test-'))
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  const directoryOf = (name: string) => join(root, name)
  /** Ids of the stores that were made, by name: records name them. */
  const ids = new Map<string, StoreId>()

  /** Makes the empty stores, so that their ids are known. */
  async function format(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const runner = new StoreRunner()
      runner.use(await openStore({ directory: directoryOf(name), ballastBytes: 0 }, runner.complete))
      ids.set(name, runner.store.identity.store)
      await runner.store.saveCluster(CLUSTER, [], false)
      await runner.store.close()
    }
  }

  function record(inSync: readonly string[], revision = 4): HeadRecord {
    const stores = inSync.map((name) => ids.get(name) as StoreId)
    return {
      ...{ revision, epoch: 1 as Epoch, primary: stores[0] as StoreId, inSync: stores, eligible: [] },
      ...{
        assigned: [...ids.values()],
        minInSync: 1,
        blockSizeBytes: D,
        lengthBytes: EXTENT_BYTES,
        volumeName: 'demo',
      },
    }
  }

  /** Writes to the replica of a store, one block a write, and then changes the closed database behind its back. */
  async function fill(
    name: string,
    extent: ExtentId,
    inSync: readonly string[],
    writes: readonly BlockChange[],
    disturb?: Disturbance,
  ): Promise<void> {
    const runner = new StoreRunner()
    runner.use(await openStore({ directory: directoryOf(name), ballastBytes: 0 }, runner.complete))
    runner.create(extent, EXTENT_BYTES)
    await runner.commit({ extent, head: { record: record(inSync) } })
    for (const change of writes) {
      const { epoch, seq } = change.version
      await runner.commit({ extent, blocks: [change], head: { lastEpoch: epoch, lastSeq: seq, commitSeq: seq } })
    }
    await runner.store.close()
    if (disturb === undefined) return
    const driver = await openLevelDbDriver(join(directoryOf(name), 'store/db'))
    await disturb(driver)
    await driver.close()
  }

  const rot =
    (block: number, extent = FIRST): Disturbance =>
    (driver) =>
      driver.apply([put(blockKey('bytes', extent, block), new Uint8Array(D))], 'synced')
  /** A batch of the journal is missing: the store may have lost writes. */
  const hole: Disturbance = (driver) =>
    driver.apply([put(Buffer.from('6a0000000000000fff', 'hex'), new Uint8Array(9))], 'synced')

  test('is certain when all that were in sync are here; blocks that read as zeroes stay holes', async () => {
    await format('a', 'b')
    const writes = [data(1, 1), data(5, 2), data(9, 3), data(1, 4), bare(9, 5, BLOCK_TRIM)]
    for (const name of ['a', 'b']) await fill(name, FIRST, ['a', 'b'], writes)
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.deepEqual([report.certain, report.sizeBytes, report.extents.certain], [true, EXTENT_BYTES, 1])
    assert.deepEqual(image.written, [1, 5])
    assert.deepEqual(image.block(1), content(1, 4))
    assert.deepEqual(image.block(5), content(5, 2))
    assert.deepEqual(report.blocks, { written: 2, fromOneStore: 0, newerElsewhere: 0, lost: 0, lostBlocks: [] })
  })

  test('A2.6: takes a damaged block from another store that has the very version, and stays certain', async () => {
    await format('a', 'b')
    const writes = [data(1, 1), data(2, 2)]
    await fill('a', FIRST, ['a', 'b'], writes, rot(1))
    await fill('b', FIRST, ['a', 'b'], writes, rot(2))
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.equal(report.certain, true)
    assert.deepEqual([image.block(1), image.block(2)], [content(1, 1), content(2, 2)])
  })

  test('is uncertain where a store that was in sync is absent, and names it', async () => {
    await format('a', 'b', 'c')
    for (const name of ['a', 'b', 'c']) await fill(name, FIRST, ['a', 'b'], [data(1, 1)])
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('c')], 'demo', image)
    assert.equal(report.certain, false)
    assert.match(report.extents.uncertain[0]?.because.join() ?? '', new RegExp(`${ids.get('b')} may hold newer writes`))
    assert.deepEqual(image.block(1), content(1, 1))
  })

  test('follows the store that was in sync, not a higher version on one that was not, and counts that', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a'], [data(1, 1), data(2, 2)])
    await fill('b', FIRST, ['a'], [data(1, 1), data(2, 9)])
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.deepEqual(image.block(2), content(2, 2))
    assert.equal(report.blocks.newerElsewhere, 1)
    assert.equal(report.blocks.fromOneStore, 1)
    assert.match(report.extents.uncertain[0]?.because.join() ?? '', /has acknowledged writes that .* lacks/)
  })

  test('amendment 11: if every in-sync store is suspect, each block is the highest version with sound bytes', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a', 'b'], [data(1, 1), data(2, 3), data(4, 4)], hole)
    await fill('b', FIRST, ['a', 'b'], [data(1, 2), data(2, 1), data(4, 4)], async (driver) => {
      await hole(driver)
      await driver.apply([del(blockKey('version', FIRST, 4)), del(blockKey('bytes', FIRST, 4))], 'synced')
    })
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.equal(report.certain, false)
    assert.match(report.extents.uncertain[0]?.because.join() ?? '', /every in-sync store may have lost writes/)
    assert.ok(report.stores.every(({ evidence }) => evidence.length > 0))
    assert.deepEqual(
      [1, 2, 4].map((block) => image.block(block)),
      [content(1, 2), content(2, 3), content(4, 4)],
    )
  })

  test('a trusted store is preferred to a suspect one, and its blocks are certain', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a', 'b'], [data(1, 1), data(2, 3)], hole)
    await fill('b', FIRST, ['a', 'b'], [data(1, 1), data(2, 3)])
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.deepEqual([report.certain, report.extents.certain], [true, 1])
  })

  test('a block of which every copy is damaged is reported as lost, and is zeroes or an older version', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a'], [data(1, 1), data(2, 5)], async (driver) => {
      await rot(1)(driver)
      await rot(2)(driver)
    })
    await fill('b', FIRST, ['a'], [data(2, 3)])
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.equal(report.certain, false)
    assert.equal(report.blocks.lost, 2)
    assert.deepEqual(report.blocks.lostBlocks, [
      { extent: 0, block: 1, older: false },
      { extent: 0, block: 2, older: true },
    ])
    assert.deepEqual(image.block(1), new Uint8Array(D))
    assert.deepEqual(image.block(2), content(2, 3))
  })

  test('versions that do not match their digest make an extent uncertain', async () => {
    await format('a')
    await fill('a', FIRST, ['a'], [data(1, 1), data(2, 2)], (driver) =>
      driver.apply([del(blockKey('version', FIRST, 2)), del(blockKey('bytes', FIRST, 2))], 'synced'),
    )
    const report = await exportReplicas([directoryOf('a')], 'demo', new MemoryImage())
    assert.match(report.extents.uncertain[0]?.because.join() ?? '', /versions of leaf 0 .* do not match its digest/)
  })

  test('extents that no directory has are missing, and a directory that cannot be read is reported', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a'], [data(1, 1)])
    await fill('a', THIRD, ['a'], [data(1, 1)])
    await rm(join(directoryOf('b'), 'store/db/CURRENT'))
    const image = new MemoryImage()
    const report = await exportReplicas([directoryOf('a'), directoryOf('b')], 'demo', image)
    assert.deepEqual([report.certain, report.extents.missing], [false, [1]])
    const blocks = EXTENT_BYTES / D
    assert.deepEqual(image.written, [1, 2 * blocks + 1])
    const [, unreadable] = report.stores
    assert.equal(unreadable?.store, null)
    assert.ok(!unreadable?.evidence.join().includes('ashlar-offline-'), unreadable?.evidence.join())
  })

  test('an unknown volume, copies of one directory and directories of two clusters are refused', async () => {
    await format('a', 'b')
    await fill('a', FIRST, ['a'], [data(1, 1)])
    const image = new MemoryImage()
    await assert.rejects(exportReplicas([directoryOf('a')], 'other', image), {
      code: 'NOT_FOUND',
      hint: 'they hold demo',
    })
    await assert.rejects(exportReplicas([directoryOf('a'), directoryOf('a')], 'demo', image), {
      code: 'USAGE',
      message: /copy/,
    })
    const runner = new StoreRunner()
    runner.use(await openStore({ directory: directoryOf('c'), ballastBytes: 0 }, runner.complete))
    await runner.store.saveCluster('019acf5e-0000-7000-8000-000000000002' as ClusterId, [], false)
    await runner.store.close()
    await assert.rejects(exportReplicas([directoryOf('a'), directoryOf('c')], 'demo', image), {
      code: 'USAGE',
      message: /different clusters/,
    })
  })
})
