import type { JobResult } from '../measure.ts'
import { layOutTable, milliseconds } from '../report.ts'

/** p99 beside upkeep may be this many times that of the quiet cluster. */
const BOUND = 2

/**
 * p99 of each job quiet and beside upkeep, and the share of the runs that each part of it covered: a mean, and of them
 * the least.
 */
export function upkeepTable(results: readonly JobResult[]): string {
  const rows = results.flatMap((busy) => {
    const covered = busy.runs.map(({ beside }) => beside).filter((coverage) => coverage !== undefined)
    const quiet = results.find(({ job, subject }) => job === busy.job && subject === 'ashlar')
    if (covered.length === 0 || quiet === undefined) return []
    const times = busy.median.p99Us / quiet.median.p99Us
    const share = (name: string) => {
      const shares = covered.map((coverage) => coverage[name] ?? 0)
      const mean = shares.reduce((sum, value) => sum + value, 0) / shares.length
      return `${percent(mean)} (${percent(Math.min(...shares))})`
    }
    return [
      [
        ...[busy.job, milliseconds(quiet.median.p99Us), milliseconds(busy.median.p99Us)],
        ...[times.toFixed(2), times <= BOUND ? 'met' : 'NOT MET'],
        ...['scrub', 'rebuild', 'trim'].map(share),
      ],
    ]
  })
  if (rows.length === 0) return ''
  const header = ['JOB', 'P99 ms QUIET', 'BESIDE', 'TIMES', `AT MOST ${BOUND}`]
  return layOutTable([...header, 'SCRUB % (LEAST)', 'REBUILD %', 'TRIM %'], rows)
}

function percent(share: number): string {
  return (share * 100).toFixed(0)
}
