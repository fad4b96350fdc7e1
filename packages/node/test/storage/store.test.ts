import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_ZERO,
  type Epoch,
  extentId,
  type Seq,
  type SessionId,
  type StoreId,
  type VolumeId,
} from '@ashlar/proto'
import type { HeadRecord } from '../../src/core/machine.ts'
import { wholeSpace } from '../../src/storage/encoding/keyspace.ts'
import { type MemoryDisk, MemoryDriver } from '../../src/storage/index.ts'
import { entries } from '../conformance/storage-driver-suite.ts'
import { bare, D, data, EXTENT, EXTENT_BYTES, Model, memoryStore, operation } from './store-kit.ts'

const RECORD: HeadRecord = {
  revision: 12,
  epoch: 5 as Epoch,
  primary: '01a20d78-7db8-7259-a606-72b13002eabd' as StoreId,
  inSync: ['01a20d78-7db8-7259-a606-72b13002eabd' as StoreId],
  eligible: [],
  assigned: ['01a20d78-7db8-7259-a606-72b13002eabd' as StoreId, '01a20d78-7db8-7259-a606-72b13002eabe' as StoreId],
  minInSync: 1,
  blockSizeBytes: D,
  lengthBytes: EXTENT_BYTES,
  volumeName: 'demo',
}

const journalKeys = (disk: MemoryDisk) => entries(new MemoryDriver(disk), wholeSpace('journal'), { keysOnly: true })

describe('group commit', () => {
  test('one batch is in flight, waiting entries form the next, and completions are in order', async () => {
    const { runner, driver } = await memoryStore()
    runner.create()
    await runner.write(1, [data(0, 1)])
    driver.holding = true
    const calls = [runner.write(2, [data(1, 2)])]
    await driver.untilHeld()
    for (let seq = 3; seq <= 40; seq++) calls.push(runner.write(seq, [data(seq, seq)]))
    const before = driver.applied.length
    assert.equal(driver.held.length, 1)
    assert.equal(runner.completions.length, 1, 'nothing completes before its batch is on stable storage')
    driver.letThrough()
    await driver.untilHeld()
    assert.equal(driver.applied.length, before + 1)
    driver.letThrough()
    await Promise.all(calls)
    assert.equal(driver.applied.length, before + 2, '38 waiting writes made one batch')
    const tokens = runner.completions.map((completion) => ('token' in completion ? completion.token : -1))
    assert.deepEqual(
      tokens,
      [...tokens].sort((a, b) => a - b),
    )
  })

  test('a batch gathers up to its limit, and at least one change of any size', async () => {
    const { runner, driver } = await memoryStore(undefined, { tuning: { batchBytes: 3 * D } })
    runner.create()
    await runner.write(1, [data(0, 1)])
    const before = driver.applied.length
    await Promise.all([
      runner.write(
        2,
        Array.from({ length: 8 }, (_, i) => data(i, 2)),
      ),
      runner.write(3, [data(20, 3)]),
      runner.write(4, [data(21, 4)]),
      runner.write(5, [data(22, 5)]),
    ])
    assert.equal(driver.applied.length - before, 3)
  })

  test('a failed store reports its failure once and completes nothing afterwards', async () => {
    const { runner, driver } = await memoryStore()
    runner.create()
    await runner.write(1, [data(0, 1)])
    driver.failWith = new Error('no space left')
    const settled = runner.failed()
    void runner.write(2, [data(1, 2)])
    void runner.write(3, [data(2, 3)])
    const saving = assert.rejects(runner.store.saveCluster('c' as never, [], true), /earlier write/)
    await settled
    await saving
    const count = runner.completions.length
    assert.deepEqual(runner.completions.at(-1), { type: 'store-failed', reason: 'no space left' })
    driver.failWith = undefined
    void runner.write(4, [data(3, 4)])
    void runner.load([0])
    await assert.rejects(runner.store.saveCluster('c' as never, [], true), /earlier write/)
    await runner.store.close()
    assert.equal(runner.completions.length, count)
  })

  test('a failed read fails the store', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.write(1, [data(0, 1)])
    await runner.store.close()
    const again = await memoryStore(disk)
    again.driver.failReadsWith = new Error('input/output error')
    const failed = again.runner.failed()
    void again.runner.load([0])
    assert.equal(await failed, 'input/output error')
  })
})

