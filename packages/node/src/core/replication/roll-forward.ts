import {
  type Bytes,
  countsIn,
  type Epoch,
  type FetchedBlock,
  isHigher,
  LIMITS,
  type Millis,
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

/**
 * No change of the set and no stream proceeds while a primary waits for space, so that a member which dies meanwhile is found
 * only at the end: it holds up the takeover for no longer than one that hangs (A2.8-10).
 */
const SPACE_WAIT_MS = TIMERS.slowMs

/** A wait for space to stage a member's state. */
interface Wait {
  /** What was left without the part that this extent had taken: it was too little. */
  readonly tooLittle: Bytes
  readonly until: Millis
}

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
  /** This store now has the state of the member that was ahead of all others. */
  onRolledForward(ctx: Context): void
}

/**
 * A new primary never discards what a member has beyond its own state (amendment 26): before it orders START it takes
 * over the state of the furthest member.
 *
 *   idle ──OPENED of a member is higher──> learning ──it has all──> applying ──durable──> idle, all streams are opened again
 *     ^______ connection ended, no response ______|
 *     ^──more space, or a time─────────── waiting <──no space to stage it──┘
 *
 * It applies all at once, so that it is unchanged if it ends before. After START no member can be ahead.
 */
export class RollForward {
  private readonly parts: Parts
  private member: MemberState | undefined
  private applying = false
  private wait: Wait | undefined

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Nothing else of the takeover proceeds meanwhile. */
  get busy(): boolean {
    return this.member !== undefined || this.wait !== undefined
  }

  /** The member whose state is learned: messages from there go to it. */
  sourceOf(store: StoreId | undefined): MemberState | undefined {
    return store === this.member?.store ? this.member : undefined
  }

  /** True when the opened stream must wait: its replica is ahead, or another one is being learned. */
  onOpened(ctx: Context, { store, gen }: Pick<OutStream, 'store' | 'gen'>, link: Link, opened: Opened): boolean {
    if (this.busy) return true
    const { state, streams, reconciles } = this.parts
    const { links, control } = state.services
    const record = state.record()
    if (record === undefined || reconciles() || !this.isAhead(opened)) return false
    if (!countsIn(record, store)) return false
    if (control.map.nodes.get(store)?.incarnation.counter !== links.counterOf(link)) {
      // The map does not have this incarnation of the store yet: the stream is opened again once it does.
      streams.get(store)?.reset(ctx)
      return true
    }
    this.learnFrom(ctx, store, gen, link, opened)
    return true
  }

  /** Its last write is later than the last one here, in this timeline of the extent (A2.10), and it lacks no commit. */
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
    // They compared with a state that is about to be replaced.
    for (const stream of streams.values()) if (stream.store !== store) stream.restart(ctx)
    this.applying = false
    this.member = new MemberState(this, state, { store, gen, link, opened })
    this.member.begin(ctx)
  }

  /** Blocks, remembered operations and the last write are applied in one batch. */
  onLearned(ctx: Context, { store, opened, staged, windows }: MemberState): void {
    const { state, disk, onRolledForward } = this.parts
    const { extent } = state
    this.applying = true
    const blocks = staged.take()
    const { lastEpoch, lastSeq } = opened
    const commitSeq = Math.max(extent.commitSeq, Math.min(opened.commitSeq, lastSeq)) as Seq
    disk.wrote(ctx)
    const token = extent.commit(ctx, {
      blocks,
      head: { lastEpoch, lastSeq, commitSeq },
      windows: windows ?? [],
      staysSuspect: true,
    })
    state.services.when(token, (later) => {
      if (state.over) return
      later.event('info', 'extent-rolled-forward', { extent: extent.id, store, blocks: blocks.length })
      this.end()
      onRolledForward(later)
    })
  }

  /**
   * The member cannot deliver its state: this store lacks something that may be committed, and must not lead (A2.8-4).
   */
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

  /** A retry would fail in the same way until other extents use less. */
  onNoSpace(ctx: Context): void {
    const { member } = this
    const { state } = this.parts
    const { staging } = state.services
    this.cancel(ctx)
    // Writes wait for an in-sync member only. An eligible store outside the set is retried with growing delays instead.
    const isNeeded = member !== undefined && state.record()?.inSync.includes(member.store) === true
    if (isNeeded && staging.left < LIMITS.stagedPushBytes)
      this.wait = { tooLittle: staging.left, until: ctx.now + SPACE_WAIT_MS }
  }

  maintain(ctx: Context): void {
    this.endWait(ctx)
    if (this.member !== undefined && !this.applying && ctx.now - this.member.heardAt > TIMERS.slowMs) this.cancel(ctx)
  }

  /** What another waiting extent took and gave back is no more space than there was. */
  private endWait(ctx: Context): void {
    const { state, streams } = this.parts
    if (this.wait === undefined) return
    const { tooLittle, until } = this.wait
    if (state.services.staging.left <= tooLittle && ctx.now < until) return
    this.wait = undefined
    // All were closed meanwhile: none is slow on that account.
    for (const stream of streams.values()) stream.restart(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    if (this.applying) return
    if (this.member?.link === link) this.cancel(ctx)
    else this.member?.onLinkDown(ctx, link)
  }

  onClosed(ctx: Context): void {
    if (!this.applying) this.cancel(ctx)
  }

  /** The state is requested again when the stream opens again, if the store is a member then. */
  private cancel(ctx: Context): void {
    const { member } = this
    const { state, streams, evictions } = this.parts
    this.end()
    if (member === undefined) return
    for (const stream of streams.values()) {
      if (stream.store === member.store) stream.reset(ctx)
      // Closed since the state was requested: it is not slow on that account.
      else stream.restart(ctx)
    }
    // A kept store is not required: it must not delay the members again and again.
    if (state.record()?.inSync.includes(member.store) === false) evictions.note(ctx, member.store)
  }

  /** The primary is over, or it goes on by itself. */
  end(): void {
    this.member?.staged.drop()
    this.member = undefined
    this.applying = false
    this.wait = undefined
  }
}
