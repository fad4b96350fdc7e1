import type { Seq, SessionId, SessionWindow } from '@ashlar/proto'
import type { JournalOperation } from '../repositories/journal-repository.ts'

interface Window {
  generation: number
  lowMark: number
  readonly applied: Map<number, { readonly seq: Seq; readonly cancelled: boolean }>
}

/**
 * Operations that one replica applied and must recognise when they come again (amendment 13): by session, until the
 * session's low mark passes them or its generation is over.
 */
export class DedupeWindows {
  #sessions = new Map<SessionId, Window>()

  constructor(windows: readonly SessionWindow[] = []) {
    this.replace(windows)
  }

  add(operation: JournalOperation): void {
    const { session, op, lowMark, generation, seq, cancel } = operation
    let window = this.#sessions.get(session)
    if (window === undefined) {
      window = { generation, lowMark, applied: new Map() }
      this.#sessions.set(session, window)
    }
    window.generation = Math.max(window.generation, generation)
    if (lowMark > window.lowMark) {
      window.lowMark = lowMark
      for (const known of window.applied.keys()) if (known < lowMark) window.applied.delete(known)
    }
    if (op >= window.lowMark) window.applied.set(op, { seq, cancelled: cancel })
  }

  /** A later generation is known: sessions of earlier ones can send nothing any more. */
  dropBelow(generation: number): void {
    for (const [session, window] of this.#sessions) if (window.generation < generation) this.#sessions.delete(session)
  }

  /** Takes over the windows of a primary (MARK). */
  replace(windows: readonly SessionWindow[]): void {
    this.#sessions = new Map(
      windows.map(({ session, generation, lowMark, applied, cancelled }) => {
        const refused = new Set(cancelled)
        const operations = applied.map(([op, seq]) => [op, { seq, cancelled: refused.has(op) }] as const)
        return [session, { generation, lowMark, applied: new Map(operations) }]
      }),
    )
  }

  /** Sessions in ascending order, operations in ascending order. */
  toArray(): SessionWindow[] {
    return [...this.#sessions]
      .sort(([a], [b]) => a - b)
      .map(([session, { generation, lowMark, applied }]) => {
        const operations = [...applied].sort(([a], [b]) => a - b)
        return {
          session,
          generation,
          lowMark,
          applied: operations.map(([op, { seq }]) => [op, seq] as const),
          cancelled: operations.filter(([, { cancelled }]) => cancelled).map(([op]) => op),
        }
      })
  }
}