describe('reads', () => {
  test('see every change executed before them and none after, synced or not', async () => {
    const { runner, driver } = await memoryStore()
    runner.create()
    await runner.write(1, [data(0, 1), data(1, 1), data(300, 1)])
    driver.holding = true
    void runner.write(2, [data(1, 2), bare(2, 2, BLOCK_ZERO)])
    const load = runner.load([0, 1, 2, 3, 300])
    const versions = runner.versions([0, 1])
    const allocation = runner.allocation(0, 5)
    const digests = runner.digests()
    const merged = runner.run({
      type: 'merge',
      extent: EXTENT,
      block: 1,
      patches: [{ offset: 8, length: 4, bytes: new Uint8Array(4).fill(0xee) }],
    })
    void runner.write(3, [data(0, 3), data(1, 3), data(2, 3), data(3, 3), data(300, 3)])
    const loaded = await load
    assert.deepEqual(
      loaded.map(({ block, version, bytes }) => [block, version.seq, version.kind, bytes?.[7]]),
      [
        [0, 1, BLOCK_DATA, 1],
        [1, 2, BLOCK_DATA, 2],
        [2, 2, BLOCK_ZERO, undefined],
        [3, 0, BLOCK_ABSENT, undefined],
        [300, 1, BLOCK_DATA, 1],
      ],
    )
    assert.deepEqual(
      (await versions).map(({ leaf, versions: list }) => [leaf, list.map(({ block, seq }) => [block, seq])]),
      [
        [
          0,
          [
            [0, 1],
            [1, 2],
            [2, 2],
          ],
        ],
        [1, [[300, 1]]],
      ],
    )
    assert.deepEqual(await allocation, [
      { blocks: 2, kind: BLOCK_DATA },
      { blocks: 1, kind: BLOCK_ZERO },
      { blocks: 2, kind: BLOCK_ABSENT },
    ])
    const result = await merged
    assert.ok(result.type === 'merged')
    assert.equal(result.base.seq, 2)
    assert.equal(result.bytes[7], 2)
    assert.equal(result.bytes[8], 0xee)
    await driver.untilHeld()
    driver.holding = false
    driver.letThrough()
    const model = new Model()
    model.apply([data(0, 1), data(1, 2), data(300, 1), bare(2, 2, BLOCK_ZERO)])
    // Digests take their place in the queue; the write after them may share their batch.
    assert.deepEqual(await digests, model.digests)
  })

  test('complete after execute has returned', async () => {
    const { runner, driver } = await memoryStore()
    runner.create()
    driver.holding = true
    void runner.write(1, [data(0, 1)])
    const before = runner.completions.length
    const calls = [runner.load([0]), runner.versions([0]), runner.allocation(0, 1)]
    assert.equal(runner.completions.length, before)
    await Promise.all(calls)
  })

  test('of long runs and scattered blocks match a model, cold and warm', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    const model = new Model()
    for (let seq = 1; seq <= 20; seq++) {
      const blocks = Array.from({ length: 30 }, (_, i) => data((seq * 31 + i * 2) % 900, seq))
      model.apply(blocks)
      await runner.write(seq, blocks)
    }
    const all = Array.from({ length: 1000 }, (_, i) => i)
    model.assertLoaded(await runner.load(all), 'warm')
    await runner.store.close()
    const cold = await memoryStore(disk)
    model.assertLoaded(await cold.runner.load(all), 'cold run')
    model.assertLoaded(await cold.runner.load([5, 900, 17, 3, 999, 18]), 'cold, scattered')
    assert.equal(cold.runner.store.metrics.leafLoads, 3, 'each leaf that has versions was loaded once')
  })

  test('of a merge over an absent block start from zeroes and apply patches in order; a patch without bytes is zeroes', async () => {
    const { runner } = await memoryStore()
    runner.create()
    const result = await runner.run({
      type: 'merge',
      extent: EXTENT,
      block: 9,
      patches: [
        { offset: 0, length: 8, bytes: new Uint8Array(8).fill(1) },
        { offset: 4, length: 8, bytes: new Uint8Array(8).fill(2) },
        { offset: 6, length: 2 },
      ],
    })
    assert.ok(result.type === 'merged')
    assert.deepEqual([...result.bytes.subarray(0, 14)], [1, 1, 1, 1, 2, 2, 0, 0, 2, 2, 2, 2, 0, 0])
    assert.equal(result.base.kind, BLOCK_ABSENT)
    assert.equal(result.bytes.length, D)
  })

  test('of the last block of a short extent return a whole block', async () => {
    const { runner } = await memoryStore()
    const short = extentId(9 as VolumeId, 0)
    runner.create(short, 3 * D)
    await runner.commit({ extent: short, blocks: [data(2, 1)] })
    assert.equal((await runner.load([2], short))[0]?.bytes?.length, D)
    assert.deepEqual(await runner.allocation(0, 3, short), [
      { blocks: 2, kind: BLOCK_ABSENT },
      { blocks: 1, kind: BLOCK_DATA },
    ])
    assert.throws(() => runner.store.execute({ type: 'load', token: 1, extent: short, blocks: [3] }), /blocks 3 to 4/)
  })
})

