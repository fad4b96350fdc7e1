import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BLOCK_DATA, type ExtentId, extentId, MIB, type Seq, type VolumeId } from '@ashlar/proto'
import type { KeyRange, StorageDriver } from '../../src/storage/driver.ts'
import { blockKey, blockOfKey, blockRange, extentOfKey, wholeSpace } from '../../src/storage/encoding/keyspace.ts'
import { MemoryDriver } from '../../src/storage/index.ts'
import { entries } from '../conformance/storage-driver-suite.ts'
import { D, data, EXTENT, memoryStore } from './store-kit.ts'

/** More bytes than one slice. */
const BLOCKS = 4000

describe('dropping a replica', () => {
  const keysOf = async (driver: StorageDriver, extent: ExtentId) => {
    let count = 0
    for (const space of ['version', 'bytes', 'digests', 'damaged'] as const) {
      count += (await entries(driver, blockRange(space, extent), { keysOnly: true })).length
    }
    return count
  }
  const until = async (done: () => Promise<boolean>) => {
    const deadline = Date.now() + 60_000
    while (!(await done())) {
      assert.ok(Date.now() < deadline, 'not done in a minute')
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  test('deletes all its keys and leaves the other replicas unchanged', async () => {
    const { runner, disk } = await memoryStore(undefined, { tuning: { checkpointBatches: 4 } })
    const other = extentId(8 as VolumeId, 0)
    runner.create()
    runner.create(other)
    for (let seq = 1; seq <= 3; seq++) {
      await runner.write(
        seq,
        Array.from({ length: 900 }, (_, i) => data(seq * 1000 + i, seq)),
      )
    }
    await runner.commit({ extent: other, blocks: [data(5, 1)], head: { lastSeq: 1 as Seq } })
    runner.store.execute({ type: 'drop-replica', extent: EXTENT })
    const driver = new MemoryDriver(disk)
    await until(async () => (await keysOf(driver, EXTENT)) === 0)
    assert.throws(() => runner.store.execute({ type: 'load', token: 1, extent: EXTENT, blocks: [1] }), /no replica/)
    assert.equal((await runner.load([5], other))[0]?.version.kind, BLOCK_DATA)
    await runner.store.close()
    assert.deepEqual(await entries(driver, wholeSpace('tombstone')), [])
    const again = await memoryStore(disk)
    assert.deepEqual(
      again.runner.store.replicas.map(({ extent }) => extent),
      [other],
    )
    assert.equal(again.runner.store.identity.trust, 'trusted')
  })

  test('compacts in slices, one replica and one slice at a time, so that writes get a thread', async (t) => {
    const { runner, driver } = await memoryStore()
    const other = extentId(8 as VolumeId, 0)
    const blocks = Array.from({ length: BLOCKS }, (_, block) => data(block, 1))
    for (const extent of [EXTENT, other]) {
      runner.create(extent)
      await runner.commit({ extent, blocks, head: { lastSeq: 1 as Seq } })
    }
    let atOnce = 0
    const compacted: { extent: ExtentId; space: number; from: number; to: number }[] = []
    t.mock.method(driver, 'compact', async ({ from, to }: KeyRange) => {
      assert.equal(++atOnce, 1, 'one at a time')
      const end = extentOfKey(to) === extentOfKey(from) ? blockOfKey(to) : Number.POSITIVE_INFINITY
      compacted.push({ extent: extentOfKey(from), space: from[0] ?? 0, from: blockOfKey(from), to: end })
      assert.deepEqual(await entries(driver, { from, to }, { keysOnly: true }), [], 'what is compacted was deleted')
      atOnce--
    })
    for (const extent of [EXTENT, other]) runner.store.execute({ type: 'drop-replica', extent })
    await until(async () => (await keysOf(driver, other)) === 0)
    await runner.store.close()
    const bytes = compacted.filter(({ space }) => space === blockKey('bytes', EXTENT, 0)[0])
    for (const extent of [EXTENT, other]) {
      const slices = bytes.filter((slice) => slice.extent === extent)
      assert.deepEqual([slices[0]?.from, slices.at(-1)?.to], [0, Number.POSITIVE_INFINITY], 'all of it')
      assert.ok(slices.length > 1 && slices.slice(1).every(({ from }, at) => from === slices[at]?.to))
      assert.ok(slices.every(({ from, to }) => (Math.min(to, BLOCKS) - from) * D <= 12 * MIB))
    }
    const first = compacted.findIndex(({ extent }) => extent === other)
    assert.ok(
      compacted.slice(first).every(({ extent }) => extent === other),
      'one replica after the other',
    )
  })

  test('stops after the current slice when the store closes, and continues in the next incarnation', async (t) => {
    const { runner, disk, driver } = await memoryStore()
    runner.create()
    await runner.write(
      1,
      Array.from({ length: BLOCKS }, (_, i) => data(i, 1)),
    )
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    const compact = t.mock.method(driver, 'compact', () => {
      begun.resolve()
      return end.promise
    })
    runner.store.execute({ type: 'drop-replica', extent: EXTENT })
    await begun.promise
    const closed = runner.store.close()
    end.resolve()
    await closed
    assert.equal(compact.mock.callCount(), 1)
    assert.ok((await keysOf(new MemoryDriver(disk), EXTENT)) > 0)
    const again = await memoryStore(disk)
    await until(async () => (await keysOf(new MemoryDriver(disk), EXTENT)) === 0)
    await again.runner.store.close()
    assert.deepEqual(await entries(new MemoryDriver(disk), wholeSpace('tombstone')), [])
  })

  test('continues after a kill in the middle', async () => {
    const { runner, disk, driver } = await memoryStore()
    runner.create()
    await runner.write(
      1,
      Array.from({ length: 3000 }, (_, i) => data(i, 1)),
    )
    driver.holding = true
    runner.store.execute({ type: 'drop-replica', extent: EXTENT })
    // The tombstone, and the first batch of deletions; the rest never happens.
    for (let batch = 0; batch < 2; batch++) {
      await driver.untilHeld()
      driver.letThrough()
    }
    await driver.untilHeld()
    const left = await keysOf(new MemoryDriver(disk), EXTENT)
    assert.ok(left > 1000, `${left} keys are left`)
    const again = await memoryStore(disk)
    assert.equal(again.runner.store.identity.trust, 'trusted')
    assert.deepEqual(again.runner.store.replicas, [])
    await until(async () => (await keysOf(new MemoryDriver(disk), EXTENT)) === 0)
    await again.runner.store.close()
    assert.deepEqual(await entries(new MemoryDriver(disk), wholeSpace('tombstone')), [])
  })
})
