import type { Context } from '../machine.ts'
import type { RaftLog } from './log.ts'
import type { Outbox } from './outbox.ts'

/**
 * A voter whose log was lost or damaged (raft pitfalls 25 and 35). It continues in a term above any in which it can
 * have voted or acknowledged: the leader of its former term steps down, and the others elect one without its vote.
 *
 * Recovery ends when the first entry of such a leader is on stable storage here. An entry that was committed with this
 * store's acknowledgement is in the log of at least one voter of that leader, hence in the leader's log, before that
 * entry.
 */
export class Recovery {
  private readonly log: RaftLog
  private readonly outbox: Outbox
  /** An entry of a leader's own term, once there is one. */
  private goal: { readonly index: number; readonly term: number } | undefined

  constructor(log: RaftLog, outbox: Outbox) {
    this.log = log
    this.outbox = outbox
  }

  /** Entries may have come. What is in this log in the current term came from the leader of that term. */
  onMessage(ctx: Context): void {
    const { lastIndex, lastTerm } = this.log
    if (lastTerm === this.outbox.term && this.goal?.term !== lastTerm) this.goal = { index: lastIndex, term: lastTerm }
    this.onPersisted(ctx)
  }

  onPersisted(ctx: Context): void {
    const goal = this.goal
    if (!this.outbox.recovering || goal === undefined) return
    if (this.log.stable < goal.index || this.log.termAt(goal.index) !== goal.term) return
    this.outbox.endRecovery()
    ctx.event('info', 'raft-recovered', { index: goal.index })
  }
}
