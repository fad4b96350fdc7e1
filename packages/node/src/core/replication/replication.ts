import {
  type ClientRequest,
  type Epoch,
  ERRORS,
  type ErrorCode,
  type ExtentId,
  type ExtentRecord,
  extentLengthBytes,
  type FetchedBlock,
  type Message,
  type Millis,
  type Open,
  type SetChange,
  type SpaceReport,
  type StoreId,
  type Trust,
} from '@ashlar/proto'
import { handle, isFor, type MessageOf } from '../handlers.ts'
import type { ControlView, MapListener, PeerLinks } from '../interfaces.ts'
import type { Context, Link, LoadedBlock, StoredReplica, Token } from '../machine.ts'
import type { Completion } from './completion.ts'
import { CopyThrottle } from './copy-throttle.ts'
import { ExtentState, headRecordOf, Leftovers } from './extent-state.ts'
import { type ExtentStatus, statusOf } from './extent-status.ts'
import { type Extent, Extents } from './extents.ts'
import { ForgottenEpochs } from './forgotten-epochs.ts'
import { isIdle, isSilent } from './idle.ts'
import { CLIENT_HANDLERS, PRIMARY_HANDLERS, REPLICA_HANDLERS, STREAM_HANDLERS } from './message-tables.ts'
import type { Services } from './services.ts'
import { mayLeave, othersCanLead, Shutdown } from './shutdown.ts'
import { OwnSpace } from './space.ts'
import { StagingSpace } from './staged-pushes.ts'
import { Verification } from './verification.ts'

type Then = (ctx: Context, completion: Completion) => void
type Acknowledging = { endStep(ctx: Context): void }

export interface ReplicationOptions {
  readonly self: StoreId
  readonly counter: number
  /** As this incarnation of the store began. */
  readonly trust: Trust
  readonly control: ControlView
  readonly links: PeerLinks
  readonly replicas: readonly StoredReplica[]
}

/** Every extent of one store, in both roles. Routes messages and completions to them; follows the map. */
export class Replication implements MapListener {
  private readonly services: Services
  private readonly extents = new Extents()
  /** Replicas whose head has no record yet: their shape comes from the map. */
  private readonly shapeless = new Map<ExtentId, StoredReplica>()
  private readonly completions = new Map<Token, Then>()
  private readonly acknowledging = new Set<Acknowledging>()
  private readonly space = new OwnSpace()
  private readonly throttle = new CopyThrottle()
  private readonly staging = new StagingSpace()
  private readonly leftovers: Leftovers
  private shutdown: Shutdown | undefined
  /** Stores of the map that were silent at the last tick. */
  private readonly silent = new Set<StoreId>()

  constructor(options: ReplicationOptions) {
    const { self, counter, control, links } = options
    const services = {
      ...{ self, counter, control, links },
      when: (token: Token, then: Then) => this.completions.set(token, then),
      acknowledgeAtEnd: (replica: Acknowledging) => this.acknowledging.add(replica),
      space: () => this.space.current,
      ...{ throttle: this.throttle, staging: this.staging, forgotten: new ForgottenEpochs(control) },
    }
    this.services = { ...services, verification: new Verification(services, options.trust) }
    this.leftovers = new Leftovers(options.replicas)
    for (const stored of options.replicas) {
      if (stored.head.record === undefined) this.shapeless.set(stored.extent, stored)
      else this.extents.adopt(new ExtentState(stored.extent, stored.head.record, stored), this.services)
    }
  }

  setSpace(space: SpaceReport): void {
    this.space.current = space
  }

  onCompletion(ctx: Context, completion: Completion): void {
    const then = this.completions.get(completion.token)
    this.completions.delete(completion.token)
    then?.(ctx, completion)
  }

  // ---- the map ----------------------------------------------------------------------------------------------------

  onMapChanged(ctx: Context, changed: readonly ExtentId[], removed: readonly ExtentId[]): void {
    for (const id of [...removed, ...this.leftovers.take(this.services.control.map)]) this.drop(ctx, id)
    for (const id of changed) this.follow(ctx, id)
  }

