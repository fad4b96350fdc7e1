import { type BlockIndex, LIMITS, type Millis, type Seq, type SessionId, type SessionWindow } from '@ashlar/proto'
import type { ReplicaChange } from '../machine.ts'

/** What is known of an operation id. `resolved`: the client has reported that it needs no response any more. */
export type OperationState =
  | { readonly state: 'unknown' }
  | { readonly state: 'resolved' }
  | { readonly state: 'applied'; readonly seq: Seq; readonly cancelled: boolean }

/** The blocks from the first to the last that an operation wrote; none for a cancelled one. */
export interface Span {
  readonly first: BlockIndex
  readonly count: number
}

/** Every possible block, for operations recorded by stores that kept no spans. */
export const UNKNOWN_SPAN: Span = { first: 0 as BlockIndex, count: LIMITS.maxExtentBytes / LIMITS.minBlockBytes }

/** An operation that is remembered, as a change of a replica carries it. */
type Remembered = NonNullable<ReplicaChange['operation']>

interface Applied extends Span {
  readonly seq: Seq
}

interface Window {
  generation: number
  lowMark: number
  readonly applied: Map<number, Applied>
  readonly cancelled: Set<number>
  /** When this store last recorded an operation of the session, or received its window. */
  recordedAt: Millis
}

/** Before everything that happens in this incarnation of the store. */
const BEFORE = Number.NEGATIVE_INFINITY

/**
 * Operation ids that one replica applied and whose sessions have not reported them as resolved: a retry after a
 * failover gets its response from here and is not done again (amendment 13). Bounded by the sessions' own limit on
 * unresolved operations. Sessions of older attachment generations are dropped, and so are sessions that ended
 * (A2.11-8): their operations are fenced anyway.
 */
export class DedupeWindows {
  private readonly sessions = new Map<SessionId, Window>()

  static from(windows: readonly SessionWindow[]): DedupeWindows {
    const dedupe = new DedupeWindows()
    dedupe.replace(windows)
    return dedupe
  }

  replace(windows: readonly SessionWindow[], now: Millis = BEFORE): void {
    this.sessions.clear()
    for (const window of windows) {
      this.sessions.set(window.session, {
        generation: window.generation,
        lowMark: window.lowMark,
        applied: new Map(window.applied.map(([op, seq, first, count]) => [op, { seq, first, count }])),
        cancelled: new Set(window.cancelled),
        recordedAt: now,
      })
    }
  }

  /** Number of sessions with a window. */
  get size(): number {
    return this.sessions.size
  }

  has(session: SessionId): boolean {
    return this.sessions.has(session)
  }

  find(session: SessionId, op: number): OperationState {
    const window = this.sessions.get(session)
    if (window === undefined) return { state: 'unknown' }
    const applied = window.applied.get(op)
    if (applied !== undefined) return { state: 'applied', seq: applied.seq, cancelled: window.cancelled.has(op) }
    return op < window.lowMark ? { state: 'resolved' } : { state: 'unknown' }
  }

  record(operation: Remembered, now: Millis = BEFORE): void {
    const { seq, first, count } = operation
    let window = this.sessions.get(operation.session)
    if (window === undefined) {
      const { generation } = operation
      window = { generation, lowMark: 0, applied: new Map(), cancelled: new Set(), recordedAt: now }
      this.sessions.set(operation.session, window)
    }
    window.recordedAt = now
    window.generation = Math.max(window.generation, operation.generation)
    window.applied.set(operation.op, { seq, first, count })
    if (operation.cancel) window.cancelled.add(operation.op)
    if (operation.lowMark <= window.lowMark) return
    window.lowMark = operation.lowMark
    for (const op of window.applied.keys()) {
      if (op >= operation.lowMark) continue
      window.applied.delete(op)
      window.cancelled.delete(op)
    }
  }

  /**
   * A primary replaces what this replica has of a block: forgets the operations that wrote the block here and that the
   * primary does not have, so that their retries are new to this replica. True when there were any.
   */
  rollBack(block: BlockIndex, primary: DedupeWindows): boolean {
    let forgotten = false
    for (const [session, window] of this.sessions) {
      for (const [op, { first, count }] of window.applied) {
        if (block < first || block >= first + count || primary.settles(session, op)) continue
        window.applied.delete(op)
        window.cancelled.delete(op)
        forgotten = true
      }
    }
    return forgotten
  }

  /** The operation is part of the state that these windows belong to, or needs no response any more. */
  private settles(session: SessionId, op: number): boolean {
    const known = this.find(session, op)
    return known.state === 'resolved' || (known.state === 'applied' && !known.cancelled)
  }

  /** Forgets the sessions of generations below this one. */
  dropBelow(generation: number): void {
    for (const [session, window] of this.sessions) if (window.generation < generation) this.sessions.delete(session)
  }

  /** Sessions of which this store recorded nothing since `asOf`. */
  notSince(asOf: Millis): SessionId[] {
    return [...this.sessions].filter(([, { recordedAt }]) => recordedAt < asOf).map(([session]) => session)
  }

  drop(sessions: readonly SessionId[]): void {
    for (const session of sessions) this.sessions.delete(session)
  }

  snapshot(): SessionWindow[] {
    return [...this.sessions].map(([session, window]) => ({
      session,
      generation: window.generation,
      lowMark: window.lowMark,
      applied: [...window.applied]
        .sort((a, b) => a[0] - b[0])
        .map(([op, { seq, first, count }]) => [op, seq, first, count]),
      cancelled: [...window.cancelled].sort((a, b) => a - b),
    }))
  }
}
