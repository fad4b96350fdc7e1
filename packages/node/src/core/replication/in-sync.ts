import { type ExtentRecord, leaseExpiryMs, type Millis, type SetChange, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import { ClosingIn } from './closing-in.ts'
import { CompleteStores } from './complete-stores.ts'
import type { Primary } from './primary.ts'
import type { OutStream } from './stream.ts'

/**
 * A store of which nothing came for longer than this and that control still calls up is cut from here only. Counted from its
 * last frame, also where its connection closed before: one that crashed must not look cut off before control can miss it.
 */
const CUT_OFF_MS = leaseExpiryMs() + 2 * TIMERS.renewMs

interface Eviction {
  /** Start counter of the incarnation that was taken out: a restarted store begins anew. */
  readonly counter: number
  readonly times: number
  readonly notBefore: Millis
}

/**
 * Changes of the in-sync set by its primary (A2.7-1, A2.7-2, A2.7-5). Shrink: control commits first, then the store
 * leaves the ack set. Grow: the store enters the ack set first, then control is asked. One request at a time.
 */
export class InSyncKeeper {
  /** Asked to be added: it must acknowledge from now on, and may leave the ack set only once the request can no longer win. */
  pendingAdd: StoreId | undefined
  private pendingRevision = 0
  readonly closing = new ClosingIn()
  private asked: SetChange | undefined
  private askedAt: Millis = Number.NEGATIVE_INFINITY
  /** Revision of the record from which control may have made one below minInSync, as this primary asked. */
  private askedShortOf = 0
  readonly complete = new CompleteStores()
  private readonly evictions = new Map<StoreId, Eviction>()
  private readonly primary: Primary

  constructor(primary: Primary) {
    this.primary = primary
  }

  /** Adds who has to acknowledge and is no member. */
  addTo(ackSet: Set<StoreId>): void {
    if (this.pendingAdd !== undefined) ackSet.add(this.pendingAdd)
    if (this.closing.store !== undefined) ackSet.add(this.closing.store)
  }

  /** A newer record settles a pending addition: the request was compare-and-set on an older revision, it won or it is void. */
  onRecord(record: ExtentRecord): void {
    this.complete.onRecord(record, this.primary.services.control.map)
    if (this.pendingAdd !== undefined && record.revision > this.pendingRevision) this.pendingAdd = undefined
    if (this.asked !== undefined && record.revision > this.asked.revision) this.asked = undefined
  }

  onSetChanged(change: SetChange): void {
    if (this.asked?.revision === change.revision && sameStores(this.asked.inSync, change.inSync)) this.asked = undefined
  }

  /** The set of control may be below minInSync already, though this primary has not heard of it. */
  mayBeShort(record: ExtentRecord | undefined): boolean {
    return record?.revision === this.askedShortOf
  }

  /** A request is on its way. */
  get busy(): boolean {
    return this.asked !== undefined || this.pendingAdd !== undefined
  }

  /** False while a store that was taken out must wait before it is let in again: 1 s, doubling to 60. */
  mayRejoin(ctx: Context, store: StoreId): boolean {
    const eviction = this.evictions.get(store)
    return eviction === undefined || eviction.counter !== this.counterOf(store) || ctx.now >= eviction.notBefore
  }

  private counterOf(store: StoreId): number {
    return this.primary.services.control.map.nodes.get(store)?.incarnation.counter ?? 0
  }

  maintain(ctx: Context, record: ExtentRecord | undefined): void {
    const { primary } = this
    if (record === undefined || primary.over) return
    this.letGo(ctx, record)
    if (this.asked !== undefined) return
    const out = this.leaving(ctx, record)
    if (primary.givenUp) return
    // A pending addition whose replica fails blocks every commit: a change without it makes the request void.
    const withdrawn = this.pendingAdd !== undefined && this.failing(ctx, this.pendingAdd) !== undefined
    if (out.length > 0 || withdrawn) {
      this.ask(
        ctx,
        record,
        record.inSync.filter((store) => !out.includes(store)),
      )
      for (const store of out) this.noteEviction(ctx, store)
      return
    }
    if (this.pendingAdd !== undefined) return this.askAgain(ctx, record, this.pendingAdd)
    if (!this.mayGrow(record)) return
    const candidate = record.assigned.find((store) => !record.inSync.includes(store) && this.hasCaughtUp(ctx, store))
    if (candidate === undefined) {
      const others = record.assigned.filter((store) => !record.inSync.includes(store) && this.mayBeAdded(ctx, store))
      const followers = others.flatMap((store) => primary.streams.get(store) ?? [])
      return this.closing.look(ctx.now, followers, primary.extent.commitSeq)
    }
    this.closing.end()
    this.pendingAdd = candidate
    this.pendingRevision = record.revision
    this.ask(ctx, record, [...record.inSync, candidate])
  }

  /** A refused addition is asked for again until the record moves on: only that can settle it. */
  private askAgain(ctx: Context, record: ExtentRecord, store: StoreId): void {
    if (ctx.now - this.askedAt >= TIMERS.controlRetryMs) this.ask(ctx, record, [...record.inSync, store])
  }

  /**
   * Every member holds this primary's state (A2.8-3, A2.8-5), and enough do: one that comes while there are too few may be ahead,
   * which none can be any more once START is ordered (A2.8-6).
   */
  mayStart(record: ExtentRecord): boolean {
    return this.primary.enoughInSync() && this.allMarked(record)
  }

  private allMarked({ inSync }: ExtentRecord): boolean {
    const { services, streams } = this.primary
    return inSync.every((store) => store === services.self || streams.get(store)?.marked === true)
  }

  /** Every member holds this primary's state, and START is on its way, or waits for more of them. */
  private mayGrow(record: ExtentRecord): boolean {
    const { primary } = this
    if (primary.active || primary.phase === 'releasing') return true
    return (primary.started || !primary.enoughInSync()) && this.allMarked(record)
  }

  private hasCaughtUp(ctx: Context, store: StoreId): boolean {
    const { streams, extent } = this.primary
    return this.mayBeAdded(ctx, store) && (streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq
  }

  /** A store that was to catch up fails, or is a member now: it has to acknowledge nothing on that account. */
  private letGo(ctx: Context, record: ExtentRecord): void {
    const { store } = this.closing
    if (store === undefined || (!record.inSync.includes(store) && this.mayBeAdded(ctx, store))) return
    if (this.failing(ctx, store) !== undefined) this.noteEviction(ctx, store)
    this.closing.end()
  }

  private mayBeAdded(ctx: Context, store: StoreId): boolean {
    const { primary } = this
    const stream = primary.streams.get(store)
    // The store on the stream is the one that control has registered under this assignment (finding 11). A suspect one was
    // compared like any other and may be in sync again; control promotes it in no life that began as suspect (A2.17-2).
    // A stream over a connection that stalls stays marked, and owes nothing while nothing is written: it is no sign of life.
    const registered = primary.services.control.map.nodes.get(store)
    return (
      stream?.marked === true &&
      this.failing(ctx, store) === undefined &&
      registered !== undefined &&
      registered.address !== '' &&
      this.mayRejoin(ctx, store)
    )
  }

  /**
   * Members that failed leave while enough stay, those counted that wait to be added: a new primary adds nobody before every
   * member holds its state, which one that failed never will (A2.8-10). Below that a silent one leaves once control calls it down;
   * one that control still hears, or that is only slow, is better served by another primary (A2.7-7).
   */
  private leaving(ctx: Context, record: ExtentRecord): StoreId[] {
    const { primary } = this
    const others = record.inSync.filter((store) => store !== primary.services.self)
    const silent = others.filter((store) => this.failing(ctx, store) === 'silent')
    const slow = others.filter((store) => this.failing(ctx, store) === 'slow')
    const waiting = record.assigned.filter((store) => !record.inSync.includes(store) && this.hasCaughtUp(ctx, store))
    const spare = record.inSync.length + waiting.length - (primary.volume()?.minInSync ?? 1)
    if (silent.length + slow.length <= spare) return [...silent, ...slow]
    const isUp = (store: StoreId) => primary.services.control.map.nodes.get(store)?.state !== 'down'
    const cutOff = silent.filter((store) => isUp(store) && ctx.now - this.lastFrameAt(store) > CUT_OFF_MS)
    if (slow.length > 0 || cutOff.length > 0) primary.releaseAsSlow(ctx)
    return silent.filter((store) => !isUp(store))
  }

  private heardAt(store: StoreId): Millis {
    return Math.max(this.primary.services.links.lastHeard(store), this.askedSince(store))
  }

  private lastFrameAt(store: StoreId): Millis {
    return Math.max(this.primary.services.links.lastFrame(store), this.askedSince(store))
  }

  private askedSince(store: StoreId): Millis {
    return this.primary.streams.get(store)?.createdAt ?? Number.NEGATIVE_INFINITY
  }

  /** `silent`: no frame for long. `slow`: frames come, but what it owes does not. */
  private failing(ctx: Context, store: StoreId): 'silent' | 'slow' | undefined {
    const { primary } = this
    const stream = primary.streams.get(store)
    if (stream === undefined) return undefined
    if (ctx.now - this.heardAt(store) > TIMERS.silentMs) return 'silent'
    return this.owes(stream) && ctx.now - stream.progressAt > TIMERS.slowMs ? 'slow' : undefined
  }

  private owes(stream: OutStream): boolean {
    return !stream.marked || stream.ackedSeq < this.primary.extent.lastSeq
  }

  /** Outside the set, and the next primary may be chosen from it: now, or once the set falls below minInSync (A2.7-8). */
  isKept(store: StoreId): boolean {
    const { services } = this.primary
    const eligible = this.primary.record()?.eligible.includes(store) === true
    return eligible || this.complete.has(store, services.control.map)
  }

  /** The store waits before its stream is opened again, longer each time. */
  noteEviction(ctx: Context, store: StoreId): void {
    const counter = this.counterOf(store)
    const before = this.evictions.get(store)
    // Who stayed for longer than the longest pause flaps no more.
    const flaps = before?.counter === counter && ctx.now - before.notBefore < TIMERS.rejoinMaxMs
    const times = flaps ? before.times + 1 : 1
    const pause = Math.min(TIMERS.rejoinMaxMs, TIMERS.rejoinMinMs * 2 ** (times - 1))
    this.evictions.set(store, { counter, times, notBefore: ctx.now + pause })
  }

  private ask(ctx: Context, record: ExtentRecord, inSync: readonly StoreId[]): void {
    const { id: extent, revision, epoch } = record
    // One that started again and stayed a member is complete in its new life too: the record says nothing of that.
    this.complete.onRecord(record, this.primary.services.control.map)
    const isShort = inSync.length < (this.primary.volume()?.minInSync ?? 1)
    const complete = isShort ? this.complete.outside(inSync, this.primary.services.control.map) : []
    if (isShort) this.askedShortOf = revision
    const change: SetChange = { extent, revision, epoch, inSync, ...(complete.length === 0 ? {} : { complete }) }
    this.asked = change
    this.askedAt = ctx.now
    ctx.event('info', 'in-sync-change-asked', { extent: record.id, from: record.inSync, to: inSync })
    this.primary.services.control.requestChange(ctx, change)
  }
}

function sameStores(a: readonly StoreId[], b: readonly StoreId[]): boolean {
  return a.length === b.length && a.every((store) => b.includes(store))
}
