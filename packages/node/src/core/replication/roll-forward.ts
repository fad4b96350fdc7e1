import { type FetchedBlock, isHigher, LIMITS, type Opened, type Seq, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'
import { MemberState } from './member-state.ts'
import type { Primary } from './primary.ts'
import type { OutStream } from './stream.ts'

/**
 * A new primary never goes over what a member has more than itself (amendment 26): before it orders START it becomes what the
 * member is that got furthest.
 *
 *   idle ──OPENED of a member is higher──> learning ──it has all──> taking in ──durable──> idle, all streams are opened again
 *     ^______ connection ended, nothing comes ______|
 *     ^──another extent gave room back── waiting <──no room to keep it aside──┘
 *
 * It takes in all at once, so that it is what it was if it ends between. After START no member can be ahead.
 */
export class RollForward {
  private readonly primary: Primary
  private member: MemberState | undefined
  private takingIn = false
  /** What the room for what is kept aside showed when there was too little of it. */
  private waitsFrom: number | undefined

  constructor(primary: Primary) {
    this.primary = primary
  }

  /** Nothing else of the takeover goes on meanwhile. */
  get busy(): boolean {
    return this.member !== undefined || this.waitsFrom !== undefined
  }

  /** The member that it learns from: what comes from there is for this. */
  sourceOf(store: StoreId | undefined): MemberState | undefined {
    return store === this.member?.store ? this.member : undefined
  }

  /** True when the stream that was opened must wait: its replica is ahead, or another one is learned from. */
  onOpened(ctx: Context, { store, gen }: Pick<OutStream, 'store' | 'gen'>, link: Link, opened: Opened): boolean {
    if (this.busy) return true
    const { primary } = this
    const { links, control } = primary.services
    const record = primary.record()
    if (record === undefined || primary.merge !== undefined || !this.isAhead(opened)) return false
    if (!record.inSync.includes(store) && !record.eligible.includes(store)) return false
    if (control.map.nodes.get(store)?.incarnation.counter !== links.counterOf(link)) {
      // Control is about to tell whether this life of the store is believed and still counts: it is asked again then.
      primary.streams.get(store)?.reset(ctx)
      return true
    }
    this.learnFrom(ctx, store, gen, link, opened)
    return true
  }

  /** Its last write comes behind the last one here, in this history of the extent (A2.10), and nothing committed is missing there. */
  private isAhead({ lastEpoch, lastSeq }: Opened): boolean {
    const { extent, historyEpoch } = this.primary
    if (lastEpoch < historyEpoch || lastSeq < extent.commitSeq) return false
    return isHigher({ epoch: lastEpoch, seq: lastSeq }, { epoch: extent.lastEpoch, seq: extent.lastSeq })
  }

  private learnFrom(ctx: Context, store: StoreId, gen: number, link: Link, opened: Opened): void {
    const { primary } = this
    const { id, lastSeq } = primary.extent
    ctx.event('info', 'extent-rolls-forward', {
      extent: id,
      epoch: primary.epoch,
      store,
      lastSeq,
      toSeq: opened.lastSeq,
    })
    // They compare with what this store is about to be no more.
    for (const stream of primary.streams.values()) if (stream.store !== store) stream.restart(ctx)
    this.takingIn = false
    this.member = new MemberState(this, primary, { store, gen, link, opened })
    this.member.begin(ctx)
  }

  /** All is here: blocks, what is remembered of operations, and the place in the order go over in one batch. */
  onLearned(ctx: Context, { store, opened, staged, windows }: MemberState): void {
    const { extent } = this.primary
    this.takingIn = true
    const blocks = staged.take()
    const { lastEpoch, lastSeq } = opened
    const commitSeq = Math.max(extent.commitSeq, Math.min(opened.commitSeq, lastSeq)) as Seq
    this.primary.disk.wrote(ctx)
    const token = extent.commit(ctx, {
      blocks,
      head: { lastEpoch, lastSeq, commitSeq },
      windows: windows ?? [],
      staysInDoubt: true,
    })
    this.primary.services.when(token, (later) => {
      if (this.primary.over) return
      later.event('info', 'extent-rolled-forward', { extent: extent.id, store, blocks: blocks.length })
      this.end()
      this.primary.onRolledForward(later)
    })
  }

  /** The member cannot give what it has more: this store lacks something that may be committed, and must not lead (A2.8-4). */
  onLost(ctx: Context, { store, opened }: MemberState): void {
    this.end()
    this.primary.onBehind(ctx, store, opened.commitSeq)
  }

  onFetched(ctx: Context, message: FetchedBlock): boolean {
    return this.member?.onFetched(ctx, message) === true
  }

  /** To learn all of it again at once would end in the same way, until another extent has ended. */
  onNoRoom(ctx: Context): void {
    const { member, primary } = this
    const { staging } = primary.services
    this.giveUp(ctx)
    // One that is only kept is asked later and later anyway, and nobody waits for it.
    const isNeeded = member !== undefined && primary.record()?.inSync.includes(member.store) === true
    if (isNeeded && staging.left < LIMITS.stagedPushBytes) this.waitsFrom = staging.ended
  }

  maintain(ctx: Context): void {
    if (this.waitsFrom !== this.primary.services.staging.ended) this.waitsFrom = undefined
    if (this.member !== undefined && !this.takingIn && ctx.now - this.member.heardAt > TIMERS.slowMs) this.giveUp(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    if (this.takingIn) return
    if (this.member?.link === link) this.giveUp(ctx)
    else this.member?.onLinkDown(ctx, link)
  }

  onClosed(ctx: Context): void {
    if (!this.takingIn) this.giveUp(ctx)
  }

  /** What the member has is asked for again when its stream opens again, if it is a member then. */
  private giveUp(ctx: Context): void {
    const { member, primary } = this
    this.end()
    if (member === undefined) return
    primary.streams.get(member.store)?.reset(ctx)
    // One that is only kept is not needed: it must not hold up those that are, again and again.
    if (primary.record()?.inSync.includes(member.store) === false) primary.keeper.noteEviction(ctx, member.store)
  }

  /** The primary is over, or it goes on by itself. */
  end(): void {
    this.member?.staged.drop()
    this.member = undefined
    this.takingIn = false
    this.waitsFrom = undefined
  }
}
