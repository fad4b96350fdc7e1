import {
  type BlockIndex,
  type Epoch,
  type ExtentRecord,
  invariant,
  type Millis,
  type Opened,
  type Seq,
  type SetChange,
  type StoreId,
  TIMERS,
  type VolumeRecord,
} from '@ashlar/proto'
import type { Context, HeadRecord, Link, LoadedBlock } from '../machine.ts'
import { Admission } from './admission.ts'
import { CommitNotice } from './commit-notice.ts'
import { Commits } from './commits.ts'
import { Confirmations } from './confirmations.ts'
import { Evictions } from './evictions.ts'
import { type ExtentState, headRecordOf } from './extent-state.ts'
import { InSyncKeeper } from './in-sync.ts'
import type { MemberState } from './member-state.ts'
import { OwnDisk } from './own-disk.ts'
import { PrimaryState } from './primary-state.ts'
import { Reads } from './reads.ts'
import type { ReconcileSource } from './reconcile-source.ts'
import { Reconciliation, suspectsToReconcile } from './reconciliation.ts'
import type { Repairs } from './repair.ts'
import { RollForward } from './roll-forward.ts'
import type { Services } from './services.ts'
import { OutStream } from './stream.ts'
import { StreamHealth } from './stream-health.ts'
import type { StreamOwner } from './stream-owner.ts'
import { Window } from './window.ts'
import { Writes } from './writes.ts'

/**
 * The primary of one extent in one epoch (protocol A2.5 to A2.8): composes its parts, which do not know it, and keeps its
 * life cycle. It orders writes, streams them to every replica, commits what every member of the ack set has on stable
 * storage, and responds to the clients.
 */
export class Primary implements StreamOwner {
  readonly state: PrimaryState
  readonly extent: ExtentState
  readonly epoch: Epoch
  readonly services: Services
  readonly streams = new Map<StoreId, OutStream>()
  readonly window = new Window()
  readonly disk = new OwnDisk()
  readonly repairs: Repairs
  readonly keeper: InSyncKeeper
  readonly confirmations: Confirmations
  readonly reads: Reads
  readonly writes: Writes
  readonly forward: RollForward
  readonly notice: CommitNotice
  /** Comes before all else where only suspect stores are left (A2.17-3). */
  reconciliation: Reconciliation | undefined
  private readonly commits: Commits
  private readonly evictions: Evictions
  private released: { revision: number; at: Millis } = { revision: 0, at: 0 }

  constructor(extent: ExtentState, epoch: Epoch, services: Services, repairs: Repairs) {
    const state = new PrimaryState(extent, epoch, services)
    this.state = state
    this.extent = extent
    this.epoch = epoch
    this.services = services
    this.repairs = repairs
    const { streams, window, disk } = this
    const evictions = new Evictions(state)
    const health = new StreamHealth(state, streams)
    const releaseAsSlow = (ctx: Context) => this.releaseAsSlow(ctx)
    const keeper = new InSyncKeeper({ state, streams, health, evictions, releaseAsSlow })
    const onFenced = (ctx: Context, promised: Epoch) => this.onFenced(ctx, promised)
    const confirmations = new Confirmations({ state, keeper, onFenced })
    const notice = new CommitNotice(state, window, streams)
    const onCommitted = (ctx: Context) => this.onCommitted(ctx)
    const commits = new Commits({ state, window, disk, keeper, notice, streams, onCommitted })
    const admission = new Admission(state)
    this.evictions = evictions
    this.keeper = keeper
    this.confirmations = confirmations
    this.notice = notice
    this.commits = commits
    this.reads = new Reads({ state, admission, window, disk, repairs, confirmations })
    this.writes = new Writes({ state, admission, window, disk, repairs, keeper, streams, commits })
    this.forward = new RollForward({
      ...{ state, streams, disk, evictions, onFenced },
      reconciles: () => this.reconciliation !== undefined,
      onBehind: (ctx, store, commitSeq) => this.onBehind(ctx, store, commitSeq),
      onRolledForward: (ctx) => this.onRolledForward(ctx),
    })
  }

  get over(): boolean {
    return this.state.over
  }

  record(): ExtentRecord | undefined {
    return this.state.record()
  }

  // ---- takeover ---------------------------------------------------------------------------------------------------

