import {
  type Ack,
  BLOCK_DATA,
  type BlockIndex,
  type BlockVersion,
  type Digests,
  type Epoch,
  isAtLeast,
  LIMITS,
  type Message,
  type Millis,
  type Opened,
  type Seq,
  type StoreId,
  type StoreSpace,
  TIMERS,
  type Versions,
} from '@ashlar/proto'
import type { BlockChange, Context, Link, LoadedBlock } from '../machine.ts'
import { differingLeaves, LEAVES_AT_ONCE, LeafComparison, RUN_BYTES, sameBytes } from './comparison.ts'
import type { ExtentState } from './extent-state.ts'
import { knownTrust, provenUpTo } from './known-trust.ts'
import type { PrimaryState } from './primary-state.ts'
import { PushWindow } from './push-window.ts'
import { ResyncSet } from './resync-set.ts'
import type { Services } from './services.ts'
import { markOf, pushOf, replicateOf } from './stream-messages.ts'
import type { AckRule, StreamOwner } from './stream-owner.ts'
import { ThrottledCopy } from './throttled-copy.ts'
import type { PendingWrite } from './window.ts'

export type StreamPhase = 'closed' | 'opening' | 'comparing' | 'copying' | 'live'

/** How long an OPEN may take over a link that stands. */
const OPEN_PATIENCE_MS = 4 * TIMERS.slowMs

/**
 * The primary's side of one stream to one replica (A2.4, A2.9-1, A2.9-2):
 *
 *   closed ─OPEN─> opening ─OPENED─> comparing ─resync set known─> copying ─set empty, MARK─> live
 *      ^_______________________ link down, refusal, gap, time out ____________________|
 *
 * Every block written from OPEN until the resync set is known is in the set. While copying, a write to a block of the
 * set sends nothing, and a write to any other block goes out as PUSH of the whole block. After MARK only REP, in seq
 * order.
 */
export class OutStream {
  readonly store: StoreId
  private readonly state: PrimaryState
  private readonly extent: ExtentState
  private readonly services: Services
  private readonly acks: AckRule
  private readonly owner: StreamOwner
  private link: Link | undefined
  gen: number
  phase: StreamPhase = 'closed'
  /** The replica has made the MARK durable: its acknowledgements count. */
  marked = false
  ackedSeq = 0 as Seq
  /** Space of the replica's store, as last reported on this stream (amendment 17). */
  space: StoreSpace = 'free'
  /** The replica holds nothing of the extent, as it reported. */
  private isEmpty = false
  readonly createdAt: Millis
  /** Last progress of the stream. */
  progressAt: Millis
  private openedAt: Millis = Number.NEGATIVE_INFINITY
  private myLeaves: Uint8Array = new Uint8Array()
  private comparison = new LeafComparison([], 0 as Seq)
  /** What the replica knew to be committed when it opened. */
  private theirCommitSeq = 0 as Seq
  /** Blocks that the replica still has to be sent. */
  private readonly resync = new ResyncSet()
  private repairRequestedAt: Millis = Number.NEGATIVE_INFINITY
  private readonly window = new PushWindow()
  readonly throttled: ThrottledCopy
  copiedBlocks = 0
  copiedBytes = 0

  constructor(store: StoreId, state: PrimaryState, acks: AckRule, owner: StreamOwner, now: Millis, gen = 0) {
    this.store = store
    this.state = state
    this.extent = state.extent
    this.services = state.services
    this.acks = acks
    this.owner = owner
    this.throttled = new ThrottledCopy(this.services.throttle, (ctx) => this.onGranted(ctx))
    this.gen = gen
    this.createdAt = now
    this.progressAt = now
  }

  /** Blocks that still differ, as far as known. */
  get behindBlocks(): number {
    return this.resync.size
  }

  /** Blocks among those that wait until the replica's store has space. */
  get deferredBlocks(): number {
    return this.resync.deferred
  }

  get boundLink(): Link | undefined {
    return this.link
  }

  /** Opens the stream when it is closed and connected; opens it again when it hangs. */
  maintain(ctx: Context): void {
    if (this.hangs(ctx)) this.reset(ctx)
    if (this.resync.damaged > 0 && ctx.now - this.repairRequestedAt >= TIMERS.controlRetryMs) this.retryRepairs(ctx)
    if (this.phase === 'closed') this.open(ctx)
  }

