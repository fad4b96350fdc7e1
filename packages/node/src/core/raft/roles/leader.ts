import type { Appended, Millis, RaftMessage, StoreId, Voter } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type { Command, LogEntry } from '../../control/log/index.ts'
import type { Context } from '../../machine.ts'
import { allMembers, isVoter, majorityReached } from '../members.ts'
import { Progress } from '../progress.ts'
import { Reads } from '../reads.ts'
import type { FollowerView } from '../view.ts'
import type { Core, Role } from './role.ts'

/** Heartbeats without a response after which a part of a snapshot is sent again: it may only be queued behind bulk. */
const PATIENT_BEATS = 5

/**
 * Replicates its log to every member, announces what is committed, and proves with rounds of heartbeats that it still
 * leads. It steps down when it hears no majority for an election timeout.
 */
export class Leader implements Role {
  readonly name = 'leader'
  readonly leader: StoreId
  readonly reads: Reads = new Reads()
  /** The first entry of this term. Its delivery follows that of everything that earlier leaders committed. */
  readonly beginIndex: number
  private readonly core: Core
  private readonly followers = new Map<StoreId, Progress>()
  private round = 0
  private heartbeatAt: Millis
  private transfer: { readonly to: StoreId; readonly until: Millis } | undefined
  /** Voters that did not take over although the disk hangs. */
  private readonly triedToLeave = new Set<StoreId>()

  constructor(core: Core, ctx: Context) {
    this.core = core
    this.leader = core.self
    this.heartbeatAt = ctx.now
    this.beginIndex = core.log.lastIndex + 1
    this.followMembers(ctx)
    this.append(ctx, { do: 'begin-term' })
  }

  hearsLeader(): boolean {
    return true
  }

  get transferring(): boolean {
    return this.transfer !== undefined
  }

  append(ctx: Context, command: Command): number {
    const { log, term } = this.core
    log.append([{ index: log.lastIndex + 1, term, command }])
    if (command.do === 'set-members' || command.do === 'found') this.followMembers(ctx)
    return log.lastIndex
  }

  /** From now on nothing is proposed until `to` leads or an election timeout has passed. */
  transferTo(ctx: Context, to: StoreId): void {
    this.transfer = { to, until: ctx.now + this.core.options.electionMaxMs }
  }

  /** How far a member is behind what is committed, or undefined when it was not heard of late. */
  lagOf(ctx: Context, store: StoreId): number | undefined {
    const progress = this.followers.get(store)
    if (progress === undefined || ctx.now - progress.heardAt >= this.core.options.electionMinMs) return undefined
    return progress.state === 'replicate' ? this.core.log.commit - progress.match : Number.POSITIVE_INFINITY
  }

