/** The share of a run, from 0 to 1, that something was under way beside it, by its name. */
export type Coverage = Readonly<Record<string, number>>

/** A time of the wall clock, milliseconds; without an end it goes on. */
export interface Interval {
  readonly fromMs: number
  toMs?: number
}

/** What was seen at one moment: from 0, not under way, to 1, everywhere it can be. */
export interface Sighting {
  readonly atMs: number
  readonly share: number
}

/** Share of a window that intervals, which do not overlap, lie in. */
export function shareOfIntervals(intervals: readonly Interval[], fromMs: number, toMs: number): number {
  const inside = intervals.map(({ fromMs: begin, toMs: end = toMs }) =>
    Math.max(0, Math.min(end, toMs) - Math.max(begin, fromMs)),
  )
  return inside.reduce((sum, ms) => sum + ms, 0) / (toMs - fromMs)
}

/** Mean of what was seen within a window; 0 without a sample, since what was not seen is not claimed. */
export function shareOfSightings(sightings: readonly Sighting[], fromMs: number, toMs: number): number {
  const inside = sightings.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
  return inside.length === 0 ? 0 : inside.reduce((sum, { share }) => sum + share, 0) / inside.length
}
