import {
  type Epoch,
  ERRORS,
  type ErrorCode,
  type ExtentRecord,
  invariant,
  type Millis,
  type Seq,
  type SetChange,
  type StoreId,
  TIMERS,
  type VolumeRecord,
} from '@ashlar/proto'
import type { Context, HeadRecord, LoadedBlock, Token } from '../machine.ts'
import { CommitNews } from './commit-news.ts'
import { Confirmations } from './confirmations.ts'
import { type ExtentState, headRecordOf } from './extent-state.ts'
import { InSyncKeeper } from './in-sync.ts'
import { Merge, suspectsToMerge } from './merge.ts'
import { OwnDisk } from './own-disk.ts'
import { Reads } from './reads.ts'
import type { Repairs } from './repair.ts'
import { RollForward } from './roll-forward.ts'
import type { Services } from './services.ts'
import { OutStream } from './stream.ts'
import type { StreamOwner } from './stream-owner.ts'
import { type NewWrite, type PendingWrite, type ReplyTo, Window } from './window.ts'
import { Writes } from './writes.ts'

/**
 *   promising ──promised durable──> recovering ──all in-sync marked, START committed──> active
 *       └──────────────────── another epoch, fenced, behind ────────────────────────────> over
 *
 * `releasing` is an active primary that takes no new work and waits for what it has.
 */
export type PrimaryPhase = 'promising' | 'recovering' | 'active' | 'releasing' | 'over'

/**
 * The primary of one extent in one epoch (protocol A2.5 to A2.8). It orders writes, streams them to every replica,
 * commits what every member of the ack set has on stable storage, and answers.
 */
export class Primary implements StreamOwner {
  readonly extent: ExtentState
  readonly epoch: Epoch
  readonly services: Services
  phase: PrimaryPhase = 'promising'
  readonly streams = new Map<StoreId, OutStream>()
  readonly window = new Window()
  readonly writes: Writes
  readonly reads: Reads
  readonly repairs: Repairs
  readonly confirmations: Confirmations
  readonly keeper: InSyncKeeper
  /** What comes before all else where only suspect stores were left (A2.17-3). */
  merge: Merge | undefined
  readonly forward = new RollForward(this)
  readonly news = new CommitNews(this)
  /** Newest seq that is on this store's own stable storage. */
  private durableSeq = 0 as Seq
  /** The record that this primary acts under is not yet durable: nothing is acknowledged until it is (amendment 16). */
  private recordToken: Token | undefined
  /** START has its seq. */
  started = false
  readonly disk = new OwnDisk()
  /** Given up as too slow: it does nothing more until control has answered (A2.7-6). */
  givenUp = false
  private released: { revision: number; at: Millis } = { revision: 0, at: 0 }

  constructor(extent: ExtentState, epoch: Epoch, services: Services, repairs: Repairs) {
    this.extent = extent
    this.epoch = epoch
    this.services = services
    this.writes = new Writes(this)
    this.reads = new Reads(this)
    this.repairs = repairs
    this.confirmations = new Confirmations(this)
    this.keeper = new InSyncKeeper(this)
  }

  /** The newest record of the map, as long as it names this primary in this epoch. */
  record(): ExtentRecord | undefined {
    const record = this.services.control.map.extents.get(this.extent.id)
    return record !== undefined && record.epoch === this.epoch && record.primary.store === this.services.self
      ? record
      : undefined
  }

  volume(): VolumeRecord | undefined {
    return this.services.control.map.locate(this.extent.id)?.volume
  }

  /** The epoch in which this extent's history began anew, by a forced promotion; 0 when it never did (A2.10). */
  get historyEpoch(): Epoch {
    return this.services.control.map.historyEpochOf(this.extent.id)
  }

