import type { AskVote, Millis, RaftMessage, StoreId } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type {
  Command,
  ControlLog,
  ControlLogListener,
  Members,
  MembersChange,
  ProposalId,
  ReadId,
} from '../control/log/index.ts'
import type { Context } from '../machine.ts'
import { RaftLog } from './log.ts'
import { changedMembers, isVoter } from './members.ts'
import { RAFT_DEFAULTS, type RaftOptions } from './options.ts'
import { Outbox } from './outbox.ts'
import { Proposals } from './proposals.ts'
import { Recovery } from './recovery.ts'
import { Candidate } from './roles/candidate.ts'
import { Follower } from './roles/follower.ts'
import { Leader } from './roles/leader.ts'
import type { Core, Role } from './roles/role.ts'
import { Snapshots } from './snapshots.ts'
import type { RaftPorts, RaftStart } from './types.ts'
import type { RaftView } from './view.ts'

/** A longer gap between two ticks means that this process was paused and received nothing meanwhile. */
const STANDSTILL_MS = 250

/** Outcome of a request to change members or to transfer leadership. */
export type RaftRequest = { readonly proposal: ProposalId } | { readonly refused: string }

/**
 * Control's log over several voters: Raft (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm")
 * with pre-vote and check-quorum, changes of one member at a time, snapshots, read-index and transfer of leadership.
 *
 *   follower ──no leader──> candidate (pre-vote) ──majority──> candidate (vote) ──majority──> leader
 *      ^ ^───leader or refusals──┘─────────────────────────────────┘                            │
 *      └──────────────────────────higher term, no majority heard, removed───────────────────────┘
 *
 * Inputs: `onMessage`, `onPersisted`, `onTick`, `propose`, …; outputs leave in `endStep` by the ports. A message that
 * depends on a write leaves after `onPersisted`, and an entry is delivered once it is committed and durable here. A
 * leader proposes and reads only after the first entry of its term was delivered.
 */
export class RaftMachine implements ControlLog {
  private readonly self: StoreId
  private readonly options: RaftOptions
  private readonly listener: ControlLogListener
  private readonly snapshots: Snapshots
  private readonly log: RaftLog
  private readonly outbox: Outbox
  private readonly proposals = new Proposals()
  private readonly core: Core
  private readonly recovery: Recovery | undefined
  private role: Role | undefined
  /** This store leads and has delivered the first entry of its term. */
  private isLeading = false
  private lastTick: Millis | undefined

  constructor(start: RaftStart, ports: RaftPorts, listener: ControlLogListener) {
    this.self = start.self
    this.options = { ...RAFT_DEFAULTS, ...start.options }
    this.listener = listener
    this.log = new RaftLog(start.snapshot, start.entries)
    this.snapshots = new Snapshots(this.log, this.options, start.snapshots)
    const { lastTerm } = this.log
    const hardState = start.hardState ?? { term: lastTerm, vote: undefined }
    invariant(hardState.term >= lastTerm, `term ${hardState.term} is lower than that of the last entry, ${lastTerm}`)
    this.outbox = new Outbox(ports, this.log, hardState)
    this.recovery = hardState.recovering ? new Recovery(this.log, this.outbox) : undefined
    this.core = this.makeCore()
  }

  get leads(): boolean {
    return this.isLeading
  }

  /** The leader known to this store. */
  get leader(): StoreId | undefined {
    return this.role?.leader
  }

  /** Members by the newest entry that changed them, committed or not. */
  get members(): Members {
    return this.log.members
  }

  get transferring(): boolean {
    return this.role instanceof Leader && this.role.transferring
  }

  /** Index of the last delivered entry. */
  get applied(): number {
    return this.log.applied
  }

  /** Called once, before any other input. A single voter leads at once. */
  start(ctx: Context): void {
    invariant(this.role === undefined, 'the control log was started twice')
    this.role = new Follower(this.core, ctx, undefined)
    if (this.outbox.recovering) ctx.event('warn', 'raft-recovering', { term: this.outbox.term })
    const { voters } = this.log.members
    if (voters.length === 1 && voters[0]?.store === this.self && !this.outbox.recovering)
      this.campaign(ctx, { pre: true, transfer: false })
    this.settle(ctx)
  }

  // ---- what control asks -------------------------------------------------------------------------------------------

  propose(ctx: Context, command: Command): ProposalId | undefined {
    invariant(command.do !== 'set-members' && command.do !== 'begin-term', `${command.do} is the log's own command`)
    const leader = this.proposer()
    if (leader === undefined || leader.transferring || this.isFull()) return undefined
    return this.proposals.add(leader.append(ctx, command))
  }

  readIndex(_ctx: Context): ReadId | undefined {
    return this.proposer()?.reads.add(this.log.commit)
  }

