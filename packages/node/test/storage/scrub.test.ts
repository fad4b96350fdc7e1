import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LIMITS } from '@ashlar/proto'
import { blockKey } from '../../src/storage/encoding/keyspace.ts'
import { MemoryDriver } from '../../src/storage/index.ts'
import { Scrubber, type ScrubberOptions } from '../../src/storage/scrub/index.ts'
import { del, put } from '../conformance/storage-driver-suite.ts'
import { content, D, data, EXTENT, memoryStore, type StoreRunner } from './store-kit.ts'

/** As fast as it can: what is tested here is what it reads and finds. */
const FAST = 1e12

function scrubberOf(runner: StoreRunner, options: Partial<ScrubberOptions> = {}): Scrubber {
  const scrubber = new Scrubber(runner.store.scrubbed, { bytesPerSecond: FAST, ...options })
  scrubber.start()
  return scrubber
}

async function until(what: string, done: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!done()) {
    assert.ok(performance.now() < deadline, `not within 10 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

async function pass(runner: StoreRunner): Promise<Scrubber> {
  const scrubber = scrubberOf(runner)
  await until('a pass', () => scrubber.status.totals.passes === 1)
  scrubber.stop()
  return scrubber
}

/** A store with so many blocks written, closed and opened again, so that nothing of it is in memory. */
async function filled(blocks: number, disturb: (driver: MemoryDriver) => Promise<void> = async () => undefined) {
  const { runner, disk } = await memoryStore()
  runner.create()
  const all = Array.from({ length: blocks }, (_, block) => data(block, 1))
  await runner.write(1, all)
  await runner.store.close()
  await disturb(new MemoryDriver(disk))
  return await memoryStore(disk)
}

const found = (runner: StoreRunner) =>
  runner.completions.flatMap((it) => (it.type === 'damage-found' ? it.blocks.map(({ block }) => block) : []))
const suspicions = (runner: StoreRunner) =>
  runner.completions.flatMap((it) => (it.type === 'store-suspect' ? [it.reason] : []))

describe('a scrub', () => {
  test('reads every block, and reports blocks with wrong or missing bytes, which are recorded on disk', async () => {
    const { runner, disk } = await filled(600, (driver) =>
      driver.apply([put(blockKey('bytes', EXTENT, 7), content(8, 1)), del(blockKey('bytes', EXTENT, 400))], 'synced'),
    )
    const { status } = await pass(runner)
    assert.deepEqual(found(runner), [7, 400])
    assert.deepEqual(suspicions(runner), [])
    assert.deepEqual(
      [status.last?.blocks, status.last?.bytes, status.last?.damagedBlocks, status.last?.lostLeaves],
      [600, 598 * D, 2, 0],
    )
    await runner.store.close()
    const again = await memoryStore(disk)
    assert.deepEqual(again.runner.store.replicas[0]?.damaged, [7, 400])
  })

  test('finds lost versions, without which their blocks would read as zeroes', async () => {
    const { runner, disk } = await filled(600, (driver) =>
      driver.apply([del(blockKey('version', EXTENT, 300)), del(blockKey('bytes', EXTENT, 300))], 'synced'),
    )
    const { status } = await pass(runner)
    assert.equal(status.last?.lostLeaves, 1)
    assert.match(suspicions(runner)[0] ?? '', /versions of leaf 1 of extent \d+ do not match their digest/)
    await runner.store.close()
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'suspect')
  })

  test('takes no concurrent write for damage, whatever is in memory', async () => {
    const { runner } = await filled(600)
    const scrubber = scrubberOf(runner, { passEveryMs: 0 })
    for (let seq = 2; seq < 400; seq++) {
      await runner.write(
        seq,
        Array.from({ length: 8 }, (_, at) => data((seq * 37 + at * 71) % 600, seq)),
      )
    }
    await until('passes beside the writes', () => scrubber.status.totals.passes > 2)
    scrubber.stop()
    assert.deepEqual([found(runner), suspicions(runner)], [[], []])
    assert.deepEqual([scrubber.status.totals.damagedBlocks, scrubber.status.totals.lostLeaves], [0, 0])
    await runner.store.close()
  })

  test('continues after a restart, and reads no block twice', async () => {
    const { runner, disk } = await filled(2000)
    // 128 KiB a slice and 10 ms between two: it is stopped long before its end.
    const scrubber = scrubberOf(runner, { bytesPerSecond: 12.8 * 2 ** 20 })
    await until('half of it', () => scrubber.status.position > 0.2)
    scrubber.stop()
    const before = scrubber.status
    await runner.store.close()
    assert.ok((before.current?.blocks ?? 0) > 0 && (before.current?.blocks ?? 0) < 2000)
    const again = await memoryStore(disk)
    const { status } = await pass(again.runner)
    assert.equal(status.last?.startedAtMs, before.current?.startedAtMs, 'it is one pass')
    assert.equal(status.last?.blocks, 2000)
    assert.ok(status.totals.blocks < 2000, 'of which this process read the rest')
    await again.runner.store.close()
  })

  test('keeps to its rate', async () => {
    const { runner } = await filled(512)
    const startedAt = performance.now()
    const scrubber = scrubberOf(runner, { bytesPerSecond: 8 * 2 ** 20 })
    await until('a pass', () => scrubber.status.totals.passes === 1)
    // 2 MiB at 8 MiB a second; timers are a millisecond early at most, for each of 16 slices.
    assert.ok(performance.now() - startedAt >= 230, `${performance.now() - startedAt} ms`)
    scrubber.stop()
    await runner.store.close()
  })

  test('at a rate of 0 reads nothing and reports that it is off', async () => {
    const { runner } = await filled(10)
    const scrubber = scrubberOf(runner, { bytesPerSecond: 0 })
    scrubber.command('start')
    assert.equal(scrubber.status.state, 'off')
    assert.equal(scrubber.status.totals.blocks, 0)
    scrubber.stop()
    await runner.store.close()
  })

  test('stays paused over a restart until it is resumed, and starts a pass on request', async () => {
    const { runner, disk } = await filled(300)
    const first = await pass(runner)
    assert.equal(first.status.state, 'waiting', 'the next one is a day away')
    first.command('pause')
    await runner.store.close()
    const { runner: next } = await memoryStore(disk)
    const scrubber = scrubberOf(next, { passEveryMs: 0 })
    await until('what is kept is read', () => scrubber.status.last !== null)
    assert.equal(scrubber.status.state, 'paused')
    scrubber.command('resume')
    await until('a pass after the pause', () => scrubber.status.totals.passes > 0)
    scrubber.stop()
    const asked = scrubberOf(next)
    await until('what is kept is read', () => asked.status.last !== null)
    assert.equal(asked.status.totals.passes, 0)
    asked.command('start')
    await until('the pass that was asked for', () => asked.status.totals.passes === 1)
    asked.stop()
    await next.store.close()
  })

  test('continues with the other replicas when one is dropped during its pass', async () => {
    const { runner } = await filled(4 * LIMITS.leafBlocks)
    const scrubber = scrubberOf(runner, { bytesPerSecond: 12.8 * 2 ** 20 })
    await until('it began', () => (scrubber.status.current?.blocks ?? 0) > 0)
    runner.store.execute({ type: 'drop-replica', extent: EXTENT })
    await until('the pass is over', () => scrubber.status.totals.passes === 1)
    assert.deepEqual([found(runner), suspicions(runner)], [[], []])
    scrubber.stop()
    await runner.store.close()
  })
})
