import { type Confirmed, type Epoch, type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'
import type { InSyncKeeper } from './in-sync.ts'
import type { PrimaryState } from './primary-state.ts'

/** `confirmed`: when the round began, no other primary had begun to serve. */
type Then = (ctx: Context, confirmed: boolean) => void

interface Parts {
  readonly state: PrimaryState
  readonly keeper: Pick<InSyncKeeper, 'ackSet' | 'enoughInSync' | 'mayBeShort'>
  /** A member has promised this higher epoch: the primary is over. */
  onFenced(ctx: Context, promised: Epoch): void
}

interface Round {
  readonly number: number
  readonly begunAt: Millis
  /** Sent and not yet confirmed, with the link of the request. */
  readonly asked: Map<StoreId, Link>
  readonly confirmed: Set<StoreId>
  readonly waiting: readonly Then[]
}

/**
 * Lets a primary without a lease serve reads (A2.3, amendment 8): it requests from every member of its ack set, a
 * pending addition included, whether the promise made to it still stands. A new primary is a member of that set and
 * promises its epoch before it does anything, so confirmations of all prove that no other primary served when the round
 * began. A majority would not prove it, and a primary alone in its ack set never confirms itself. Below minInSync the
 * proof fails: a kept store may have taken over, which is no member and gets no request (amendment 2). A read that
 * arrives during a round waits for the next: only a round that begins after the bytes were fetched proves anything
 * about them.
 */
export class Confirmations {
  private readonly parts: Parts
  private round: Round | undefined
  private gathered: Then[] = []
  private lastRound = 0

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** There is a set whose confirmations prove anything. */
  get possible(): boolean {
    const { keeper, state } = this.parts
    return this.others().length > 0 && keeper.enoughInSync() && !keeper.mayBeShort(state.record())
  }

  get busy(): boolean {
    return this.round !== undefined
  }

  confirm(ctx: Context, then: Then): void {
    this.gathered.push(then)
    if (this.round === undefined) this.begin(ctx)
  }

  private others(): StoreId[] {
    const { keeper, state } = this.parts
    return [...keeper.ackSet()].filter((store) => store !== state.services.self)
  }

  private begin(ctx: Context): void {
    const { extent, epoch, services } = this.parts.state
    const waiting = this.gathered
    this.gathered = []
    if (waiting.length === 0) return
    const asked = new Map<StoreId, Link>()
    for (const store of this.others()) {
      const link = services.links.dialed(store)
      if (link !== undefined) asked.set(store, link)
    }
    const round: Round = { number: ++this.lastRound, begunAt: ctx.now, asked, confirmed: new Set(), waiting }
    this.round = round
    if (asked.size === 0 || asked.size < this.others().length) return this.end(ctx, round, false)
    for (const link of asked.values())
      ctx.emit({ type: 'send', link, message: { type: 'confirm', extent: extent.id, epoch, round: round.number } })
  }

  onConfirmed(ctx: Context, link: Link, message: Confirmed): void {
    const { round } = this
    const { state, onFenced } = this.parts
    const store = state.services.links.storeOf(link)
    if (round === undefined || message.round !== round.number || store === undefined) return
    if (round.asked.get(store) !== link) return
    if (message.promised !== state.epoch) {
      this.end(ctx, round, false)
      return onFenced(ctx, message.promised)
    }
    round.confirmed.add(store)
    // The ack set may have grown since the round began, or shrunk too far: every present member must have confirmed.
    if (!this.possible) return this.end(ctx, round, false)
    if (this.others().every((other) => round.confirmed.has(other))) this.end(ctx, round, true)
  }

  /** A round without all confirmations in time fails: its callers retry. */
  maintain(ctx: Context): void {
    const { round } = this
    if (round !== undefined && ctx.now - round.begunAt >= TIMERS.controlRetryMs) this.end(ctx, round, false)
  }

  onLinkDown(ctx: Context, link: Link): void {
    const { round } = this
    if (round !== undefined && [...round.asked.values()].includes(link)) this.end(ctx, round, false)
  }

  /** The primary is over. */
  abandon(ctx: Context): void {
    const waiting = [...(this.round?.waiting ?? []), ...this.gathered]
    this.round = undefined
    this.gathered = []
    for (const then of waiting) then(ctx, false)
  }

  private end(ctx: Context, round: Round, confirmed: boolean): void {
    this.round = undefined
    for (const then of round.waiting) then(ctx, confirmed)
    if (this.round === undefined) this.begin(ctx)
  }
}