  /** The volume was deleted and the map holds its tombstone: only then is a replica deleted (A2.18-2). */
  private drop(ctx: Context, id: ExtentId): void {
    const extent = this.extents.reach(id)
    if (extent === undefined && !this.shapeless.delete(id)) return
    extent?.primary?.stepDown(ctx)
    extent?.replica.drop()
    extent?.repairs.drop(ctx)
    this.services.verification.drop(ctx, id)
    this.extents.delete(id)
    ctx.emit({ type: 'drop-replica', extent: id })
    ctx.event('info', 'replica-dropped', { extent: id })
  }

  private follow(ctx: Context, id: ExtentId): void {
    const { control, self, counter } = this.services
    const record = control.map.extents.get(id)
    if (record === undefined) return
    const extent = this.extents.reach(id) ?? this.create(ctx, record)
    if (extent === undefined) return
    if (extent.primary !== undefined && (extent.primary.epoch !== record.epoch || record.primary.store !== self)) {
      extent.primary.stepDown(ctx)
      extent.primary = undefined
    }
    if (extent.primary !== undefined) return extent.primary.onRecord(ctx)
    const { state } = extent
    const named = record.primary.store === self && record.primary.counter === counter
    // An epoch is led once: what this store led before, in this incarnation or another, is never resumed (A2.0-4).
    if (named && record.epoch > state.led && record.epoch >= state.promised)
      this.extents.lead(ctx, extent, record.epoch)
    else this.writeRecord(ctx, state, record)
  }

  private create(ctx: Context, record: ExtentRecord): Extent | undefined {
    const located = this.services.control.map.locate(record.id)
    const stored = this.shapeless.get(record.id)
    const holds =
      stored !== undefined || record.assigned.includes(this.services.self) || record.inSync.includes(this.services.self)
    if (located === undefined || !holds) return undefined
    const { volume, index } = located
    const shape = { blockSizeBytes: volume.blockSizeBytes, lengthBytes: extentLengthBytes(volume, index) }
    if (stored === undefined) ctx.emit({ type: 'create-replica', extent: record.id, ...shape, volumeName: volume.name })
    this.shapeless.delete(record.id)
    return this.extents.adopt(new ExtentState(record.id, shape, stored), this.services)
  }

  /** Every store persists the newest record, so that a lost map can be rebuilt (A2.1-7). */
  private writeRecord(ctx: Context, state: ExtentState, record: ExtentRecord): void {
    const { map } = this.services.control
    this.services.forgotten.compare(ctx, record, state.promised)
    const volume = map.locate(record.id)?.volume
    if (volume === undefined || state.record?.revision === record.revision) return
    const historyEpoch = map.historyEpochOf(record.id)
    state.commit(ctx, { head: { record: headRecordOf(record, volume, state.lengthBytes, historyEpoch) } })
  }

  onSetChanged(ctx: Context, change: SetChange): void {
    const primary = this.extents.reach(change.extent)?.primary
    if (primary?.epoch === change.epoch) primary.onSetChanged(ctx, change)
  }

  onReleased(ctx: Context, extents: readonly { extent: ExtentId; epoch: Epoch }[]): void {
    for (const { extent, epoch } of extents) {
      const primary = this.extents.reach(extent)?.primary
      if (primary?.epoch === epoch) primary.onReleaseRefused(ctx)
    }
  }

  // ---- links and time ---------------------------------------------------------------------------------------------

