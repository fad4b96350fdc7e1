import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StorageDriver } from '../../src/storage/driver.ts'
import { GatheredReads } from '../../src/storage/replicas/gathered-reads.ts'

const keyOf = (number: number) => new Uint8Array([number])

/** Notes which keys came in one call; a value is its key, and key 99 cannot be read. */
function notingDriver(calls: number[][]): StorageDriver {
  const getMany = async (keys: readonly Uint8Array[]) => {
    calls.push(keys.map((key) => key[0] as number))
    if (keys.some((key) => key[0] === 99)) throw new Error('the disk cannot read')
    return [...keys]
  }
  return { getMany } as unknown as StorageDriver
}

test('keys requested in one turn go to the driver in one call, and each caller gets its own values', async () => {
  const calls: number[][] = []
  const reads = new GatheredReads(notingDriver(calls))
  const answers = await Promise.all([reads.getMany([keyOf(1)]), reads.getMany([keyOf(2), keyOf(3)])])
  assert.deepEqual(calls, [[1, 2, 3]])
  assert.deepEqual(answers, [[keyOf(1)], [keyOf(2), keyOf(3)]])
  await reads.getMany([keyOf(4)])
  assert.deepEqual(calls, [[1, 2, 3], [4]])
})

test('many keys are split into calls of 16, so that several threads read them, and the keys of a caller stay together', async () => {
  const calls: number[][] = []
  const reads = new GatheredReads(notingDriver(calls))
  const long = Array.from({ length: 40 }, (_, at) => keyOf(at + 20))
  await Promise.all([...Array.from({ length: 20 }, (_, at) => reads.getMany([keyOf(at)])), reads.getMany(long)])
  assert.deepEqual(
    calls.map((keys) => keys.length),
    [16, 4, 40],
  )
})

test('a failed read is reported to all callers that share it, and to no other', async () => {
  const reads = new GatheredReads(notingDriver([]))
  const shared = await Promise.allSettled([reads.getMany([keyOf(99)]), reads.getMany([keyOf(1)])])
  assert.deepEqual(
    shared.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.deepEqual(await reads.getMany([keyOf(1)]), [keyOf(1)])
})

test('keys go to the driver before callbacks at the end of the turn', async () => {
  const calls: number[][] = []
  const reads = new GatheredReads(notingDriver(calls))
  let seen = -1
  const endOfTurn = new Promise<void>((resolve) =>
    setImmediate(() => {
      seen = calls.length
      resolve()
    }),
  )
  const reading = reads.getMany([keyOf(1)])
  await Promise.all([endOfTurn, reading])
  assert.equal(seen, 1)
})
