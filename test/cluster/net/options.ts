/** What one run over a network of namespaces does. It is handed to the process inside as JSON. */
export interface NetOptions {
  readonly seed: number
  /** Storage nodes, 3 or 5. */
  readonly nodes: number
  /** Nodes that vote on the control log; undefined: as many as `server run` takes by itself. */
  readonly voters: number | undefined
  /** Chapters follow each other until this time is over; there is at least one. */
  readonly durationMs: number
  /** How long faults come and go in one chapter. */
  readonly chapterMs: number
  /** A fault stays at most so long. */
  readonly longestFaultMs: number
  /** One line a minute instead of one for each fault. */
  readonly quiet: boolean
}

/** What a run did and found: the sum over its chapters. */
export interface NetReport {
  chapters: number
  /** Calls by their end: `unknown` and `never` failed by time or connection while faults were there. */
  readonly calls: { done: number; unknown: number; never: number }
  /** Failed calls, and attempts to open a disk, by their reason. */
  readonly failures: Record<string, number>
  /** Faults by kind. */
  readonly faults: Record<string, number>
  /** Packets by what became of them. */
  packets: Record<string, number>
  /** Longest call, faults and all. */
  longestCallMs: number
  /** Longest time from the end of all faults until every user had a write and a read done. */
  longestRecoveryMs: number
  /** Bugs: what no fault explains. */
  readonly violations: string[]
}

export function emptyReport(): NetReport {
  return {
    chapters: 0,
    calls: { done: 0, unknown: 0, never: 0 },
    failures: {},
    faults: {},
    packets: {},
    longestCallMs: 0,
    longestRecoveryMs: 0,
    violations: [],
  }
}

/** The report as lines for people. */
export function describeReport(report: NetReport): string {
  const { chapters, calls, failures, faults, packets, longestCallMs, longestRecoveryMs, violations } = report
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  const listed = (counts: object): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  return [
    `${chapters} chapters; calls: ${listed(calls)}`,
    `failures: ${listed(failures)}`,
    `faults: ${listed(faults)}`,
    `packets: ${listed(packets)}`,
    `longest call ${seconds(longestCallMs)}; all users went on within ${seconds(longestRecoveryMs)} of the last fault`,
    violations.length === 0 ? 'violations: none' : `violations: ${violations.length}\n${violations.join('\n')}`,
  ].join('\n')
}
