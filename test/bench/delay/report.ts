import { type DelayPoint, type DelayReport, roundTrips } from '../../cluster/net/delay.ts'
import { percentile } from '../../kit/statistics.ts'
import { layOutTable } from '../report.ts'

/** What one operation took behind one delay. */
export interface DelayRow {
  readonly operation: 'write' | 'read'
  readonly oneWayMs: number
  readonly operations: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** From this delay to the longest one, beside which noise is small; undefined of that. */
  readonly roundTrips: number | undefined
}

export interface DelayResult {
  readonly rows: readonly DelayRow[]
  /** Batches that each node synced for one write, those of checkpoints left out. */
  readonly syncs: Readonly<Record<string, number>>
}

/** Round trips, and syncs that follow each other, that a write may wait for. */
const ROUND_TRIP_BOUND = 2
const SYNC_BOUND = 2

const KINDS = { write: 'writes', read: 'reads' } as const
const HEADER = ['OPERATION', 'ONE WAY ms', 'OPERATIONS', 'P50 ms', 'P99 ms', 'ROUND TRIPS']

export function delayResult({ points, batches }: DelayReport): DelayResult {
  const row = (operation: keyof typeof KINDS, point: DelayPoint, longest: DelayPoint | undefined): DelayRow => {
    const latencies = point[KINDS[operation]].flat()
    return {
      operation,
      oneWayMs: point.oneWayMs,
      operations: latencies.length,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      roundTrips: longest === undefined || longest === point ? undefined : roundTrips(point, longest, KINDS[operation]),
    }
  }
  const operations = ['write', 'read'] as const
  const writes = points.reduce((sum, point) => sum + point.writes.flat().length, 0)
  return {
    rows: operations.flatMap((name) => points.map((point) => row(name, point, points.at(-1)))),
    syncs: Object.fromEntries(Object.entries(batches).map(([node, count]) => [node, count / writes])),
  }
}

/** Each operation behind each delay, and a line for each bound. */
export function delayTable({ rows, syncs }: DelayResult): string {
  const cells = rows.map((row) => [
    ...[row.operation, `${row.oneWayMs}`, `${row.operations}`, row.p50Ms.toFixed(2), row.p99Ms.toFixed(2)],
    row.roundTrips?.toFixed(2) ?? '',
  ])
  // Round trips are whole, so that the nearest number is what was measured.
  const ofWrites = rows.findLast(({ operation, roundTrips }) => operation === 'write' && roundTrips !== undefined)
  const slope = ofWrites?.roundTrips ?? Number.NaN
  // Nodes sync side by side: a write waits for the primary's batches, then for those of the slowest replica.
  const waited = 2 * Math.max(...Object.values(syncs))
  const line = (what: string, value: number, bound: number, met: boolean) =>
    `${what}: ${value.toFixed(2)}, bound ${bound}: ${met ? 'met' : 'NOT MET'}\n`
  return [
    layOutTable(HEADER, cells),
    line('round trips of a write', slope, ROUND_TRIP_BOUND, Math.round(slope) <= ROUND_TRIP_BOUND),
    line('syncs that a write waits for at most', waited, SYNC_BOUND, waited <= SYNC_BOUND),
  ].join('')
}