  /**
   * Adds a learner, makes a learner a voter, or removes a member: one at a time, and only once an entry of this term is
   * committed, since two changes on their way could give two majorities that do not meet.
   */
  changeMembers(ctx: Context, change: MembersChange): RaftRequest {
    const leader = this.proposer()
    if (leader === undefined || leader.transferring) return { refused: 'this node does not lead control' }
    if (this.log.membersIndex > this.log.commit) return { refused: 'another change of members is on its way' }
    if (change.do === 'promote' && (leader.lagOf(ctx, change.store) ?? Infinity) > this.options.promotionLag)
      return { refused: `store ${change.store} has not caught up yet` }
    const members = changedMembers(this.log.members, change)
    if (typeof members === 'string') return { refused: members }
    return { proposal: this.proposals.add(leader.append(ctx, { do: 'set-members', ...members })) }
  }

  /** Hands leadership to another voter, once that has every entry. Why it cannot be done, or undefined. */
  transferLeadership(ctx: Context, to: StoreId): string | undefined {
    const leader = this.proposer()
    if (leader === undefined) return 'this node does not lead control'
    if (to === this.self || !isVoter(this.log.members, to)) return `store ${to} is no other voter`
    leader.transferTo(ctx, to)
    return undefined
  }

  view(now: Millis): RaftView {
    const { lastIndex, commit, applied, snapshot, members } = this.log
    const role = this.currentRole()
    const followers = role instanceof Leader ? role.view(now) : []
    const snapshotIndex = snapshot?.index ?? 0
    const { term } = this.outbox
    return {
      role: role.name,
      recovering: this.outbox.recovering,
      term,
      leader: role.leader,
      lastIndex,
      commit,
      applied,
      snapshotIndex,
      members,
      diskWaitedMs: this.outbox.waitedMs(now),
      followers,
    }
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  onMessage(ctx: Context, message: RaftMessage): void {
    // A voter is a store: this drops messages for a store that had this address before.
    if (message.to !== this.self || message.from === this.self) return
    this.take(ctx, message)
    this.recovery?.onMessage(ctx)
    this.settle(ctx)
  }

  /** The request with this token, and all before it, are on stable storage. */
  onPersisted(ctx: Context, token: number): void {
    this.outbox.onPersisted(token, ctx.now)
    this.recovery?.onPersisted(ctx)
    this.currentRole().onPersisted(ctx)
    this.settle(ctx)
  }

  onTick(ctx: Context): void {
    const pauseMs = this.lastTick === undefined ? 0 : ctx.now - this.lastTick
    this.lastTick = ctx.now
    this.snapshots.onTick()
    if (pauseMs > STANDSTILL_MS) this.outbox.stoodStill(ctx.now)
    this.currentRole().onTick(ctx, pauseMs > STANDSTILL_MS ? pauseMs : 0)
    this.settle(ctx)
  }

  /** All connections to a store closed: its heartbeats cannot arrive. */
  onPeerLost(ctx: Context, store: StoreId): void {
    const role = this.currentRole()
    if (role instanceof Follower) role.onPeerLost(ctx, store)
  }

  endStep(ctx: Context): void {
    if (this.role instanceof Leader) this.role.flush(ctx)
    // Rounds of a single voter end as they begin.
    this.settle(ctx)
    this.outbox.flush(ctx)
  }

  // ---- terms and votes ---------------------------------------------------------------------------------------------

  private take(ctx: Context, message: RaftMessage): void {
    const { term } = this.outbox
    const role = this.currentRole()
    // A voter with a live leader does not vote, even in a higher term (Raft section 6, pre-vote).
    if (message.type === 'ask-vote' && message.term >= term && !message.transfer && role.hearsLeader(ctx.now)) return
    if (message.term > term) {
      const leads = message.type === 'append-entries' || message.type === 'install-snapshot'
      this.follow(ctx, message.term, leads ? message.from : undefined)
    }
    if (message.term < term) return this.answerOld(message)
    if (message.type === 'ask-vote') return this.answerVote(ctx, message)
    this.currentRole().onMessage(ctx, message)
  }

  /** Reports the newer term to the sender, which would otherwise stay in its old one. */
  private answerOld(message: RaftMessage): void {
    const { from: to, type } = message
    if (type === 'ask-vote') return this.core.send({ type: 'vote', to, pre: message.pre, granted: false })
    if (type !== 'append-entries' && type !== 'install-snapshot') return
    this.core.send({ type: 'appended', to, round: 0, accepted: false, match: 0, hintIndex: 0, hintTerm: 0 })
  }

  /** One vote a term; the same candidate gets it again, since the response may have been lost. */
  private answerVote(ctx: Context, { from, pre, lastIndex, lastTerm }: AskVote): void {
    const { vote, term } = this.outbox
    if (this.outbox.recovering) return this.core.send({ type: 'vote', to: from, pre, granted: false })
    const granted = this.log.isUpToDate(lastIndex, lastTerm) && (pre || vote === undefined || vote === from)
    if (granted && !pre) {
      if (vote === undefined) this.outbox.setHardState({ term, vote: from })
      if (this.role instanceof Follower) this.role.onVoted(ctx)
    }
    this.core.send({ type: 'vote', to: from, pre, granted })
  }

  private follow(ctx: Context, term: number, leader: StoreId | undefined): void {
    if (term > this.outbox.term) this.outbox.setHardState({ term, vote: undefined })
    this.enter(ctx, new Follower(this.core, ctx, leader))
  }

  private campaign(ctx: Context, how: { readonly pre: boolean; readonly transfer: boolean }): void {
    if (!how.pre) this.outbox.setHardState({ term: this.outbox.term + 1, vote: this.self })
    const candidate = new Candidate(this.core, ctx, how)
    this.enter(ctx, candidate)
    candidate.begin(ctx)
  }

  private lead(ctx: Context): void {
    invariant(this.outbox.hardStateDurable, 'this store would lead by a vote that is not durable')
    ctx.event('info', 'raft-leader', { term: this.outbox.term })
    this.enter(ctx, new Leader(this.core, ctx))
  }

  /** A former leader ends its pending proposals and reads. */
  private enter(ctx: Context, role: Role): void {
    const before = this.role
    this.role = role
    if (!(before instanceof Leader)) return
    const announced = this.isLeading
    this.isLeading = false
    this.proposals.lose(ctx, this.listener)
    before.reads.lose(ctx, this.listener)
    if (announced) this.listener.onLeadership(ctx, false)
  }

  // ---- what is committed -------------------------------------------------------------------------------------------

  /** Draws every conclusion from what this input changed, and notifies control. */
  private settle(ctx: Context): void {
    const role = this.role
    if (role instanceof Leader) role.advanceCommit()
    this.handOver(ctx)
    if (role instanceof Leader && role === this.role) this.settleLeader(ctx, role)
    // What the listener is in the middle of belongs to no entry.
    if (this.hasRoom()) this.snapshots.compact()
  }

  private hasRoom(): boolean {
    return this.listener.hasRoom?.() ?? true
  }

  private handOver(ctx: Context): void {
    const log = this.log
    this.snapshots.beginRestore()
    if (log.restoring) return
    while (log.applied < Math.min(log.commit, log.stable) && this.hasRoom()) {
      const entry = log.entryAt(++log.applied)
      this.snapshots.handedOver(entry.index)
      this.listener.onCommitted(ctx, entry, this.proposals.take(entry.index))
    }
  }

  private settleLeader(ctx: Context, leader: Leader): void {
    const { applied, members, membersIndex } = this.log
    if (!this.isLeading && applied >= leader.beginIndex) {
      this.isLeading = true
      this.listener.onLeadership(ctx, true)
    }
    leader.reads.confirm(ctx, leader.confirmedRound(), applied, this.listener)
    if (membersIndex > applied || isVoter(members, this.self)) return
    // It led until its own removal was committed; the voters that are left elect one of themselves.
    this.follow(ctx, this.outbox.term, undefined)
  }

  // ---- details -----------------------------------------------------------------------------------------------------

  /** The leader, once it may propose and read. */
  private proposer(): Leader | undefined {
    return this.isLeading && this.role instanceof Leader ? this.role : undefined
  }

  private isFull(): boolean {
    const { lastIndex, commit } = this.log
    const { uncommittedEntries, uncommittedBytes } = this.options
    return lastIndex - commit >= uncommittedEntries || this.log.bytesAfter(commit) >= uncommittedBytes
  }

  private currentRole(): Role {
    invariant(this.role !== undefined, 'the control log was not started')
    return this.role
  }

  private makeCore(): Core {
    const outbox = this.outbox
    return {
      self: this.self,
      options: this.options,
      log: this.log,
      get term() {
        return outbox.term
      },
      get recovering() {
        return outbox.recovering
      },
      get hardStateDurable() {
        return outbox.hardStateDurable
      },
      diskHangs: (now) => outbox.waitedMs(now) > this.options.diskSlowMs,
      send: (message) => outbox.sendAfterPersist({ ...message, from: this.self, term: outbox.term } as RaftMessage),
      sendNow: (message) => outbox.sendNow({ ...message, from: this.self, term: outbox.term } as RaftMessage),
      follow: (ctx, term, leader) => this.follow(ctx, term, leader),
      campaign: (ctx, how) => this.campaign(ctx, how),
      lead: (ctx) => this.lead(ctx),
      redirect: (ctx, message) => this.currentRole().onMessage(ctx, message),
    }
  }
}