  view(now: Millis): FollowerView[] {
    return [...this.followers].map(([store, { match, state, heardAt }]) => {
      return { store, match, state, heardMsAgo: now - heardAt }
    })
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  onMessage(ctx: Context, message: RaftMessage): void {
    if (message.type === 'append-entries' || message.type === 'install-snapshot')
      invariant(false, `stores ${message.from} and ${this.leader} both lead in term ${message.term}`)
    if (message.type !== 'appended' && message.type !== 'snapshot-received') return
    const progress = this.followers.get(message.from)
    if (progress === undefined) return
    progress.heardAt = ctx.now
    progress.round = Math.max(progress.round, message.round)
    if (message.type === 'appended') return this.onAppended(progress, message)
    if (progress.snapshot?.content.index !== message.index) return
    progress.snapshot.offset = message.offset
    progress.snapshot.sentAt = Number.NEGATIVE_INFINITY
  }

  onTick(ctx: Context, pauseMs: Millis): void {
    for (const progress of this.followers.values()) progress.heardAt += pauseMs
    if (this.transfer !== undefined && ctx.now >= this.transfer.until) this.transfer = undefined
    this.leaveIfDiskHangs(ctx)
    if (this.heardMajority(ctx.now)) return
    ctx.event('warn', 'raft-no-majority', { term: this.core.term })
    this.core.follow(ctx, this.core.term, undefined)
  }

  onPersisted(): void {}

  /**
   * With a disk that hangs nothing is delivered here, so that control decides nothing although a majority has every
   * entry. Leadership is offered in turn to each voter that has the whole log (amendment 28).
   */
  private leaveIfDiskHangs(ctx: Context): void {
    if (!this.core.diskHangs(ctx.now)) return this.triedToLeave.clear()
    if (this.transferring) return
    const able = this.core.log.members.voters.filter(({ store }) => this.hasWholeLog(ctx, store))
    if (able.every(({ store }) => this.triedToLeave.has(store))) this.triedToLeave.clear()
    const next = able.find(({ store }) => !this.triedToLeave.has(store))
    if (next === undefined) return
    this.triedToLeave.add(next.store)
    ctx.event('warn', 'raft-disk-hangs', { term: this.core.term, to: next.store })
    this.transferTo(ctx, next.store)
  }

  private hasWholeLog(ctx: Context, store: StoreId): boolean {
    const progress = this.followers.get(store)
    return (
      progress !== undefined &&
      progress.match === this.core.log.lastIndex &&
      ctx.now - progress.heardAt < this.core.options.electionMinMs
    )
  }

  /** Sends what is due: entries, heartbeats, the round that reads wait for. */
  flush(ctx: Context): void {
    let heartbeat = ctx.now - this.heartbeatAt >= this.core.options.heartbeatMs
    if (this.reads.needRound) {
      this.reads.begin(++this.round)
      heartbeat = true
    }
    if (heartbeat) this.heartbeatAt = ctx.now
    for (const [store, progress] of this.followers) this.sendTo(ctx, store, progress, heartbeat)
    this.sendLeadNow(heartbeat)
  }

  // ---- what a majority has -----------------------------------------------------------------------------------------

  /** Commits what a majority has on stable storage, from its own term only (Raft section 5.4.2, figure 8). */
  advanceCommit(): void {
    const { log, self, term } = this.core
    const reached = majorityReached(log.members, (store) =>
      store === self ? log.stable : (this.followers.get(store)?.match ?? 0),
    )
    if (reached > log.commit && log.termAt(reached) === term) log.commitTo(reached)
  }

  /** The latest round that a majority answered: this store led after it began. */
  confirmedRound(): number {
    const { log, self } = this.core
    return majorityReached(log.members, (store) =>
      store === self ? this.round : (this.followers.get(store)?.round ?? 0),
    )
  }

  private heardMajority(now: Millis): boolean {
    const { log, self, options } = this.core
    const heard = majorityReached(log.members, (store) =>
      store === self ? now : (this.followers.get(store)?.heardAt ?? Number.NEGATIVE_INFINITY),
    )
    return now - heard < options.electionMinMs
  }

  // ---- followers ---------------------------------------------------------------------------------------------------

  /** One progress for each member: an unreachable one begins at nothing and counts for nothing. */
  private followMembers(ctx: Context): void {
    const { log, self } = this.core
    const members = new Set(allMembers(log.members).map((member: Voter) => member.store))
    for (const store of this.followers.keys()) if (!members.has(store)) this.followers.delete(store)
    for (const store of members)
      if (store !== self && !this.followers.has(store))
        this.followers.set(store, new Progress(log.lastIndex + 1, ctx.now))
  }

  private onAppended(progress: Progress, message: Appended): void {
    const { log } = this.core
    if (message.accepted) {
      if (message.match <= log.lastIndex) progress.accepted(message.match)
      return
    }
    progress.refused(message.match, log.findHint(message.hintIndex, message.hintTerm).index)
  }

  private sendTo(ctx: Context, to: StoreId, progress: Progress, heartbeat: boolean): void {
    const { log, options } = this.core
    let sent = false
    while (progress.next <= log.lastIndex && progress.maySend(options.messagesInFlight)) {
      if (log.termAt(progress.next - 1) === undefined) break
      this.sendEntries(to, progress)
      sent = true
    }
    if (progress.state !== 'snapshot' && log.termAt(progress.next - 1) === undefined) {
      invariant(log.snapshot !== undefined, 'the log was compacted without a snapshot')
      progress.beginSnapshot(log.snapshot)
    }
    if (progress.state === 'snapshot') this.sendSnapshotPart(ctx, to, progress)
    if (heartbeat && !sent) this.sendHeartbeat(to, progress)
  }

  /**
   * Also to one that is being filled: parts of a snapshot wait behind bulk (amendment 36), and it must not campaign
   * meanwhile. Every log agrees with this one before its first entry, so that it is no question about what that
   * follower has.
   */
  private sendHeartbeat(to: StoreId, progress: Progress): void {
    this.sendAfter(to, progress.state === 'snapshot' ? 0 : progress.next - 1, [])
  }

  private sendEntries(to: StoreId, progress: Progress): void {
    const entries = this.core.log.slice(progress.next, this.core.options.messageBytes)
    this.sendAfter(to, progress.next - 1, entries)
    const last = entries.at(-1)
    if (last !== undefined) progress.sent(last.index)
  }

  private sendAfter(to: StoreId, prevIndex: number, entries: LogEntry[]): void {
    const { log } = this.core
    const { commit } = log
    const prevTerm = log.termAt(prevIndex) ?? 0
    this.core.sendNow({ type: 'append-entries', to, prevIndex, prevTerm, entries, commit, round: this.round })
  }

  /** The next part, or the same one again after a while without an answer. */
  private sendSnapshotPart(ctx: Context, to: StoreId, progress: Progress): void {
    const { snapshot } = progress
    const { heartbeatMs, snapshotPartBytes } = this.core.options
    if (snapshot === undefined || ctx.now - snapshot.sentAt < PATIENT_BEATS * heartbeatMs) return
    snapshot.sentAt = ctx.now
    const { index, term, members, state } = snapshot.content
    const offset = Math.min(snapshot.offset, state.length)
    this.core.sendNow({
      type: 'install-snapshot',
      to,
      round: this.round,
      index,
      indexTerm: term,
      voters: members.voters,
      learners: members.learners,
      offset,
      totalBytes: state.length,
      bytes: state.subarray(offset, offset + snapshotPartBytes),
    })
  }

  private sendLeadNow(heartbeat: boolean): void {
    const to = this.transfer?.to
    const progress = to === undefined ? undefined : this.followers.get(to)
    if (to === undefined || progress === undefined || !isVoter(this.core.log.members, to)) return
    if (heartbeat && progress.match === this.core.log.lastIndex) this.core.sendNow({ type: 'lead-now', to })
  }
}
