/**
 * Linearizability of one register from its recorded history, after Gibbons and Korach, "Testing Shared Memories" (SIAM
 * Journal on Computing 26, 1997): with values that are written once, each value has a zone, from the first response to
 * the last invocation among the write and the reads of that value. The history is linearizable exactly when no read
 * ends before its write begins, no two forward zones overlap, and no backward zone lies inside a forward one. That
 * takes O(n log n) instead of a search over all orders.
 *
 * Zero is the one value that may be written often (a trimmed block reads as zeroes, and so does a block never written).
 * A read of zero counts for a zone only when a single discard can have been its source; when several can, it is only
 * checked that at least one can. That finds fewer errors than exact values do, and never reports one that is none.
 */

/** One operation on one register. Times are of one true clock, in any unit. */
export interface RegisterOperation {
  readonly kind: 'write' | 'read'
  /** Written at most once, but for ZERO. */
  readonly value: number
  readonly invoked: number
  /**
   * Infinity: no answer came, or one that does not say; the write may have taken effect at any time since, or never.
   */
  readonly returned: number
}

export interface RegisterProblem {
  readonly kind: 'unwritten' | 'future' | 'overlap' | 'stale'
  readonly value: number
  /** The value whose zone is in the way. */
  readonly other?: number
  readonly text: string
}

/** What a register holds before the first write, and what a discard writes. */
export const ZERO = 0

/** Says what is wrong with the history of one register, or undefined. Reads without an answer must be left out. */
export function checkRegister(history: readonly RegisterOperation[]): RegisterProblem | undefined {
  const clusters = clustersOf(history)
  if ('kind' in clusters) return clusters
  const zones = clusters.flatMap((cluster) => zoneOf(cluster) ?? [])
  const forward = zones.filter((zone) => zone.forward).sort((a, b) => a.from - b.from)
  return overlapProblem(forward) ?? staleProblem(zones, forward)
}

/** A write and the reads that returned its value. */
interface Cluster {
  readonly write: RegisterOperation
  readonly reads: RegisterOperation[]
}

interface Zone {
  readonly value: number
  readonly forward: boolean
  readonly from: number
  readonly to: number
}

const BEGINNING: RegisterOperation = { kind: 'write', value: ZERO, invoked: -Infinity, returned: -Infinity }

function clustersOf(history: readonly RegisterOperation[]): Cluster[] | RegisterProblem {
  const byValue = new Map<number, Cluster>()
  const erasures: Cluster[] = [{ write: BEGINNING, reads: [] }]
  for (const operation of history) {
    if (operation.kind !== 'write') continue
    const cluster = { write: operation, reads: [] }
    if (operation.value === ZERO) erasures.push(cluster)
    else if (byValue.has(operation.value)) throw new Error(`value ${operation.value} was written twice`)
    else byValue.set(operation.value, cluster)
  }
  const writes = [...erasures, ...byValue.values()].map((cluster) => cluster.write)
  for (const read of history) {
    if (read.kind !== 'read') continue
    const problem = read.value === ZERO ? attributeZero(read, erasures, writes) : attribute(read, byValue)
    if (problem !== undefined) return problem
  }
  return [...erasures, ...byValue.values()]
}

function attribute(read: RegisterOperation, byValue: ReadonlyMap<number, Cluster>): RegisterProblem | undefined {
  const cluster = byValue.get(read.value)
  if (cluster === undefined) {
    return { kind: 'unwritten', value: read.value, text: `a read returned ${read.value}, which was never written` }
  }
  if (read.returned < cluster.write.invoked) {
    return { kind: 'future', value: read.value, text: `${read.value} was read before its write began` }
  }
  cluster.reads.push(read)
  return undefined
}

function attributeZero(
  read: RegisterOperation,
  erasures: readonly Cluster[],
  writes: readonly RegisterOperation[],
): RegisterProblem | undefined {
  const sources = erasures.filter(
    ({ write }) => write.invoked <= read.returned && !overwrittenBefore(write, read, writes),
  )
  if (sources.length === 0) {
    return {
      kind: 'stale',
      value: ZERO,
      text: `a read from ${read.invoked} to ${read.returned} returned zeroes, and every discard was overwritten before it`,
    }
  }
  if (sources.length === 1) sources[0]?.reads.push(read)
  return undefined
}

/** True when some write came wholly after `write` and wholly before `read`. */
function overwrittenBefore(
  write: RegisterOperation,
  read: RegisterOperation,
  writes: readonly RegisterOperation[],
): boolean {
  return writes.some((other) => write.returned < other.invoked && other.returned < read.invoked)
}

/** Undefined for a write without an answer that no read returned: it may be taken to have never happened. */
function zoneOf({ write, reads }: Cluster): Zone | undefined {
  if (write.returned === Infinity && reads.length === 0) return undefined
  let firstResponse = write.returned
  let lastInvocation = write.invoked
  for (const read of reads) {
    firstResponse = Math.min(firstResponse, read.returned)
    lastInvocation = Math.max(lastInvocation, read.invoked)
  }
  return {
    value: write.value,
    forward: firstResponse < lastInvocation,
    from: Math.min(firstResponse, lastInvocation),
    to: Math.max(firstResponse, lastInvocation),
  }
}

/** `forward`: sorted by where they begin. */
function overlapProblem(forward: readonly Zone[]): RegisterProblem | undefined {
  for (let index = 1; index < forward.length; index++) {
    const earlier = forward[index - 1] as Zone
    const later = forward[index] as Zone
    if (later.from < earlier.to) {
      return {
        kind: 'overlap',
        value: earlier.value,
        other: later.value,
        text: `${earlier.value} (${earlier.from} to ${earlier.to}) and ${later.value} (${later.from} to ${later.to}) each held the register while the other did`,
      }
    }
  }
  return undefined
}

function staleProblem(zones: readonly Zone[], forward: readonly Zone[]): RegisterProblem | undefined {
  for (const zone of zones) {
    if (zone.forward) continue
    const around = lastBefore(forward, zone.from)
    if (around !== undefined && zone.to < around.to) {
      return {
        kind: 'stale',
        value: around.value,
        other: zone.value,
        text: `${around.value} was read after ${zone.value} (${zone.from} to ${zone.to}) had replaced it: it held from ${around.from} to ${around.to}`,
      }
    }
  }
  return undefined
}

/** The last of the sorted, disjoint zones that begins before `moment`. */
function lastBefore(sorted: readonly Zone[], moment: number): Zone | undefined {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as Zone).from < moment) low = middle + 1
    else high = middle
  }
  return sorted[low - 1]
}