  /** Persists promised = led = epoch and the record before the first OPEN leaves (A2.8-2, A2.14). */
  begin(ctx: Context): void {
    const record = this.record()
    const volume = this.volume()
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
      if (this.phase !== 'promising') return
      this.disk.wrote(later)
      this.phase = 'recovering'
      // Changes are made durable in order, so everything that this store applied as a replica is on stable storage now.
      this.durableSeq = this.extent.lastSeq
      later.event('info', 'extent-recovering', { extent: this.extent.id, epoch: this.epoch })
      const suspects = suspectsToMerge(this.services, record)
      if (suspects === undefined) return this.maintain(later)
      this.merge = new Merge(this, suspects)
      this.merge.begin(later)
    })
  }

  onMerged(ctx: Context): void {
    this.durableSeq = this.extent.lastSeq
    this.maintain(ctx)
  }

  /** This store is what its furthest member is: all are compared with that. */
  onRolledForward(ctx: Context): void {
    for (const stream of this.streams.values()) stream.restart(ctx)
    this.onMerged(ctx)
  }

  /** This store would answer with zeroes where something was: a person decides (A2.8-4). */
  onLost(ctx: Context): void {
    this.stepDown(ctx)
    this.services.control.release(ctx, [{ extent: this.extent.id, epoch: this.epoch }], 'behind')
  }

  private headRecord(record: ExtentRecord, volume: VolumeRecord): HeadRecord {
    return headRecordOf(record, volume, this.extent.lengthBytes, this.historyEpoch)
  }

  get over(): boolean {
    return this.phase === 'over'
  }

  /** Serves reads and takes writes: START is committed and nothing has ended this primary. */
  get active(): boolean {
    return this.phase === 'active' && !this.givenUp
  }

  /** inSync ∪ pendingAdd ∪ who closes in ∪ self: every member must acknowledge (A2.5-5, A2.7-3). */
  ackSet(): Set<StoreId> {
    const set = new Set(this.record()?.inSync ?? [])
    this.keeper.addTo(set)
    set.add(this.services.self)
    return set
  }

  counts(store: StoreId): boolean {
    return this.ackSet().has(store) || this.keeper.isKept(store)
  }

  /** Only the committed and learned set counts toward minInSync, never a pending addition (amendment 1). */
  enoughInSync(): boolean {
    const record = this.record()
    const volume = this.volume()
    return record !== undefined && volume !== undefined && record.inSync.length >= volume.minInSync
  }

  /** The map has a newer record of this extent that still names this primary. */
  onRecord(ctx: Context): void {
    const record = this.record()
    const volume = this.volume()
    if (record === undefined || volume === undefined || this.over) return
    if (record.revision !== this.extent.record?.revision) {
      const token = this.extent.commit(ctx, { head: { record: this.headRecord(record, volume) } })
      this.recordToken = token
      this.services.when(token, (later) => {
        if (this.recordToken !== token) return
        this.recordToken = undefined
        this.advance(later)
      })
    }
    this.keeper.onRecord(record)
    this.maintain(ctx)
  }

  /** Timers, streams that must be opened, sets that must change. Called on every tick and after every change. */
  maintain(ctx: Context): void {
    const record = this.record()
    if (this.over || this.givenUp || record === undefined) return
    const undurable = this.phase === 'promising' || this.durableSeq < this.extent.lastSeq
    if (this.disk.isSlow(ctx.now, undurable)) this.releaseAsSlow(ctx)
    if (this.givenUp || this.phase === 'promising') return
    if (this.merge?.done === false) return this.merge.maintain(ctx)
    this.forward.maintain(ctx)
    if (this.forward.busy) return
    const wanted = new Set([...record.assigned, ...record.inSync])
    wanted.delete(this.services.self)
    for (const [store, stream] of this.streams) {
      if (wanted.has(store)) continue
      // It may hold the turn that other copies wait for.
      stream.reset(ctx)
      this.streams.delete(store)
    }
    for (const store of wanted) {
      let stream = this.streams.get(store)
      if (stream === undefined) {
        stream = new OutStream(store, this.extent, this.services, this, ctx.now, this.merge?.sources.get(store)?.gen)
        this.streams.set(store, stream)
      }
      if (record.inSync.includes(store) || this.keeper.mayRejoin(ctx, store)) stream.maintain(ctx)
    }
    if (!this.started && this.keeper.mayStart(record)) {
      this.started = true
      this.append(ctx, { blocks: [], bytes: 0, operation: undefined, cancel: false, replies: [] })
    }
    this.confirmations.maintain(ctx)
    this.news.maintain(ctx)
    this.keeper.maintain(ctx, record)
    this.advance(ctx)
  }

  /** Gives a write its seq, persists it and streams it to every replica in the same step (A2.5-3). */
  append(ctx: Context, write: NewWrite): Seq {
    const { extent } = this
    const [prevEpoch, prevSeq] = [extent.lastEpoch, extent.lastSeq]
    const seq = extent.nextSeq(this.historyEpoch)
    const blocks = write.blocks.map((change) => ({ ...change, version: { ...change.version, epoch: this.epoch, seq } }))
    const pending: PendingWrite = { ...write, seq, blocks }
    if (this.durableSeq === prevSeq) this.disk.wrote(ctx)
    const token = extent.commit(ctx, {
      blocks,
      head: {
        lastEpoch: this.epoch,
        lastSeq: seq,
        commitSeq: extent.commitSeq,
        ...(write.operation === undefined
          ? {}
          : { generation: Math.max(extent.generation, write.operation.generation) }),
      },
      ...(write.operation === undefined
        ? {}
        : { operation: { operation: write.operation, seq, cancel: write.cancel } }),
    })
    this.window.push(pending)
    for (const stream of this.streams.values()) stream.offer(ctx, pending, prevEpoch, prevSeq)
    this.services.when(token, (later) => {
      if (seq > this.durableSeq) this.durableSeq = seq
      this.disk.wrote(later)
      this.advance(later)
    })
    return seq
  }

  /** Commits, in seq order, what every member of the ack set has made durable (A2.5-5, A2.10-1). */
  advance(ctx: Context): void {
    if (this.givenUp || this.over || this.recordToken !== undefined || !this.enoughInSync()) return
    let through = this.durableSeq
    const ackSet = this.ackSet()
    for (const store of ackSet) {
      if (store === this.services.self) continue
      const stream = this.streams.get(store)
      through = Math.min(through, stream?.marked === true ? stream.ackedSeq : 0) as Seq
    }
    const committed = this.window.takeThrough(through)
    const last = committed.at(-1)
    if (last === undefined) return
    this.extent.commitSeq = last.seq
    this.keeper.complete.committed(ackSet)
    this.news.onCommit(ctx)
    for (const write of committed) this.settle(ctx, write)
    this.reads.onCommit(ctx)
    this.keeper.maintain(ctx, this.record())
  }

  private settle(ctx: Context, write: PendingWrite): void {
    if (write.operation === undefined) {
      if (this.phase === 'recovering') this.phase = 'active'
      ctx.event('info', 'extent-active', { extent: this.extent.id, epoch: this.epoch, store: this.services.self })
      return
    }
    // The lease is checked again before the answer: without it the caller learns that the outcome is open (A2.3-5, A2.5-6).
    const code: ErrorCode = !this.services.control.leaseHeld(ctx) ? 'INDETERMINATE' : write.cancel ? 'CANCELLED' : 'OK'
    for (const reply of write.replies) this.answer(ctx, reply, code)
  }

  answer(ctx: Context, to: ReplyTo, code: ErrorCode): void {
    ctx.emit({
      type: 'send',
      link: to.link,
      message: { type: 'answer', request: to.request, code: ERRORS[code].number, epoch: this.epoch },
    })
  }

  /** Why this primary cannot serve a client now, or undefined when it can. The primary parks nothing (amendment 22). */
  refusal(ctx: Context, epoch: Epoch, generation: number): ErrorCode | undefined {
    if (epoch === this.epoch && !this.services.control.leaseHeld(ctx)) return 'WAIT'
    return this.unleasedRefusal(epoch, generation)
  }

  /** Why it could not even serve a read that the ackSet confirms; undefined when all that it lacks is the lease. */
  unleasedRefusal(epoch: Epoch, generation: number): ErrorCode | undefined {
    if (epoch < this.epoch) return 'NOT_PRIMARY'
    if (epoch > this.epoch || !this.active) return 'WAIT'
    const volume = this.volume()
    if (volume === undefined) return 'NOT_FOUND'
    if (generation !== 0 && generation < volume.generation) return 'FENCED'
    return generation > volume.generation ? 'WAIT' : undefined
  }

  // ---- what streams tell ------------------------------------------------------------------------------------------

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
    this.stepDown(ctx)
    this.services.control.release(ctx, [{ extent: this.extent.id, epoch: this.epoch }], 'behind')
  }

  onDamaged(ctx: Context, block: LoadedBlock): void {
    this.repairs.repairForCopies(ctx, block, this.streams)
  }

  onSetChanged(ctx: Context, change: SetChange): void {
    this.keeper.onSetChanged(change)
    if (!this.over) this.maintain(ctx)
  }

  onLinkDown(ctx: Context, link: number): void {
    for (const stream of this.streams.values()) stream.onLinkDown(ctx, link)
    this.confirmations.onLinkDown(ctx, link)
    this.merge?.onLinkDown(ctx, link)
    this.forward.onLinkDown(ctx, link)
  }

  /**
   * Another member may be able to serve where this one cannot (A2.7-6). It stops before control may name one, and goes
   * on if control names nobody. Not again for a while, unless the members changed: each is tried once, then the last one waits.
   */
  releaseAsSlow(ctx: Context): void {
    const { revision, at } = this.released
    if (this.givenUp || (this.record()?.revision === revision && ctx.now - at < TIMERS.rejoinMaxMs)) return
    this.givenUp = true
    this.released.at = ctx.now
    ctx.event('warn', 'primary-too-slow', { extent: this.extent.id, epoch: this.epoch })
    this.services.control.release(ctx, [{ extent: this.extent.id, epoch: this.epoch }], 'slow')
  }

  /** Control named nobody else; it moved the record on, but no member (amendment 38). */
  onReleaseRefused(ctx: Context): void {
    if (!this.givenUp || this.over) return
    this.givenUp = false
    this.released.revision = this.record()?.revision ?? 0
    this.disk.startOver(ctx)
    this.maintain(ctx)
  }

  /** Takes no new work; `drained` says when what it had is settled. */
  startReleasing(): void {
    if (this.phase === 'active') this.phase = 'releasing'
  }

  get drained(): boolean {
    return this.window.size === 0 && this.writes.idle
  }

  /** This primary is over: what has no answer yet is indeterminate, its retry is settled by the next primary. */
  stepDown(ctx: Context): void {
    if (this.over) return
    this.phase = 'over'
    for (const write of this.window.takeAll())
      for (const reply of write.replies) this.answer(ctx, reply, 'INDETERMINATE')
    this.writes.refuseAll(ctx, 'NOT_PRIMARY')
    this.reads.refuseAll(ctx, 'NOT_PRIMARY')
    this.repairs.abandon(ctx)
    this.confirmations.abandon(ctx)
    this.forward.end()
    // What is still being read for a copy must not be sent: this store may soon hold what another primary gave it.
    for (const stream of this.streams.values()) stream.reset(ctx)
    this.streams.clear()
    ctx.event('info', 'extent-stepped-down', { extent: this.extent.id, epoch: this.epoch })
  }
}
