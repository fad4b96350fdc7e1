import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchesOf, type DelayReport, roundTrips } from '../../cluster/net/delay.ts'
import { delayResult, delayTable } from './report.ts'

/**
 * Three delays; a write takes 3 ms and so many round trips, a read 1 ms and one; each node syncs so often for one
 * write.
 */
function report(tripsOfWrite: number, syncsOfWrite = 1): DelayReport {
  const around = (ms: number) => Array.from({ length: 99 }, (_, at) => ms + (at - 49) / 1000)
  const points = [0, 0.5, 5].map((oneWayMs) => ({
    oneWayMs,
    writes: [around(3 + tripsOfWrite * 2 * oneWayMs)],
    reads: [around(1 + 2 * oneWayMs)],
  }))
  const count = 3 * 99 * syncsOfWrite
  return { points, batches: { n1: count, n2: count, n3: count } }
}

test('the table has the middle and the slow end of each delay, and round trips from it to the longest', () => {
  const lines = delayTable(delayResult(report(2))).split('\n')
  assert.match(lines[1] ?? '', /^write +0 +99 +3\.00 +3\.05 +2\.00$/)
  assert.match(lines[2] ?? '', /^write +0\.5 +99 +5\.00 +5\.05 +2\.00$/)
  assert.match(lines[3] ?? '', /^write +5 +99 +23\.00 +23\.05$/)
  assert.match(lines[5] ?? '', /^read +0\.5 +99 +2\.00 +2\.05 +1\.00$/)
  assert.match(lines[6] ?? '', /^read +5 +99 +11\.00 +11\.05$/)
})

test('a bound is met by what is nearest to it, and missed by a third round trip or a second sync of a node', () => {
  const met = delayTable(delayResult(report(2.2)))
  assert.match(met, /round trips of a write: 2\.20, bound 2: met/)
  assert.match(met, /syncs that a write waits for at most: 2\.00, bound 2: met/)
  assert.match(delayTable(delayResult(report(2.8))), /round trips of a write: 2\.80, bound 2: NOT MET/)
  assert.match(delayTable(delayResult(report(2, 2))), /waits for at most: 4\.00, bound 2: NOT MET/)
})

test('of each delay the calmest turn counts, by its middle operation', () => {
  const near = {
    oneWayMs: 1,
    writes: [
      [9, 9, 90],
      [3, 3, 70],
    ],
    reads: [],
  }
  const far = {
    oneWayMs: 6,
    writes: [
      [23, 23, 23],
      [20, 40, 50],
    ],
    reads: [],
  }
  assert.equal(roundTrips(near, far, 'writes'), 2)
})

test('batches are those that were synced, without those of checkpoints, and never a guess', () => {
  const sum = 'ashlar_storage_sync_seconds_sum 7\n'
  const metrics = `${sum}ashlar_storage_sync_seconds_count 120\nashlar_storage_checkpoints_total 3\n`
  assert.equal(batchesOf(metrics), 117)
  assert.throws(() => batchesOf(sum), /exposes no ashlar_storage_sync_seconds_count/)
})
