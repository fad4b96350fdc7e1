import type { Millis, RaftMessage, StoreId } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { isMajority } from '../members.ts'
import type { Core, Role } from './role.ts'

/**
 * Requests votes: first a pre-vote, which changes nothing, then a vote in a new term. Its own vote counts once it is
 * durable. Requests without a response are repeated.
 */
export class Candidate implements Role {
  readonly name = 'candidate'
  readonly leader = undefined
  private readonly core: Core
  private readonly pre: boolean
  private readonly transfer: boolean
  private readonly granted = new Set<StoreId>()
  private readonly refused = new Set<StoreId>()
  private deadline: Millis
  private askedAt: Millis

  constructor(core: Core, ctx: Context, how: { readonly pre: boolean; readonly transfer: boolean }) {
    this.core = core
    this.pre = how.pre
    this.transfer = how.transfer
    const { electionMinMs, electionMaxMs } = core.options
    this.deadline = ctx.now + electionMinMs + ctx.random() * (electionMaxMs - electionMinMs)
    this.askedAt = ctx.now
  }

  /** Asks everybody, and sees whether its own vote is enough. */
  begin(ctx: Context): void {
    this.ask()
    this.countOwn()
    this.tally(ctx)
  }

  hearsLeader(): boolean {
    return false
  }

  onMessage(ctx: Context, message: RaftMessage): void {
    switch (message.type) {
      case 'vote':
        if (message.pre !== this.pre) return
        if (message.granted) this.granted.add(message.from)
        else if (!this.granted.has(message.from)) this.refused.add(message.from)
        return this.tally(ctx)
      case 'append-entries':
      case 'install-snapshot':
        this.core.follow(ctx, this.core.term, message.from)
        return this.core.redirect(ctx, message)
    }
  }

  onTick(ctx: Context, pauseMs: Millis): void {
    this.deadline += pauseMs
    if (ctx.now >= this.deadline) {
      // Its vote may never be durable, and each term more would depose a leader elected meanwhile once the disk
      // answers.
      if (this.core.diskHangs(ctx.now)) return this.core.follow(ctx, this.core.term, undefined)
      return this.core.campaign(ctx, { pre: true, transfer: false })
    }
    if (ctx.now - this.askedAt < this.core.options.heartbeatMs) return
    this.askedAt = ctx.now
    this.ask()
  }

  onPersisted(ctx: Context): void {
    this.countOwn()
    this.tally(ctx)
  }

  private ask(): void {
    const { log, self } = this.core
    const { lastIndex, lastTerm } = log
    for (const { store: to } of log.members.voters) {
      if (to === self || this.granted.has(to) || this.refused.has(to)) continue
      this.core.send({ type: 'ask-vote', to, pre: this.pre, transfer: this.transfer, lastIndex, lastTerm })
    }
  }

  private countOwn(): void {
    if (this.pre || this.core.hardStateDurable) this.granted.add(this.core.self)
  }

  private tally(ctx: Context): void {
    const { members } = this.core.log
    const count = (votes: ReadonlySet<StoreId>) => members.voters.filter((voter) => votes.has(voter.store)).length
    if (isMajority(members, count(this.granted))) {
      if (this.pre) this.core.campaign(ctx, { pre: false, transfer: false })
      else this.core.lead(ctx)
    } else if (isMajority(members, count(this.refused))) this.core.follow(ctx, this.core.term, undefined)
  }
}