  /** Persists promised = led = epoch and the record before the first OPEN leaves (A2.8-2, A2.14). */
  begin(ctx: Context): void {
    const { state } = this
    const record = state.record()
    const volume = state.volume()
    invariant(record !== undefined && volume !== undefined, 'a primary begins under a record that names it')
    invariant(
      this.epoch > this.extent.led && this.epoch >= this.extent.promised,
      'an epoch is led once, and never below a promise',
    )
    this.keeper.complete.begin(record, this.services.control.map)
    const token = this.extent.commit(ctx, {
      head: { promised: this.epoch, led: this.epoch, record: this.headRecord(record, volume) },
    })
    this.disk.wrote(ctx)
    this.services.when(token, (later) => {
      if (state.phase !== 'promising') return
      this.disk.wrote(later)
      state.phase = 'recovering'
      // The store makes changes durable in order: what it applied as a replica is on stable storage now.
      this.commits.onAllDurable()
      later.event('info', 'extent-recovering', { extent: this.extent.id, epoch: this.epoch })
      const suspects = suspectsToReconcile(this.services, record)
      if (suspects === undefined) return this.maintain(later)
      this.reconciliation = new Reconciliation(this, state, suspects)
      this.reconciliation.begin(later)
    })
  }

  onReconciled(ctx: Context): void {
    this.commits.onAllDurable()
    this.maintain(ctx)
  }

  /** This store now has the state of the member that was ahead of all others: all streams compare again. */
  private onRolledForward(ctx: Context): void {
    for (const stream of this.streams.values()) stream.restart(ctx)
    this.onReconciled(ctx)
  }

  /** This store would serve zeroes where data was: an operator decides (A2.8-4). */
  onLost(ctx: Context, _block: BlockIndex): void {
    this.giveUp(ctx)
  }

  /** This store lacks what it acknowledged: it stops serving and leaves the set. */
  giveUp(ctx: Context): void {
    this.stepDown(ctx)
    this.services.control.release(ctx, [{ extent: this.extent.id, epoch: this.epoch }], 'behind')
  }

  private headRecord(record: ExtentRecord, volume: VolumeRecord): HeadRecord {
    return headRecordOf(record, volume, this.extent.lengthBytes, this.state.timelineEpoch)
  }

  // ---- the map and time -------------------------------------------------------------------------------------------

  /** The map has a newer record of this extent that still names this primary. */
  onRecord(ctx: Context): void {
    const record = this.state.record()
    const volume = this.state.volume()
    if (record === undefined || volume === undefined || this.over) return
    if (record.revision !== this.extent.record?.revision)
      this.commits.waitForRecord(this.extent.commit(ctx, { head: { record: this.headRecord(record, volume) } }))
    this.keeper.onRecord(record)
    this.maintain(ctx)
  }

