import type { AppendEntries, Millis, RaftMessage, StoreId } from '@ashlar/proto'
import type { LogEntry } from '../../control/log/index.ts'
import type { Context } from '../../machine.ts'
import { isVoter } from '../members.ts'
import { SnapshotReceiver } from '../snapshot-receiver.ts'
import type { Core, Role } from './role.ts'

/**
 * Follows the leader of its term. A voter without a leader for an election timeout begins a pre-vote; a learner, a
 * removed store and one without members wait.
 */
export class Follower implements Role {
  readonly name = 'follower'
  leader: StoreId | undefined
  private readonly core: Core
  private readonly receiver: SnapshotReceiver
  private heardAt = Number.NEGATIVE_INFINITY
  private deadline: Millis

  constructor(core: Core, ctx: Context, leader: StoreId | undefined) {
    this.core = core
    this.receiver = new SnapshotReceiver(core)
    this.leader = leader
    this.deadline = this.nextDeadline(ctx)
    if (leader !== undefined) this.heardAt = ctx.now
  }

  hearsLeader(now: Millis): boolean {
    return this.leader !== undefined && now - this.heardAt < this.core.options.electionMinMs
  }

  onMessage(ctx: Context, message: RaftMessage): void {
    switch (message.type) {
      case 'append-entries':
        this.hear(ctx, message.from)
        return this.onAppendEntries(message)
      case 'install-snapshot':
        this.hear(ctx, message.from)
        return this.receiver.onPart(ctx, message)
      case 'lead-now':
        if (this.mayCampaign(ctx)) this.core.campaign(ctx, { pre: false, transfer: true })
    }
  }

  onTick(ctx: Context, pauseMs: Millis): void {
    this.deadline += pauseMs
    if (ctx.now < this.deadline) return
    this.deadline = this.nextDeadline(ctx)
    if (this.mayCampaign(ctx)) this.core.campaign(ctx, { pre: true, transfer: false })
  }

  onPersisted(): void {}

  /** A vote was given: its candidate gets the time to win. */
  onVoted(ctx: Context): void {
    this.deadline = this.nextDeadline(ctx)
  }

  /**
   * The connection to a store closed: if it led, there is nothing to wait for. The others decide whether that is so.
   */
  onPeerLost(ctx: Context, store: StoreId): void {
    if (store !== this.leader) return
    this.leader = undefined
    const { heartbeatMs } = this.core.options
    this.deadline = Math.min(this.deadline, ctx.now + heartbeatMs * (1 + 2 * ctx.random()))
  }

  /**
   * Learners never lead, and a voter whose disk hangs could keep no promise of a leader (amendment 28). A voter that an
   * uncommitted entry removes still may: the voters that are left may need it, since their logs may be behind its own
   * (Ongaro's thesis, section 4.2.2).
   */
  private mayCampaign(ctx: Context): boolean {
    const { log, self, recovering } = this.core
    if (recovering || this.core.diskHangs(ctx.now)) return false
    if (isVoter(log.members, self)) return true
    return log.membersIndex > log.commit && isVoter(log.membersAt(log.membersIndex - 1), self)
  }

  private hear(ctx: Context, leader: StoreId): void {
    this.leader = leader
    this.heardAt = ctx.now
    this.deadline = this.nextDeadline(ctx)
  }

  private nextDeadline(ctx: Context): Millis {
    const { electionMinMs, electionMaxMs } = this.core.options
    return ctx.now + electionMinMs + ctx.random() * (electionMaxMs - electionMinMs)
  }

  private onAppendEntries(message: AppendEntries): void {
    const { log } = this.core
    const { from: to, prevIndex, prevTerm, round } = message
    // What the sender knows of a command is that it came from the log of a voter.
    const entries = message.entries as readonly LogEntry[]
    if (!isConsecutive(entries, prevIndex)) return
    if (prevIndex < log.commit) {
      // What is committed here is in the leader's log as well, so the question is answered further on.
      const answer = {
        type: 'appended',
        to,
        round,
        accepted: true,
        match: log.commit,
        hintIndex: 0,
        hintTerm: 0,
      } as const
      return this.core.send(answer)
    }
    if (log.termAt(prevIndex) !== prevTerm) {
      const hint = log.findHint(prevIndex, prevTerm)
      return this.core.send({
        type: 'appended',
        to,
        round,
        accepted: false,
        match: prevIndex,
        hintIndex: hint.index,
        hintTerm: hint.term,
      })
    }
    log.accept(entries)
    const verified = prevIndex + entries.length
    // Beyond `verified` this log may differ from the leader's.
    log.commitTo(Math.min(message.commit, verified))
    const answer = { type: 'appended', to, round, accepted: true, hintIndex: 0, hintTerm: 0 } as const
    // A heartbeat is answered at once, with what is durable already: a slow disk is no dead follower.
    if (entries.length === 0 && this.core.hardStateDurable)
      this.core.sendNow({ ...answer, match: Math.min(verified, log.stable) })
    else this.core.send({ ...answer, match: verified })
  }
}

function isConsecutive(entries: readonly LogEntry[], prevIndex: number): boolean {
  return entries.every((entry, place) => entry.index === prevIndex + 1 + place)
}