  private hangs(ctx: Context): boolean {
    // While the link stands an OPEN is not lost, and a second one would make a slow replica restart its promise.
    if (this.phase === 'opening') return ctx.now - this.openedAt > OPEN_PATIENCE_MS
    // A copy that waits for repairs or is throttled does not hang: opening it again would not help.
    if (this.phase === 'copying' && (this.resync.stuck || this.throttled.waits)) return false
    const moving = this.phase === 'comparing' || this.phase === 'copying' || (this.phase === 'live' && !this.marked)
    return moving && ctx.now - this.progressAt > TIMERS.slowMs
  }

  /** An unrepairable block may be good by now, or a store with a good copy may have returned. */
  private retryRepairs(ctx: Context): void {
    this.resync.retryDamaged()
    this.copyMore(ctx)
  }

  private open(ctx: Context): void {
    const link = this.services.links.dialed(this.store)
    const counter = link === undefined ? undefined : this.services.links.counterOf(link)
    if (link === undefined || counter === undefined) return
    this.link = link
    this.gen += 1
    this.phase = 'opening'
    // Opening is no progress: a replica that never responds must be found slow however often its stream is opened.
    this.openedAt = ctx.now
    this.send(ctx, {
      type: 'open',
      ...this.name,
      ...{ primaryStore: this.services.self, replicaStore: this.store, replicaCounter: counter },
      counts: this.acks.counts(this.store),
    })
  }

  /** Forgets the stream; the next `maintain` opens a new one with a higher gen. */
  reset(ctx: Context): void {
    // A stream that was up to date is not late for the time before.
    if (this.marked) this.progressAt = ctx.now
    this.phase = 'closed'
    this.link = undefined
    this.marked = false
    this.ackedSeq = 0 as Seq
    this.comparison = new LeafComparison([], 0 as Seq)
    this.resync.clear()
    this.window.clear()
    this.throttled.end(ctx)
  }

  /** The primary's state was replaced: the next `maintain` starts over, and nothing is late yet. */
  restart(ctx: Context): void {
    this.reset(ctx)
    this.progressAt = ctx.now
  }

  onLinkDown(ctx: Context, link: Link): void {
    if (this.link === link) this.reset(ctx)
  }

  /** True when the message belongs to this very stream, not to an earlier one or another connection. */
  private current(link: Link, message: { epoch: Epoch; gen: number }): boolean {
    return this.link === link && this.gen === message.gen && this.state.epoch === message.epoch
  }

  onRefused(ctx: Context, link: Link, message: { epoch: Epoch; gen: number; reason: string; promised?: Epoch }): void {
    if (!this.current(link, message)) return
    this.reset(ctx)
    if (message.promised !== undefined && message.promised > this.state.epoch)
      this.owner.onFenced(ctx, message.promised)
    else ctx.event('info', 'stream-refused', { extent: this.extent.id, store: this.store, reason: message.reason })
  }

  onOpened(ctx: Context, link: Link, message: Opened): void {
    if (!this.current(link, message) || this.phase !== 'opening') return
    this.progressAt = ctx.now
    this.theirCommitSeq = message.lastEpoch < this.state.timelineEpoch ? (0 as Seq) : message.commitSeq
    if (this.theirCommitSeq > this.extent.lastSeq) return this.owner.onBehind(ctx, this.store, message.commitSeq)
    if (this.owner.rollsForward(ctx, this, link, message)) return
    this.phase = 'comparing'
    // A replica that is short of space reports it right after this message.
    this.space = 'free'
    this.isEmpty = message.lastSeq === 0
    this.throttled.kind = this.isEmpty ? 'filling' : 'returning'
    for (const block of message.damaged) this.resync.addDamaged(block)
    for (const block of this.extent.damaged) this.resync.addDamaged(block)
    const gen = this.gen
    const token = ctx.token()
    ctx.emit({ type: 'digests', token, extent: this.extent.id })
    this.services.when(token, (later, completion) => {
      if (this.gen !== gen || this.phase !== 'comparing' || completion.type !== 'digests') return
      if (sameBytes(completion.root, message.digest)) return this.startCopying(later)
      this.myLeaves = completion.leaves
      const windows = this.extent.windows.snapshot()
      this.send(later, { type: 'get-digests', extent: this.extent.id, epoch: this.state.epoch, gen, windows })
    })
  }