  /** Timers, streams that must be opened, sets that must change. Called on every tick and after every change. */
  maintain(ctx: Context): void {
    const { state } = this
    const record = state.record()
    if (this.over || state.releaseRequested || record === undefined) return
    const undurable = state.phase === 'promising' || this.commits.undurable
    if (this.disk.isSlow(ctx.now, undurable)) this.releaseAsSlow(ctx)
    if (state.releaseRequested || state.phase === 'promising') return
    if (this.reconciliation?.done === false) return this.reconciliation.maintain(ctx)
    this.forward.maintain(ctx)
    if (this.forward.busy) return
    this.maintainStreams(ctx, record)
    if (!state.started && this.keeper.mayStart(record)) {
      state.started = true
      this.commits.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })
    }
    this.confirmations.maintain(ctx)
    this.notice.maintain(ctx)
    this.keeper.maintain(ctx, record)
    this.commits.advance(ctx)
  }

  /** One stream to each other store that holds or joins the extent. */
  private maintainStreams(ctx: Context, record: ExtentRecord): void {
    const wanted = new Set([...record.assigned, ...record.inSync])
    wanted.delete(this.services.self)
    for (const [store, stream] of this.streams) {
      if (wanted.has(store)) continue
      // The copy may hold the throttle that other copies wait for.
      stream.reset(ctx)
      this.streams.delete(store)
    }
    for (const store of wanted) {
      let stream = this.streams.get(store)
      if (stream === undefined) {
        const gen = this.reconciliation?.sources.get(store)?.gen
        stream = new OutStream(store, this.state, this.keeper, this, ctx.now, gen)
        this.streams.set(store, stream)
      }
      if (record.inSync.includes(store) || this.evictions.mayRejoin(ctx, store)) stream.maintain(ctx)
    }
  }

  private onCommitted(ctx: Context): void {
    this.reads.onCommit(ctx)
    this.keeper.maintain(ctx, this.state.record())
  }

  // ---- what its parts report --------------------------------------------------------------------------------------

  /** The stream to a store, or what it is reconciled or learned with before there is one. */
  streamOf(store: StoreId | undefined): OutStream | ReconcileSource | MemberState | undefined {
    const source = this.reconciliation?.sourceOf(store) ?? this.forward.sourceOf(store)
    return source ?? (store === undefined ? undefined : this.streams.get(store))
  }

  rollsForward(ctx: Context, stream: { store: StoreId; gen: number }, link: Link, opened: Opened): boolean {
    return this.forward.onOpened(ctx, stream, link, opened)
  }

  onStreamProgress(ctx: Context): void {
    if (!this.over) this.maintain(ctx)
  }

  onFenced(ctx: Context, promised: Epoch): void {
    if (promised <= this.epoch || this.over) return
    ctx.event('warn', 'primary-fenced', { extent: this.extent.id, epoch: this.epoch, promised })
    this.services.forgotten.compare(ctx, this.services.control.map.extents.get(this.extent.id), promised)
    this.stepDown(ctx)
  }

  /** This store silently lost committed data: it must not serve, and it must leave the in-sync set (A2.8-4). */
  onBehind(ctx: Context, store: StoreId, commitSeq: Seq): void {
    const { id: extent, lastSeq } = this.extent
    ctx.event('error', 'primary-behind', { extent, epoch: this.epoch, store, commitSeq, lastSeq })
    this.giveUp(ctx)
  }

  onDamaged(ctx: Context, block: LoadedBlock): void {
    this.repairs.repairForCopies(ctx, block, this.streams)
  }

  onSetChanged(ctx: Context, change: SetChange): void {
    this.keeper.onSetChanged(change)
    if (!this.over) this.maintain(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    for (const stream of this.streams.values()) stream.onLinkDown(ctx, link)
    this.confirmations.onLinkDown(ctx, link)
    this.reconciliation?.onLinkDown(ctx, link)
    this.forward.onLinkDown(ctx, link)
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  /**
   * Another member may be able to serve where this one cannot (A2.7-6). The primary stops before control may name another, and
   * goes on if control names none. It waits before it releases again, unless the members changed: each is tried once.
   */
  private releaseAsSlow(ctx: Context): void {
    const { state } = this
    const { revision, at } = this.released
    if (state.releaseRequested || (state.record()?.revision === revision && ctx.now - at < TIMERS.rejoinMaxMs)) return
    state.releaseRequested = true
    this.released.at = ctx.now
    ctx.event('warn', 'primary-too-slow', { extent: this.extent.id, epoch: this.epoch })
    this.services.control.release(ctx, [{ extent: this.extent.id, epoch: this.epoch }], 'slow')
  }

  /** Control named no other primary; it moved the record on, but no member (amendment 38). */
  onReleaseRefused(ctx: Context): void {
    if (!this.state.releaseRequested || this.over) return
    this.state.releaseRequested = false
    this.released.revision = this.state.record()?.revision ?? 0
    this.disk.startOver(ctx)
    this.maintain(ctx)
  }

  /** Takes no new work; `drained` becomes true when what it had is settled. */
  startReleasing(): void {
    if (this.state.phase === 'active') this.state.phase = 'releasing'
  }

  get drained(): boolean {
    return this.window.size === 0 && this.writes.idle
  }

  /** This primary is over: writes without a response are indeterminate, and the next primary settles their retries. */
  stepDown(ctx: Context): void {
    if (this.over) return
    this.state.phase = 'over'
    for (const write of this.window.takeAll())
      for (const reply of write.replies) this.state.respond(ctx, reply, 'INDETERMINATE')
    this.writes.refuseAll(ctx, 'NOT_PRIMARY')
    this.reads.refuseAll(ctx, 'NOT_PRIMARY')
    this.repairs.abandon(ctx)
    this.confirmations.abandon(ctx)
    this.forward.end()
    // Blocks that are being read for a copy must not be sent: another primary may soon have replaced them here.
    for (const stream of this.streams.values()) stream.reset(ctx)
    this.streams.clear()
    ctx.event('info', 'extent-stepped-down', { extent: this.extent.id, epoch: this.epoch })
  }
}
