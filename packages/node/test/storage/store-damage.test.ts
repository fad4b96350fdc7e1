import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BLOCK_ABSENT, BLOCK_DATA, type Epoch, extentId, type VolumeId } from '@ashlar/proto'
import { blockKey, blockRange, extentKey, journalKey, wholeSpace } from '../../src/storage/encoding/keyspace.ts'
import { type MemoryDisk, MemoryDriver } from '../../src/storage/index.ts'
import { del, entries, put } from '../conformance/storage-driver-suite.ts'
import { bare, content, D, data, EXTENT, hex, Model, memoryStore } from './store-kit.ts'

/** Changes a disk behind the back of the store, as rot does. */
async function rot(disk: MemoryDisk, key: Uint8Array, change: (value: Uint8Array) => void): Promise<void> {
  const driver = new MemoryDriver(disk)
  const value = await driver.get(key)
  assert.ok(value !== undefined)
  change(value)
  await driver.apply([put(key, value)], 'synced')
}

const flipAt = (at: number) => (value: Uint8Array) => {
  value[at] = (value[at] as number) ^ 0x10
}

describe('damaged blocks', () => {
  test('a flipped bit in the bytes is found on read, recorded, and cleared by an overwrite', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1), data(3, 1)])
    await rot(disk, blockKey('bytes', EXTENT, 1), flipAt(0))
    await rot(disk, blockKey('bytes', EXTENT, 2), flipAt(D - 1))
    const loaded = await runner.load([1, 2, 3])
    assert.deepEqual(
      loaded.map(({ block, damaged, bytes, version }) => [block, damaged, bytes === undefined, version.seq]),
      [
        [1, true, true, 1],
        [2, true, true, 1],
        [3, false, false, 1],
      ],
    )
    await runner.write(2, [data(2, 2)])
    await runner.store.close()
    const again = await memoryStore(disk)
    assert.deepEqual(again.runner.store.replicas[0]?.damaged, [1])
    await again.runner.write(3, [bare(1, 3, 3)])
    await again.runner.store.close()
    const third = await memoryStore(disk)
    assert.deepEqual(third.runner.store.replicas[0]?.damaged, [])
    assert.deepEqual(await entries(new MemoryDriver(disk), blockRange('damaged', EXTENT)), [])
  })

  test('missing bytes and bytes of another size are damage, not a hole', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    const driver = new MemoryDriver(disk)
    await driver.apply([del(blockKey('bytes', EXTENT, 1))], 'synced')
    await driver.apply([put(blockKey('bytes', EXTENT, 2), content(2, 1).subarray(0, D - 1))], 'synced')
    assert.deepEqual(
      (await runner.load([1, 2])).map(({ damaged }) => damaged),
      [true, true],
    )
    const merged = await runner.run({ type: 'merge', extent: EXTENT, block: 1, patches: [] })
    assert.ok(merged.type === 'merged')
    assert.equal(merged.damaged, true)
  })

  test('a flipped bit of a version value shows as damage or as another version, never as zeroes', async () => {
    for (let bit = 0; bit < 21 * 8; bit++) {
      const { runner, disk } = await memoryStore()
      runner.create()
      await runner.write(1, [data(1, 1)])
      await runner.store.close()
      await rot(disk, blockKey('version', EXTENT, 1), (value) => {
        value[bit >> 3] = (value[bit >> 3] as number) ^ (1 << (bit & 7))
      })
      const again = await memoryStore(disk)
      const [loaded] = await again.runner.load([1])
      assert.ok(loaded !== undefined)
      const silentlyWrong = !loaded.damaged && (loaded.bytes === undefined || hex(loaded.bytes) !== hex(content(1, 1)))
      assert.equal(silentlyWrong, false, `bit ${bit}`)
    }
  })

  test('bytes whose version was lost are reported as damage', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    await runner.store.close()
    await new MemoryDriver(disk).apply([del(blockKey('version', EXTENT, 1))], 'synced')
    const again = await memoryStore(disk)
    const [loaded] = await again.runner.load([1])
    assert.deepEqual([loaded?.damaged, loaded?.version.kind], [true, BLOCK_ABSENT])
  })

  test('repair writes the bytes of exactly the current version, and completes in each case', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    await rot(disk, blockKey('bytes', EXTENT, 1), flipAt(5))
    await rot(disk, blockKey('bytes', EXTENT, 2), flipAt(5))
    await runner.load([1, 2])
    const repair = (block: number, seq: number, bytes: Uint8Array) => {
      const { version } = data(block, seq)
      return runner.run({ type: 'repair', extent: EXTENT, block, version, bytes })
    }
    await repair(1, 1, content(1, 1))
    await runner.write(2, [data(2, 2)])
    await repair(2, 1, content(2, 1))
    const loaded = await runner.load([1, 2])
    assert.deepEqual(
      loaded.map(({ version, bytes }) => [version.seq, hex(bytes as Uint8Array)]),
      [
        [1, hex(content(1, 1))],
        [2, hex(content(2, 2))],
      ],
    )
    assert.equal(runner.store.metrics.damagedBlocksRepaired, 1)
    await runner.store.close()
    const again = await memoryStore(disk)
    assert.deepEqual(again.runner.store.replicas[0]?.damaged, [])
  })

  test('A2.6: a store over maxRepairsPerHour reports that, and is suspect in its next incarnation', async () => {
    const { runner, disk } = await memoryStore(undefined, { tuning: { maxRepairsPerHour: 1 } })
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    const repair = async (block: number) => {
      await rot(disk, blockKey('bytes', EXTENT, block), flipAt(5))
      await runner.load([block])
      await runner.run({
        type: 'repair',
        extent: EXTENT,
        block,
        version: data(block, 1).version,
        bytes: content(block, 1),
      })
    }
    await repair(1)
    const reports = () => runner.completions.filter(({ type }) => type === 'store-suspect').length
    assert.equal(reports(), 0)
    await repair(2)
    await repair(1)
    await runner.store.close()
    assert.equal(reports(), 1, 'once')
    const again = await memoryStore(disk)
    assert.equal(again.runner.store.identity.trust, 'suspect')
  })

  test('A2.17-4: a cleared incarnation ends over maxRepairsPerHour, like one that began as trusted', async () => {
    const tuning = { maxRepairsPerHour: 0 }
    const first = await memoryStore()
    first.runner.create()
    await first.runner.write(1, [data(1, 1)])
    await first.runner.store.close()
    const { runner, disk } = await memoryStore(first.disk, { tuning, evidence: ['dropping 7 bytes'] })
    await runner.commit({ windows: [], marked: true })
    await rot(disk, blockKey('bytes', EXTENT, 1), flipAt(5))
    await runner.load([1])
    await runner.run({ type: 'repair', extent: EXTENT, block: 1, version: data(1, 1).version, bytes: content(1, 1) })
    await runner.store.close()
    const reports = runner.completions.map(({ type }) => type).filter((type) => type.startsWith('store-'))
    assert.deepEqual(reports, ['store-cleared', 'store-suspect'])
  })

  test('A2.6: an incarnation that began as suspect continues over maxRepairsPerHour, and the next one is suspect', async () => {
    const tuning = { maxRepairsPerHour: 1 }
    const first = await memoryStore(undefined, { tuning })
    const { disk } = first
    const repairAll = async ({ runner }: typeof first) => {
      for (const block of [1, 2]) {
        await rot(disk, blockKey('bytes', EXTENT, block), flipAt(5))
        await runner.load([block])
        const { version } = data(block, 1)
        await runner.run({ type: 'repair', extent: EXTENT, block, version, bytes: content(block, 1) })
      }
    }
    first.runner.create()
    await first.runner.write(1, [data(1, 1), data(2, 1)])
    await repairAll(first)
    await first.runner.store.close()

    const second = await memoryStore(disk, { tuning })
    assert.equal(second.runner.store.identity.trust, 'suspect')
    await repairAll(second)
    assert.equal(second.runner.store.metrics.damagedBlocksRepaired, 2)
    await second.runner.store.close()
    assert.ok(!second.runner.completions.some(({ type }) => type === 'store-suspect'))

    const third = await memoryStore(disk, { tuning })
    assert.equal(third.runner.store.identity.trust, 'suspect')
  })

  test('repair with bytes of another version leaves the block damaged', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1)])
    await rot(disk, blockKey('bytes', EXTENT, 1), flipAt(5))
    await runner.run({
      type: 'repair',
      extent: EXTENT,
      block: 1,
      version: data(1, 1).version,
      bytes: content(1, 9),
    })
    assert.equal((await runner.load([1]))[0]?.damaged, true)
  })

  test('A2.17-6: a block with an older version is damaged on every read, and requests of peers for it get no response', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    const older = await entries(new MemoryDriver(disk), wholeSpace('version'))
    const olderBytes = await entries(new MemoryDriver(disk), wholeSpace('bytes'))
    await runner.write(2, [data(1, 2)])
    await runner.store.close()
    // What a flipped bit in a table's index does: the engine finds the entries that this table had replaced.
    const driver = new MemoryDriver(disk)
    await driver.apply(
      [...older, ...olderBytes].map(({ key, value }) => put(key, value)),
      'synced',
    )
    const again = await memoryStore(disk)
    const versions = again.runner.run({ type: 'versions', extent: EXTENT, leaves: [0] })
    const read = await again.runner.load([1, 2])
    assert.deepEqual(
      read.map(({ damaged, bytes }) => [damaged, bytes === undefined]),
      [
        [true, true],
        [true, true],
      ],
    )
    assert.equal(again.runner.store.metrics.leafMismatches, 1)
    const once = await again.runner.load([1, 2, 3])
    assert.deepEqual(
      once.map(({ damaged, unproven }) => [damaged, unproven]),
      [1, 2, 3].map(() => [true, true]),
      'and on every later one',
    )
    assert.deepEqual(await again.runner.allocation(0, 300), [
      { blocks: 256, kind: BLOCK_DATA },
      { blocks: 44, kind: BLOCK_ABSENT },
    ])
    const answered = await Promise.race([versions.then(() => true), again.runner.digests().then(() => false)])
    assert.equal(answered, false)
    await again.runner.write(3, [data(3, 3)])
    await again.runner.run({
      type: 'repair',
      extent: EXTENT,
      block: 2,
      version: data(2, 1).version,
      bytes: content(2, 1),
    })
    const proven = await again.runner.load([1, 2, 3])
    assert.deepEqual(
      proven.map(({ damaged }) => damaged),
      [true, false, false],
      'one was written since, and one had the version of a member',
    )
    const third = await memoryStore(disk)
    assert.equal(third.runner.store.identity.trust, 'suspect')
    // In a suspect incarnation a comparison must end: the present versions count.
    await new MemoryDriver(disk).apply([del(blockKey('version', EXTENT, 2))], 'synced')
    const answer = await third.runner.run({ type: 'versions', extent: EXTENT, leaves: [0] })
    assert.ok(answer.type === 'versions')
    assert.deepEqual(
      answer.leaves.flatMap(({ versions }) => versions.map(({ block }) => block)),
      [1, 3],
    )
  })

  test('versions that do not match their digest make the store suspect, and count as they are', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(1, 1), data(2, 1)])
    await runner.store.close()
    await new MemoryDriver(disk).apply([del(blockKey('version', EXTENT, 1))], 'synced')
    const again = await memoryStore(disk)
    await again.runner.write(2, [data(3, 2)])
    assert.equal(again.runner.store.metrics.leafMismatches, 1)
    const model = new Model()
    model.apply([data(2, 1), data(3, 2)])
    assert.deepEqual(await again.runner.digests(), model.digests)
    const third = await memoryStore(disk)
    assert.equal(third.runner.store.identity.trust, 'suspect')
  })
})

