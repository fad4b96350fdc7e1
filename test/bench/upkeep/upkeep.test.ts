import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobResult } from '../measure.ts'
import { type Coverage, shareOfIntervals, shareOfSightings } from './coverage.ts'
import { upkeepTable } from './report.ts'

test('the share of a window that intervals lie in: what is outside does not count, what goes on counts to its end', () => {
  const intervals = [{ fromMs: 0, toMs: 1200 }, { fromMs: 1500, toMs: 1600 }, { fromMs: 1900 }]
  assert.equal(shareOfIntervals(intervals, 1000, 2000), 0.4)
  assert.equal(shareOfIntervals([], 1000, 2000), 0)
  assert.equal(shareOfIntervals([{ fromMs: 0, toMs: 900 }], 1000, 2000), 0)
})

test('what was seen within a window is its mean, and what was not sampled is not claimed', () => {
  const sightings = [900, 1000, 1500, 2000, 2100].map((atMs, index) => ({ atMs, share: index / 4 }))
  assert.equal(shareOfSightings(sightings, 1000, 2000), 0.5)
  assert.equal(shareOfSightings(sightings, 3000, 4000), 0)
})

/** A result of runs that differ in what was under way beside them. */
function result(subject: JobResult['subject'], p99Us: number, covered: readonly (Coverage | undefined)[]): JobResult {
  const figures = { operationsPerSecond: 1, bytesPerSecond: 4096, worstSecond: 1, p50Us: 1, p99Us, p999Us: p99Us }
  const median = { ...figures, maxUs: p99Us, cpuUs: 1, fioCpuUs: 1, otherProcessors: 0 }
  return {
    ...{ job: 'randread-4k-qd32', subject, median, spread: 0, processes: [] },
    runs: covered.map((beside) => ({
      ...{ figures: median, processes: [], seconds: [], window: { fromMs: 0, toMs: 1 }, operations: 1 },
      ...(beside === undefined ? {} : { beside }),
    })),
  }
}

test('the table says by how much p99 rose, and which share of the runs each part of upkeep covered', () => {
  const covered = [
    { scrub: 1, rebuild: 1, trim: 0.2 },
    { scrub: 1, rebuild: 0.5, trim: 0.4 },
  ]
  const quiet = result('ashlar', 5000, [undefined, undefined])
  const [, row = ''] = upkeepTable([quiet, result('ashlar-upkeep', 9500, covered)]).split('\n')
  assert.match(row, /^randread-4k-qd32 +5\.00 +9\.50 +1\.90 +met +100 \(100\) +75 \(50\) +30 \(20\)$/)
  assert.match(upkeepTable([quiet, result('ashlar-upkeep', 10_500, covered)]), /2\.10 +NOT MET/)
})

test('there is no table where nothing ran beside', () => {
  assert.equal(upkeepTable([result('ashlar', 5000, [undefined])]), '')
})