  onDigests(ctx: Context, link: Link, message: Digests): void {
    if (!this.current(link, message) || this.phase !== 'comparing') return
    this.progressAt = ctx.now
    const leaves = Math.ceil(this.extent.blockCount / LIMITS.leafBlocks)
    const differing = differingLeaves(this.myLeaves, message.leaves, leaves)
    if (differing === undefined) {
      const reason = 'digests of a different size'
      ctx.event('warn', 'stream-closed', { extent: this.extent.id, store: this.store, reason })
      return this.reset(ctx)
    }
    this.comparison = new LeafComparison(differing, provenUpTo(this.services, this.store, link, this.theirCommitSeq))
    this.compareNextLeaves(ctx)
  }

  private compareNextLeaves(ctx: Context): void {
    if (this.comparison.behind) {
      // Until control has its incarnation, a store may prove to be suspect, and it is compared again.
      const isProof = knownTrust(this.services, this.store, this.link) === 'trusted'
      return isProof ? this.owner.onBehind(ctx, this.store, this.theirCommitSeq) : this.reset(ctx)
    }
    if (this.comparison.done) return this.startCopying(ctx)
    const leaves = this.comparison.next(LEAVES_AT_ONCE)
    if (leaves.length === 0) return
    const gen = this.gen
    this.send(ctx, { type: 'get-versions', extent: this.extent.id, epoch: this.state.epoch, gen, leaves })
    const token = ctx.token()
    ctx.emit({ type: 'versions', token, extent: this.extent.id, leaves })
    this.services.when(token, (later, completion) => {
      if (this.gen !== gen || this.phase !== 'comparing' || completion.type !== 'versions') return
      for (const { leaf, versions } of completion.leaves)
        for (const block of this.comparison.addMine(leaf, versions)) this.resync.add(block)
      this.compareNextLeaves(later)
    })
  }

  onVersions(ctx: Context, link: Link, message: Versions): void {
    if (!this.current(link, message) || this.phase !== 'comparing') return
    this.progressAt = ctx.now
    for (const block of this.comparison.addTheirs(message.leaf, message.versions)) this.resync.add(block)
    this.compareNextLeaves(ctx)
  }

  private startCopying(ctx: Context): void {
    this.phase = 'copying'
    this.progressAt = ctx.now
    this.copiedBlocks = 0
    this.copiedBytes = 0
    ctx.event('info', 'stream-compared', { extent: this.extent.id, store: this.store, blocks: this.resync.size })
    this.copyMore(ctx)
  }

  /** The owner has repaired a block: it can be read now. */
  onRepaired(ctx: Context, block: BlockIndex): void {
    if (this.resync.onRepaired(block)) this.copyMore(ctx)
  }

  /** No store has a good copy of a block: the rest goes on without it where that loses nothing. */
  onUnrepairable(ctx: Context, block: BlockIndex): void {
    if (this.resync.onUnrepairable(block)) this.copyMore(ctx)
  }

  private onGranted(ctx: Context): void {
    this.progressAt = ctx.now
    this.copyMore(ctx)
  }

  /**
   * Copies runs while the window has space and the throttle allows it. A copy that writes wait for is not throttled.
   */
  private copyMore(ctx: Context): void {
    if (this.phase !== 'copying') return
    while (this.resync.readable > 0 && this.window.bytes < LIMITS.pushWindowBytes) {
      const taken = this.throttled.take(ctx, this.isCounted || !this.acks.enoughInSync())
      if (taken === 'later') break
      this.copyRun(ctx, taken)
    }
    if (this.behindBlocks === 0) this.sendMark(ctx)
  }

  private copyRun(ctx: Context, taken: 'free' | 'granted'): void {
    const run = this.resync.take(Math.max(1, Math.floor(RUN_BYTES / this.extent.blockSizeBytes)))
    const bytes = run.length * this.extent.blockSizeBytes
    this.window.reserve(bytes)
    const gen = this.gen
    const token = ctx.token()
    ctx.emit({ type: 'load', token, extent: this.extent.id, blocks: run })
    this.owner.disk.whenRead(ctx, this.services, token, (later, completion) => {
      if (this.gen !== gen || this.phase !== 'copying' || completion.type !== 'loaded') return
      this.window.reserve(-bytes)
      const before = this.window.last
      for (const loaded of completion.blocks) this.pushLoaded(later, loaded)
      if (taken === 'granted') this.throttled.onSent(later, this.window.last > before ? this.window.last : undefined)
      this.copyMore(later)
    })
  }

