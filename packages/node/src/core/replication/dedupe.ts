import type { Seq, SessionId, SessionWindow } from '@ashlar/proto'

/** What is known of an operation id. `resolved`: the client itself has said that it needs no answer any more. */
export type OperationState =
  | { readonly state: 'unknown' }
  | { readonly state: 'resolved' }
  | { readonly state: 'applied'; readonly seq: Seq; readonly cancelled: boolean }

interface Window {
  generation: number
  lowMark: number
  readonly applied: Map<number, Seq>
  readonly cancelled: Set<number>
}

/**
 * Operation ids that one replica applied and whose sessions have not said that they are resolved: a retry after a
 * failover is answered from here and not done again (amendment 13). Bounded by the sessions' own limit on unresolved
 * operations. Sessions of an attachment generation that is over are dropped: their operations are fenced anyway.
 */
export class DedupeWindows {
  private readonly sessions = new Map<SessionId, Window>()

  static from(windows: readonly SessionWindow[]): DedupeWindows {
    const dedupe = new DedupeWindows()
    dedupe.replace(windows)
    return dedupe
  }

  replace(windows: readonly SessionWindow[]): void {
    this.sessions.clear()
    for (const window of windows) {
      this.sessions.set(window.session, {
        generation: window.generation,
        lowMark: window.lowMark,
        applied: new Map(window.applied),
        cancelled: new Set(window.cancelled),
      })
    }
  }

  find(session: SessionId, op: number): OperationState {
    const window = this.sessions.get(session)
    if (window === undefined) return { state: 'unknown' }
    const seq = window.applied.get(op)
    if (seq !== undefined) return { state: 'applied', seq, cancelled: window.cancelled.has(op) }
    return op < window.lowMark ? { state: 'resolved' } : { state: 'unknown' }
  }

  record(
    operation: { session: SessionId; op: number; lowMark: number; generation: number },
    seq: Seq,
    cancel: boolean,
  ): void {
    let window = this.sessions.get(operation.session)
    if (window === undefined) {
      window = { generation: operation.generation, lowMark: 0, applied: new Map(), cancelled: new Set() }
      this.sessions.set(operation.session, window)
    }
    window.generation = Math.max(window.generation, operation.generation)
    window.applied.set(operation.op, seq)
    if (cancel) window.cancelled.add(operation.op)
    if (operation.lowMark <= window.lowMark) return
    window.lowMark = operation.lowMark
    for (const op of window.applied.keys()) {
      if (op >= operation.lowMark) continue
      window.applied.delete(op)
      window.cancelled.delete(op)
    }
  }

  /** Forgets the sessions of generations below this one. */
  dropBelow(generation: number): void {
    for (const [session, window] of this.sessions) if (window.generation < generation) this.sessions.delete(session)
  }

  snapshot(): SessionWindow[] {
    return [...this.sessions].map(([session, window]) => ({
      session,
      generation: window.generation,
      lowMark: window.lowMark,
      applied: [...window.applied].sort((a, b) => a[0] - b[0]),
      cancelled: [...window.cancelled].sort((a, b) => a - b),
    }))
  }
}