describe('restart', () => {
  test('after a kill the store has every acknowledged write, without a checkpoint', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    await runner.commit({ head: { promised: 5 as Epoch, led: 4 as Epoch, record: RECORD, generation: 3 } })
    const windows = [
      {
        session: (2 ** 52 + 1) as SessionId,
        generation: 3,
        lowMark: 6,
        applied: [[6, 1 as Seq, 3, 2]] as const,
        cancelled: [],
      },
    ]
    await runner.commit({ windows })
    await runner.write(2, [data(5, 2)], { operation: { ...operation(2 ** 52 + 1, 8, 2, 6, 3), first: 5, count: 1 } })
    await runner.write(3, [], {
      operation: operation(11, 1, 3, 0, 3, true),
      head: { lastSeq: 3 as Seq, commitSeq: 2 as Seq },
    })
    assert.ok((await journalKeys(disk)).length > 0, 'nothing was checkpointed')
    const again = await memoryStore(disk)
    const [replica] = again.runner.store.replicas
    assert.deepEqual(replica?.head, {
      promised: 5,
      led: 4,
      lastEpoch: 1,
      lastSeq: 3,
      commitSeq: 2,
      generation: 3,
      record: RECORD,
    })
    assert.deepEqual(replica?.windows, [
      {
        session: 2 ** 52 + 1,
        generation: 3,
        lowMark: 6,
        applied: [
          [6, 1, 3, 2],
          [8, 2, 5, 1],
        ],
        cancelled: [],
      },
      { session: 11, generation: 3, lowMark: 0, applied: [[1, 3, 0, 0]], cancelled: [1] },
    ])
    assert.equal(again.runner.store.identity.trust, 'trusted')
    assert.equal(again.runner.store.identity.incarnation.counter, 2)
    const third = await memoryStore(disk)
    assert.deepEqual(third.runner.store.replicas, again.runner.store.replicas, 'from the checkpoint made at open')
  })

  test('sessions of an older generation and operations below the low mark are dropped after a restart', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    for (let op = 1; op <= 5; op++) await runner.write(op, [], { operation: operation(1, op, op, op - 1) })
    await runner.write(6, [], { operation: operation(2, 1, 6) })
    await runner.write(7, [], { operation: operation(3, 1, 7, 0, 2), head: { lastSeq: 7 as Seq, generation: 2 } })
    const again = await memoryStore(disk)
    assert.deepEqual(
      again.runner.store.replicas[0]?.windows.map(({ session }) => session),
      [3],
    )
  })

  test('the cluster, the start counter and the boot id are kept', async () => {
    const { runner, disk } = await memoryStore(undefined, { bootId: 'boot-1' })
    const cluster = '0189aaaa-0000-7000-8000-000000000001' as never
    const voters = [{ store: runner.store.identity.store, address: 'h:1' }]
    await runner.store.saveCluster(cluster, voters, true)
    assert.equal(runner.store.identity.cluster, cluster)
    await runner.store.close()
    const { runner: next } = await memoryStore(disk, { bootId: 'boot-2' })
    const { bootId } = next.store.identity.incarnation
    assert.match(bootId, /^boot-2\/./)
    assert.deepEqual(next.store.identity, {
      store: runner.store.identity.store,
      cluster,
      voters,
      founded: true,
      featureLevel: 0,
      incarnation: { bootId, counter: 2 },
      trust: 'trusted',
      suspicion: undefined,
    })
  })

  test('a clean stop leaves no journal, and close waits for executed effects', async () => {
    const { runner, disk } = await memoryStore()
    runner.create()
    const calls = [runner.write(1, [data(1, 1)]), runner.load([1]), runner.digests()]
    await runner.store.close()
    await Promise.all(calls)
    // One key: that of the batch with the clean-shutdown flag.
    assert.ok((await journalKeys(disk)).length <= 1)
    const { runner: next } = await memoryStore(disk)
    assert.equal((await next.load([1]))[0]?.version.seq, 1)
  })

  test('a checkpoint is written after a number of batches, and when the store was idle for a while', async () => {
    const { runner, disk } = await memoryStore(undefined, {
      tuning: { checkpointBatches: 10, checkpointIdleMs: 20 },
    })
    runner.create()
    for (let seq = 1; seq <= 25; seq++) {
      await runner.write(seq, [data(seq, seq)])
      assert.ok((await journalKeys(disk)).length <= 11, `after write ${seq}`)
    }
    assert.ok(runner.store.metrics.checkpoints >= 2)
    const deadline = Date.now() + 5000
    while ((await journalKeys(disk)).length > 0) {
      assert.ok(Date.now() < deadline, 'the idle store made no checkpoint')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const { runner: next } = await memoryStore(disk)
    assert.equal(next.store.replicas[0]?.head.lastSeq, 25)
  })
})