  /** A connection with a node. A client's requests reach their extents by themselves. */
  onLinkUp(ctx: Context): void {
    for (const { primary } of this.extents.reachAll()) primary?.maintain(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    for (const { primary, replica, repairs } of this.extents.reachAll()) {
      replica.onLinkDown(link)
      primary?.onLinkDown(ctx, link)
      repairs.onLinkDown(ctx, link)
    }
  }

  /** An idle extent costs nothing: a store that goes silent, or is heard again, wakes the extents that name it. */
  onTick(ctx: Context): void {
    this.noticeSilence(ctx.now)
    // A shutdown changes extents that no input reaches.
    const all = this.shutdown !== undefined
    for (const extent of all ? this.extents.reachAll() : this.extents.allBusy()) this.lookAt(ctx, extent)
    if (this.space.takeChange(ctx)) for (const { replica } of this.extents.held.values()) replica.acknowledge()
    this.services.forgotten.onTick(ctx)
    this.shutdown?.continue(ctx)
  }

  private lookAt(ctx: Context, extent: Extent): void {
    const { state, primary, repairs } = extent
    const idle = primary === undefined || isIdle(primary, ctx.now)
    if (!idle) primary.maintain(ctx)
    if (repairs.busy) repairs.maintain(ctx)
    else if (idle) this.extents.foundIdle(state.id)
  }

  private noticeSilence(now: Millis): void {
    const { control, links, self } = this.services
    for (const store of this.silent) if (!control.map.nodes.has(store)) this.silent.delete(store)
    for (const store of control.map.nodes.keys()) {
      if (store === self || isSilent(links, store, now) === this.silent.has(store)) continue
      if (!this.silent.delete(store)) this.silent.add(store)
      for (const [id, { primary }] of this.extents.held) {
        const record = primary?.record()
        if (record?.assigned.includes(store) || record?.inSync.includes(store)) this.extents.reach(id)
      }
    }
  }

  /** Sends one acknowledgement a stream for the whole step. Then throttled copies go on. */
  endStep(ctx: Context): void {
    for (const replica of this.acknowledging) replica.endStep(ctx)
    this.acknowledging.clear()
    this.throttle.endStep(ctx)
  }

  // ---- messages ---------------------------------------------------------------------------------------------------

  /** True when the message was for replication. */
  onMessage(ctx: Context, link: Link, message: Message): boolean {
    if (isFor(CLIENT_HANDLERS, message)) this.onClientRequest(ctx, link, message)
    else if (isFor(REPLICA_HANDLERS, message)) this.onForReplica(ctx, link, message)
    else if (isFor(STREAM_HANDLERS, message)) this.onForStream(ctx, link, message)
    else if (isFor(PRIMARY_HANDLERS, message)) this.onForPrimary(ctx, link, message)
    else if (message.type === 'open') this.onOpen(ctx, link, message)
    else if (message.type === 'fetched-block') this.onFetched(ctx, message)
    else return false
    return true
  }

  private onClientRequest(ctx: Context, link: Link, message: ClientRequest): void {
    this.throttle.onServed(ctx.now)
    const primary = this.extents.reach(message.extent)?.primary
    if (primary === undefined) this.refuseClient(ctx, link, message)
    else handle(CLIENT_HANDLERS, primary, ctx, link, message)
  }

  private refuseClient(ctx: Context, link: Link, message: ClientRequest): void {
    const record = this.services.control.map.extents.get(message.extent)
    const mine = record?.primary.store === this.services.self && record.epoch >= message.epoch
    const code: ErrorCode = mine ? 'WAIT' : 'NOT_PRIMARY'
    const epoch = record?.epoch ?? (0 as Epoch)
    const answer = { type: 'answer', request: message.request, code: ERRORS[code].number, epoch } as const
    ctx.emit({ type: 'send', link, message: answer })
  }

  private onOpen(ctx: Context, link: Link, message: Open): void {
    const extent = this.extents.reach(message.extent)
    if (extent === undefined) {
      // The map of this store does not have the extent yet. The primary tries again.
      const { epoch, gen } = message
      const refusal = { extent: message.extent, epoch, gen, reason: 'wrong-store', promised: 0 as Epoch } as const
      ctx.emit({ type: 'send', link, message: { type: 'open-refused', ...refusal } })
      return
    }
    if (extent.primary !== undefined && message.epoch > extent.primary.epoch) {
      extent.primary.stepDown(ctx)
      extent.primary = undefined
    }
    // A primary of an earlier epoch is refused by the promise that this store made for its own.
    if (extent.primary === undefined || message.epoch < extent.primary.epoch) extent.replica.onOpen(ctx, link, message)
    else ctx.event('warn', 'open-from-second-primary', { extent: message.extent, epoch: message.epoch })
  }

  private onForReplica(ctx: Context, link: Link, message: MessageOf<keyof typeof REPLICA_HANDLERS>): void {
    const replica = this.extents.reach(message.extent)?.replica
    if (message.type === 'replicate' && message.operation !== undefined) this.throttle.onServed(ctx.now)
    if (replica !== undefined) handle(REPLICA_HANDLERS, replica, ctx, link, message)
    else if (message.type === 'fetch-block')
      ctx.emit({ type: 'send', link, message: { type: 'fetched-block', request: message.request, checksum: 0 } })
  }

  private onForStream(ctx: Context, link: Link, message: MessageOf<keyof typeof STREAM_HANDLERS>): void {
    const extent = this.extents.reach(message.extent)
    const stream = extent?.primary?.streamOf(this.services.links.storeOf(link))
    if (stream !== undefined) handle(STREAM_HANDLERS, stream, ctx, link, message)
    if (extent?.primary?.over) extent.primary = undefined
  }

  private onForPrimary(ctx: Context, link: Link, message: MessageOf<keyof typeof PRIMARY_HANDLERS>): void {
    const extent = this.extents.reach(message.extent)
    if (extent?.primary !== undefined) handle(PRIMARY_HANDLERS, extent.primary, ctx, link, message)
    if (extent?.primary?.over) extent.primary = undefined
  }

  private onFetched(ctx: Context, message: FetchedBlock): void {
    // An extent that waits for a block is busy already.
    for (const { repairs, primary } of this.extents.busyOnes)
      if ([repairs, primary?.reconciliation, primary?.forward].some((asked) => asked?.onFetched(ctx, message) === true))
        return
  }

  /** Damage that this store found by itself: any holder of these versions can repair it, in either role. */
  onDamageFound(ctx: Context, id: ExtentId, blocks: readonly LoadedBlock[]): void {
    const repairs = this.extents.reach(id)?.repairs
    for (const block of blocks) repairs?.found(ctx, block)
  }

  /** Versions of the extent were lost here (A2.17-6): another member that can lead serves it, where there is one. */
  stopServing(ctx: Context, id: ExtentId): void {
    const extent = this.extents.reach(id)
    if (extent?.primary === undefined || !othersCanLead(this.services, id)) return
    extent.primary.giveUp(ctx)
    extent.primary = undefined
  }

  /**
   * Versions were lost in an incarnation that was opened as suspect (A2.17-5): the replica is compared again. False where
   * this store serves the extent, so that nothing in this incarnation compares it.
   */
  onVersionsLost(ctx: Context, id: ExtentId): boolean {
    const extent = this.extents.reach(id)
    const { verification } = this.services
    if (extent === undefined || verification.isReading(id)) return true
    verification.forget(id)
    if (extent.primary === undefined) extent.replica.onVersionsLost(ctx)
    else if (extent.primary.reconciliation?.done === false) extent.primary.reconciliation.startOver(ctx)
    else return false
    return true
  }

  // ---- shutting down ----------------------------------------------------------------------------------------------

  /** Releases every extent that another in-sync store can lead, after the writes in progress. Ends in `handed-over`. */
  shutDown(ctx: Context): void {
    if (this.shutdown !== undefined) return
    this.shutdown = new Shutdown(this.services, this.extents.held, ctx.now)
    this.shutdown.continue(ctx)
  }

  /**
   * True when no write would wait for this store if it left: every extent that it is in sync of has enough others in
   * sync, on trusted stores that are up.
   */
  get mayLeave(): boolean {
    return mayLeave(this.services, this.extents.held.keys())
  }

  holdsWhatCounts(): boolean {
    return this.extents.holdWhatCounts(this.services)
  }

  /** What this store knows of its extents, for the API and for `explain`. */
  describe(): ExtentStatus[] {
    return [...this.extents.held.values()].map((extent) =>
      statusOf(extent.state, extent.replica.describe(), extent.primary),
    )
  }
}
