import {
  type Epoch,
  type FetchedBlock,
  isHigher,
  LIMITS,
  type Opened,
  type Seq,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'
import type { Evictions } from './evictions.ts'
import { MemberState } from './member-state.ts'
import type { OwnDisk } from './own-disk.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'

interface Parts {
  readonly state: PrimaryState
  readonly streams: ReadonlyMap<StoreId, OutStream>
  readonly disk: OwnDisk
  readonly evictions: Evictions
  /** This primary was named to reconcile suspect stores: no member is ahead of what came of that. */
  reconciles(): boolean
  onFenced(ctx: Context, promised: Epoch): void
  /** The member has commits that this store cannot get. */
  onBehind(ctx: Context, store: StoreId, commitSeq: Seq): void
  /** This store is what its furthest member is. */
  onRolledForward(ctx: Context): void
}

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
  private readonly parts: Parts
  private member: MemberState | undefined
  private takingIn = false
  /** What the room for what is kept aside showed when there was too little of it. */
  private waitsFrom: number | undefined

  constructor(parts: Parts) {
    this.parts = parts
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
    const { state, streams, reconciles } = this.parts
    const { links, control } = state.services
    const record = state.record()
    if (record === undefined || reconciles() || !this.isAhead(opened)) return false
    if (!record.inSync.includes(store) && !record.eligible.includes(store)) return false
    if (control.map.nodes.get(store)?.incarnation.counter !== links.counterOf(link)) {
      // Control is about to tell whether this life of the store is believed and still counts: it is asked again then.
      streams.get(store)?.reset(ctx)
      return true
    }
    this.learnFrom(ctx, store, gen, link, opened)
    return true
  }

  /** Its last write comes behind the last one here, in this history of the extent (A2.10), and nothing committed is missing there. */
  private isAhead({ lastEpoch, lastSeq }: Opened): boolean {
    const { extent, timelineEpoch } = this.parts.state
    if (lastEpoch < timelineEpoch || lastSeq < extent.commitSeq) return false
    return isHigher({ epoch: lastEpoch, seq: lastSeq }, { epoch: extent.lastEpoch, seq: extent.lastSeq })
  }

  private learnFrom(ctx: Context, store: StoreId, gen: number, link: Link, opened: Opened): void {
    const { state, streams } = this.parts
    const { id, lastSeq } = state.extent
    const { epoch } = state
    ctx.event('info', 'extent-rolls-forward', { extent: id, epoch, store, lastSeq, toSeq: opened.lastSeq })
    // They compare with what this store is about to be no more.
    for (const stream of streams.values()) if (stream.store !== store) stream.restart(ctx)
    this.takingIn = false
    this.member = new MemberState(this, state, { store, gen, link, opened })
    this.member.begin(ctx)
  }

  /** All is here: blocks, what is remembered of operations, and the place in the order go over in one batch. */
  onLearned(ctx: Context, { store, opened, staged, windows }: MemberState): void {
    const { state, disk, onRolledForward } = this.parts
    const { extent } = state
    this.takingIn = true
    const blocks = staged.take()
    const { lastEpoch, lastSeq } = opened
    const commitSeq = Math.max(extent.commitSeq, Math.min(opened.commitSeq, lastSeq)) as Seq
    disk.wrote(ctx)
    const token = extent.commit(ctx, {
      blocks,
      head: { lastEpoch, lastSeq, commitSeq },
      windows: windows ?? [],
      staysInDoubt: true,
    })
    state.services.when(token, (later) => {
      if (state.over) return
      later.event('info', 'extent-rolled-forward', { extent: extent.id, store, blocks: blocks.length })
      this.end()
      onRolledForward(later)
    })
  }

  /** The member cannot give what it has more: this store lacks something that may be committed, and must not lead (A2.8-4). */
  onLost(ctx: Context, { store, opened }: MemberState): void {
    this.end()
    this.parts.onBehind(ctx, store, opened.commitSeq)
  }

  onFenced(ctx: Context, promised: Epoch): void {
    this.parts.onFenced(ctx, promised)
  }

  onFetched(ctx: Context, message: FetchedBlock): boolean {
    return this.member?.onFetched(ctx, message) === true
  }

  /** To learn all of it again at once would end in the same way, until another extent has ended. */
  onNoRoom(ctx: Context): void {
    const { member } = this
    const { state } = this.parts
    const { staging } = state.services
    this.giveUp(ctx)
    // One that is only kept is asked later and later anyway, and nobody waits for it.
    const isNeeded = member !== undefined && state.record()?.inSync.includes(member.store) === true
    if (isNeeded && staging.left < LIMITS.stagedPushBytes) this.waitsFrom = staging.ended
  }

  maintain(ctx: Context): void {
    if (this.waitsFrom !== this.parts.state.services.staging.ended) this.waitsFrom = undefined
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
    const { member } = this
    const { state, streams, evictions } = this.parts
    this.end()
    if (member === undefined) return
    streams.get(member.store)?.reset(ctx)
    // One that is only kept is not needed: it must not hold up those that are, again and again.
    if (state.record()?.inSync.includes(member.store) === false) evictions.note(ctx, member.store)
  }

  /** The primary is over, or it goes on by itself. */
  end(): void {
    this.member?.staged.drop()
    this.member = undefined
    this.takingIn = false
    this.waitsFrom = undefined
  }
}
