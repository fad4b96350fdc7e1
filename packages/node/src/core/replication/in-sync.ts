import { type ExtentRecord, type Millis, type SetChange, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import { CatchUp } from './catch-up.ts'
import { CompleteStores } from './complete-stores.ts'
import type { Evictions } from './evictions.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'
import { CUT_OFF_MS, type StreamHealth } from './stream-health.ts'

interface Parts {
  readonly state: PrimaryState
  readonly streams: ReadonlyMap<StoreId, OutStream>
  readonly health: StreamHealth
  readonly evictions: Evictions
  /** Another member may be able to serve where this primary cannot. */
  releaseAsSlow(ctx: Context): void
}

/**
 * Changes of the in-sync set by its primary (A2.7-1, A2.7-2, A2.7-5). Shrink: control commits first, then the store
 * leaves the ack set. Grow: the store enters the ack set first, then control is asked. One request at a time.
 */
export class InSyncKeeper {
  /** Requested to be added: it must acknowledge from now on, and may leave the ack set only once the request can no longer win. */
  private pendingAdd: StoreId | undefined
  private pendingRevision = 0
  readonly complete = new CompleteStores()
  private readonly catchUp = new CatchUp()
  private requested: SetChange | undefined
  private requestedAt: Millis = Number.NEGATIVE_INFINITY
  /** Revision of the record from which control may have made one below minInSync, as this primary requested. */
  private requestedShortOf = 0
  private readonly state: PrimaryState
  private readonly streams: ReadonlyMap<StoreId, OutStream>
  private readonly health: StreamHealth
  private readonly evictions: Evictions
  private readonly releaseAsSlow: (ctx: Context) => void

  constructor({ state, streams, health, evictions, releaseAsSlow }: Parts) {
    this.state = state
    this.streams = streams
    this.health = health
    this.evictions = evictions
    this.releaseAsSlow = releaseAsSlow
  }

  /** inSync ∪ pendingAdd ∪ the store that catches up ∪ self: every member must acknowledge (A2.5-5, A2.7-3). */
  ackSet(): Set<StoreId> {
    const set = new Set(this.state.record()?.inSync ?? [])
    if (this.pendingAdd !== undefined) set.add(this.pendingAdd)
    if (this.catchUp.store !== undefined) set.add(this.catchUp.store)
    set.add(this.state.services.self)
    return set
  }

  /** Only the committed and learned set counts toward minInSync, never a pending addition (amendment 1). */
  enoughInSync(): boolean {
    const record = this.state.record()
    const volume = this.state.volume()
    return record !== undefined && volume !== undefined && record.inSync.length >= volume.minInSync
  }

  /** The store may be the next primary: it is in the ack set, or it is kept. */
  counts(store: StoreId): boolean {
    return this.ackSet().has(store) || this.isKept(store)
  }

  /** Outside the set, and the next primary may be chosen from it: now, or once the set falls below minInSync (A2.7-8). */
  private isKept(store: StoreId): boolean {
    const eligible = this.state.record()?.eligible.includes(store) === true
    return eligible || this.complete.has(store, this.state.services.control.map)
  }

  /** A newer record settles a pending addition: the request was compare-and-set on an older revision, it won or it is void. */
  onRecord(record: ExtentRecord): void {
    this.complete.onRecord(record, this.state.services.control.map)
    if (this.pendingAdd !== undefined && record.revision > this.pendingRevision) this.pendingAdd = undefined
    if (this.requested !== undefined && record.revision > this.requested.revision) this.requested = undefined
  }

  onSetChanged(change: SetChange): void {
    const { requested } = this
    if (requested?.revision === change.revision && sameStores(requested.inSync, change.inSync))
      this.requested = undefined
  }

  /** Control's set may be below minInSync already, though this primary has not learned it. */
  mayBeShort(record: ExtentRecord | undefined): boolean {
    return record?.revision === this.requestedShortOf
  }

  /** A request is pending. */
  get busy(): boolean {
    return this.requested !== undefined || this.pendingAdd !== undefined
  }

  maintain(ctx: Context, record: ExtentRecord | undefined): void {
    const { state } = this
    if (record === undefined || state.over) return
    this.endCatchUp(ctx, record)
    if (this.requested !== undefined) return
    const out = this.leaving(ctx, record)
    if (state.releaseRequested) return
    // A pending addition whose replica fails blocks every commit: a change without it makes the request void.
    const withdrawn = this.pendingAdd !== undefined && this.health.failing(ctx, this.pendingAdd) !== undefined
    if (out.length > 0 || withdrawn) {
      this.request(
        ctx,
        record,
        record.inSync.filter((store) => !out.includes(store)),
      )
      for (const store of out) this.evictions.note(ctx, store)
      return
    }
    if (this.pendingAdd !== undefined) return this.requestAgain(ctx, record, this.pendingAdd)
    if (this.mayGrow(record)) this.grow(ctx, record)
  }

  private grow(ctx: Context, record: ExtentRecord): void {
    const outside = record.assigned.filter((store) => !record.inSync.includes(store))
    const candidate = outside.find((store) => this.hasCaughtUp(ctx, store))
    if (candidate === undefined) {
      const addable = outside.filter((store) => this.mayBeAdded(ctx, store))
      const followers = addable.flatMap((store) => this.streams.get(store) ?? [])
      return this.catchUp.look(ctx.now, followers, this.state.extent.commitSeq)
    }
    this.catchUp.end()
    this.pendingAdd = candidate
    this.pendingRevision = record.revision
    this.request(ctx, record, [...record.inSync, candidate])
  }

  /** A refused addition is requested again until the record moves on: only that can settle it. */
  private requestAgain(ctx: Context, record: ExtentRecord, store: StoreId): void {
    if (ctx.now - this.requestedAt >= TIMERS.controlRetryMs) this.request(ctx, record, [...record.inSync, store])
  }

  /**
   * Every member holds this primary's state (A2.8-3, A2.8-5), and enough do: a member that joins while there are too few may
   * be ahead, which is impossible once START is ordered (A2.8-6).
   */
  mayStart(record: ExtentRecord): boolean {
    return this.enoughInSync() && this.allMarked(record)
  }

  private allMarked({ inSync }: ExtentRecord): boolean {
    const { self } = this.state.services
    return inSync.every((store) => store === self || this.streams.get(store)?.marked === true)
  }

  /** Every member holds this primary's state, and START is ordered, or waits for more of them. */
  private mayGrow(record: ExtentRecord): boolean {
    const { state } = this
    if (state.active || state.phase === 'releasing') return true
    return (state.started || !this.enoughInSync()) && this.allMarked(record)
  }

  private hasCaughtUp(ctx: Context, store: StoreId): boolean {
    const { streams } = this
    const { extent } = this.state
    return this.mayBeAdded(ctx, store) && (streams.get(store)?.ackedSeq ?? 0) >= extent.commitSeq
  }

  /** The store that catches up fails, or is a member now: its acknowledgements are no longer required on that account. */
  private endCatchUp(ctx: Context, record: ExtentRecord): void {
    const { store } = this.catchUp
    if (store === undefined || (!record.inSync.includes(store) && this.mayBeAdded(ctx, store))) return
    if (this.health.failing(ctx, store) !== undefined) this.evictions.note(ctx, store)
    this.catchUp.end()
  }

  private mayBeAdded(ctx: Context, store: StoreId): boolean {
    const stream = this.streams.get(store)
    // The store on the stream is the one that control has registered under this assignment (finding 11). A suspect store was
    // compared like any other and may be in sync again; control promotes it once none of its replicas is suspect (A2.17-4).
    // A stream over a stalled connection stays marked while nothing is written: only a frame shows that the store works.
    const registered = this.state.services.control.map.nodes.get(store)
    return (
      stream?.marked === true &&
      this.health.failing(ctx, store) === undefined &&
      registered !== undefined &&
      registered.address !== '' &&
      this.evictions.mayRejoin(ctx, store)
    )
  }

  /**
   * Members that failed leave while enough stay, counting those that wait to be added: a new primary adds no store before every
   * member holds its state, which a failed one never will (A2.8-10). Below that a silent one leaves once control calls it down;
   * one that control still hears, or that is only slow, is better served by another primary (A2.7-7).
   */
  private leaving(ctx: Context, record: ExtentRecord): StoreId[] {
    const { services } = this.state
    const others = record.inSync.filter((store) => store !== services.self)
    const failing = new Map(others.map((store) => [store, this.health.failing(ctx, store)]))
    const silent = others.filter((store) => failing.get(store) === 'silent')
    const slow = others.filter((store) => failing.get(store) === 'slow')
    const waiting = record.assigned.filter((store) => !record.inSync.includes(store) && this.hasCaughtUp(ctx, store))
    const spare = record.inSync.length + waiting.length - (this.state.volume()?.minInSync ?? 1)
    if (silent.length + slow.length <= spare) return [...silent, ...slow]
    const isUp = (store: StoreId) => services.control.map.nodes.get(store)?.state !== 'down'
    const cutOff = silent.filter((store) => isUp(store) && ctx.now - this.health.lastFrameAt(store) > CUT_OFF_MS)
    if (slow.length > 0 || cutOff.length > 0) this.releaseAsSlow(ctx)
    return silent.filter((store) => !isUp(store))
  }

  private request(ctx: Context, record: ExtentRecord, inSync: readonly StoreId[]): void {
    const { id: extent, revision, epoch } = record
    const { control } = this.state.services
    // A member that started again and stayed in the set is complete in its new incarnation too: the record does not say so.
    this.complete.onRecord(record, control.map)
    const isShort = inSync.length < (this.state.volume()?.minInSync ?? 1)
    const complete = isShort ? this.complete.outside(inSync, control.map) : []
    if (isShort) this.requestedShortOf = revision
    const change: SetChange = { extent, revision, epoch, inSync, ...(complete.length === 0 ? {} : { complete }) }
    this.requested = change
    this.requestedAt = ctx.now
    ctx.event('info', 'in-sync-change-asked', { extent: record.id, from: record.inSync, to: inSync })
    control.requestChange(ctx, change)
  }
}

function sameStores(a: readonly StoreId[], b: readonly StoreId[]): boolean {
  return a.length === b.length && a.every((store) => b.includes(store))
}