describe('trust', () => {
  async function withHole() {
    const { runner, disk } = await memoryStore()
    const other = extentId(8 as VolumeId, 0)
    runner.create()
    runner.create(other)
    const model = new Model()
    for (let seq = 1; seq <= 6; seq++) {
      model.apply([data(1, seq)])
      await runner.write(seq, [data(1, seq), data(seq + 10, seq)])
    }
    const driver = new MemoryDriver(disk)
    const [, , third] = await entries(driver, wholeSpace('journal'))
    assert.ok(third !== undefined)
    return { disk, driver, hole: third.key, other }
  }

  test('a hole in the journal makes the store suspect, and digests are computed from the present versions', async () => {
    const { disk, driver, hole } = await withHole()
    // The whole batch is gone: its journal key and, say, one of its blocks.
    await driver.apply([del(hole), del(blockKey('version', EXTENT, 12)), del(blockKey('bytes', EXTENT, 12))], 'synced')
    const { runner } = await memoryStore(disk)
    assert.equal(runner.store.identity.trust, 'suspect')
    const model = new Model()
    model.apply([data(1, 6), data(11, 1), data(13, 3), data(14, 4), data(15, 5), data(16, 6)])
    assert.deepEqual(await runner.digests(), model.digests)
    // The evidence is gone from disk, the suspicion is not.
    const again = await memoryStore(disk)
    assert.equal(again.runner.store.identity.trust, 'suspect')
  })

  test('a journal value that does not match its checksum makes the store suspect', async () => {
    const { disk, hole } = await withHole()
    await rot(disk, hole, flipAt(7))
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'suspect')
  })

  test('suspicion ends once every replica of that time got its MARK or was dropped', async () => {
    const { disk, driver, hole, other } = await withHole()
    await driver.apply([del(hole)], 'synced')
    const first = await memoryStore(disk)
    await first.runner.commit({ windows: [], marked: true })
    await first.runner.store.close()
    const second = await memoryStore(disk)
    assert.equal(second.runner.store.identity.trust, 'suspect', 'one replica was not compared yet')
    second.runner.store.execute({ type: 'drop-replica', extent: other })
    await second.runner.store.close()
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'trusted')
  })

  test('A2.17-4: the cleared suspicion is reported once, when it is durable, and the incarnation continues as trusted', async () => {
    const { disk, driver, hole, other } = await withHole()
    await driver.apply([del(hole)], 'synced')
    const { runner } = await memoryStore(disk)
    const reports = () => runner.completions.filter(({ type }) => type === 'store-cleared').length
    await runner.commit({ windows: [], marked: true })
    assert.equal(reports(), 0, 'one replica was not compared yet')
    runner.store.execute({ type: 'drop-replica', extent: other })
    await runner.commit({ windows: [], marked: true })
    await runner.commit({})
    assert.equal(reports(), 1)
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'trusted')
  })

  test('A2.17-4: a replica created during the suspicion is compared too, since its earlier creation may be lost', async () => {
    const { disk, driver, hole, other } = await withHole()
    await driver.apply([del(hole)], 'synced')
    const first = await memoryStore(disk)
    const again = extentId(9 as VolumeId, 0)
    first.runner.create(again)
    await first.runner.commit({ windows: [], marked: true })
    first.runner.store.execute({ type: 'drop-replica', extent: other })
    await first.runner.commit({})
    assert.ok(!first.runner.completions.some(({ type }) => type === 'store-cleared'))
    await first.runner.store.close()
    const second = await memoryStore(disk)
    assert.equal(second.runner.store.identity.trust, 'suspect', 'the new one was not compared')
    second.runner.store.execute({ type: 'drop-replica', extent: again })
    await second.runner.commit({})
    assert.ok(second.runner.completions.some(({ type }) => type === 'store-cleared'))
  })

  test('A2.17-4: an incarnation that began as trusted reports no cleared suspicion', async () => {
    const { runner } = await memoryStore()
    runner.create()
    await runner.commit({ windows: [], marked: true })
    await runner.store.close()
    assert.ok(!runner.completions.some(({ type }) => type === 'store-cleared'))
  })

  test('a journal entry of a missing replica makes the store suspect', async () => {
    const { disk, driver } = await withHole()
    await driver.apply([del(extentKey('head', EXTENT))], 'synced')
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'suspect')
  })

  test('external evidence counts once', async () => {
    const evidence = ['2026/11/24 dropping 32348 bytes; Corruption: checksum mismatch']
    const { runner, disk } = await memoryStore(undefined, { evidence })
    assert.equal(runner.store.identity.trust, 'suspect')
    await runner.store.close()
    // Without a replica nothing can be compared, and the clean end clears it.
    const again = await memoryStore(disk, { evidence })
    assert.equal(again.runner.store.identity.trust, 'trusted')
  })

  test('a head that does not match its checksum is refused, since its promise is unknown', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.commit({ head: { promised: 9 as Epoch } })
    await runner.store.close()
    await rot(disk, extentKey('head', EXTENT), flipAt(3))
    await assert.rejects(memoryStore(disk), /the head of extent \d+ does not match its checksum/)
  })

  test('numbers of journal keys continue after a restart', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    for (let seq = 1; seq <= 3; seq++) await runner.write(seq, [data(1, seq)])
    const { runner: next } = await memoryStore(disk)
    await next.write(4, [data(1, 4)])
    const keys = await entries(new MemoryDriver(disk), wholeSpace('journal'), { keysOnly: true })
    assert.deepEqual(
      keys.map(({ key }) => hex(key)),
      [hex(journalKey(4))],
    )
  })
})