  private pushLoaded(ctx: Context, loaded: LoadedBlock): void {
    const next = this.resync.onRead(loaded.block, loaded.damaged)
    if (next === 'repair') {
      this.repairRequestedAt = ctx.now
      this.owner.onDamaged(ctx, loaded)
    }
    if (next !== 'send') return
    this.progressAt = ctx.now
    this.pushOrDefer(ctx, loaded)
  }

  private pushOrDefer(ctx: Context, { block, version, bytes }: Pick<BlockChange, 'block' | 'version' | 'bytes'>): void {
    if (version.kind === BLOCK_DATA && this.lacksSpace) this.resync.defer(block)
    else this.push(ctx, block, version, bytes)
  }

  /**
   * A joining replica is filled only while its store has space, and a returning one until its store is full: then it
   * gets only what frees space, and the rest waits (A2.19-2). A member of the ack set gets everything (A2.19-3).
   */
  private get lacksSpace(): boolean {
    return isAtLeast(this.space, this.isEmpty ? 'tight' : 'full') && !this.isCounted
  }

  /** Writes wait for this replica. */
  private get isCounted(): boolean {
    return this.acks.ackSet().has(this.store)
  }

  private push(ctx: Context, block: BlockIndex, version: BlockVersion, bytes: Uint8Array | undefined): void {
    const number = this.window.send(version.kind === BLOCK_DATA ? this.extent.blockSizeBytes : 64)
    this.copiedBlocks += 1
    this.copiedBytes += bytes?.length ?? 0
    this.send(ctx, pushOf(this.name, number, block, version, bytes))
  }

  private get name() {
    return { extent: this.extent.id, epoch: this.state.epoch, gen: this.gen }
  }

  private sendMark(ctx: Context): void {
    this.phase = 'live'
    this.progressAt = ctx.now
    this.throttled.end(ctx)
    this.send(ctx, markOf(this.name, this.extent))
  }

  /** A write got its seq: the message to this replica depends on the phase. */
  offer(ctx: Context, write: PendingWrite, prevEpoch: Epoch, prevSeq: Seq): void {
    if (this.phase === 'live') {
      // An idle stream is late only from its next write on.
      if (this.ackedSeq === prevSeq) this.progressAt = ctx.now
      const previous = { epoch: prevEpoch, seq: prevSeq }
      return this.send(ctx, replicateOf(this.name, write, previous, this.extent.commitSeq))
    }
    for (const change of write.blocks) {
      if (this.phase === 'opening' || this.phase === 'comparing') this.resync.add(change.block)
      else if (this.phase === 'copying' && !this.resync.onWritten(change.block)) this.pushOrDefer(ctx, change)
    }
    this.copyMore(ctx)
  }

  onAck(ctx: Context, link: Link, ack: Ack): void {
    if (!this.current(link, ack)) return
    const before = this.ackedSeq
    this.space = ack.space
    if (!this.lacksSpace && this.resync.releaseDeferred()) this.progressAt = ctx.now
    if (this.phase === 'live' && !this.marked) this.progressAt = ctx.now
    if (this.window.acknowledge(ack.push)) this.progressAt = ctx.now
    this.throttled.onAcknowledged(ctx, ack.push)
    this.copyMore(ctx)
    if (this.phase !== 'live' || !ack.marked) return
    if (!this.marked) {
      this.marked = true
      const { store, copiedBlocks: blocks, copiedBytes: bytes } = this
      ctx.event('info', 'stream-marked', { extent: this.extent.id, store, blocks, bytes })
    }
    if (ack.seq > before) {
      this.ackedSeq = ack.seq
      this.progressAt = ctx.now
    }
    this.owner.onStreamProgress(ctx)
  }

  private send(ctx: Context, message: Message): void {
    if (this.link !== undefined) ctx.emit({ type: 'send', link: this.link, message })
  }
}
