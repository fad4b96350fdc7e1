import {
  BLOCK_DATA,
  type BlockIndex,
  type Epoch,
  type ExtentRecord,
  type FetchedBlock,
  isHigher,
  LIMITS,
  type Seq,
  type StoreId,
  sameVersion,
} from '@ashlar/proto'
import type { Context, LeafVersions, Link } from '../machine.ts'
import { LEAVES_AT_ONCE, sameBytes } from './comparison.ts'
import { DedupeWindows } from './dedupe.ts'
import type { ExtentState } from './extent-state.ts'
import type { PrimaryState } from './primary-state.ts'
import { byVersion, type Copy, copiesOf, reconcileWindows } from './reconcile-rule.ts'
import { type ReconcilePhase, ReconcileSource, type ReconcileTarget } from './reconcile-source.ts'
import type { Services } from './services.ts'

/** What a reconciliation reports to its primary. */
export interface ReconcileOwner {
  onFenced(ctx: Context, promised: Epoch): void
  /** This store holds all that the sources hold, on stable storage. */
  onReconciled(ctx: Context): void
  /** No store has a good copy of a block that is absent here: it would read as if it never was written. */
  onLost(ctx: Context, block: BlockIndex): void
}

/** A block whose better copy is to be fetched: the copies left to try, best first; the own one has no holder. */
interface Fetch {
  readonly block: BlockIndex
  readonly copies: Copy<ReconcileSource | undefined>[]
}

/**
 * The other stores whose copies a primary of this record reconciles, as control saw them when it named it; undefined
 * where there is nothing to reconcile.
 */
export function suspectsToReconcile({ control, self }: Services, record: ExtentRecord): StoreId[] | undefined {
  const { forced, gone, nodes } = control.map
  const mark = forced.get(record.id)
  if (mark?.epoch !== record.epoch || mark.merged !== true) return undefined
  const members = [...record.inSync, ...record.eligible]
  const isLeft = (store: StoreId) => members.includes(store) || nodes.get(store)?.trust === 'suspect'
  return record.assigned.filter((store) => store !== self && !gone.has(store) && isLeft(store))
}

type Version = LeafVersions['versions'][number]

/**
 * Reconciles the copies of an extent of which only suspect stores are left (A2.17-3), before its primary begins:
 *
 *   own bytes read, every store opened ─> leaf by leaf: versions of all, better copies fetched ─> heads, operations ─> done
 *      ^_______________ a store went away, or refused: its state is requested again _______________|
 *
 * Of each block the highest version with a good checksum wins. Every store reads all its bytes before it responds, so
 * that damage is known. Blocks that were taken over stay when it starts again: they are never worse than what was
 * there.
 */
export class Reconciliation implements ReconcileTarget {
  readonly state: PrimaryState
  readonly sources: ReadonlyMap<StoreId, ReconcileSource>
  private readonly extent: ExtentState
  private readonly services: Services
  private readonly owner: ReconcileOwner
  private verified = false
  /** Rises with each start; responses to requests of an earlier run are void. */
  private run = 0
  private running = false
  private nextLeaf = 0
  /** Own versions of the current leaves, once they have arrived. */
  private own: ReadonlyMap<number, readonly Version[]> = new Map()
  private asked: readonly number[] = []
  /** Operations that the sources remember and that no better copy has rolled back. */
  private remembered: ReadonlyMap<ReconcileSource, DedupeWindows> = new Map()
  private fetches: Fetch[] = []
  private readonly fetching = new Map<number, Fetch>()
  /** All is reconciled, and durable. */
  done = false
  private taken = 0
  private older = 0

  constructor(owner: ReconcileOwner, state: PrimaryState, stores: readonly StoreId[]) {
    this.owner = owner
    this.state = state
    this.extent = state.extent
    this.services = state.services
    this.sources = new Map(stores.map((store) => [store, new ReconcileSource(store, this)]))
  }

  begin(ctx: Context): void {
    const stores = [...this.sources.keys()]
    ctx.event('warn', 'extent-reconciling', { extent: this.extent.id, epoch: this.state.epoch, stores })
    this.readOwn(ctx)
    this.maintain(ctx)
  }

  private readOwn(ctx: Context): void {
    this.services.verification.before(ctx, this.extent, (later) => {
      this.verified = true
      this.onReady(later)
    })
  }

  /** This store lost versions that were compared before: everything is compared from the start. */
  startOver(ctx: Context): void {
    this.verified = false
    this.running = false
    this.readOwn(ctx)
  }

  /** Every store whose copy counts, this one included, for the status; undefined once all is reconciled. */
  describe(): { readonly store: StoreId; readonly phase: ReconcilePhase }[] | undefined {
    if (this.done) return undefined
    const own = { store: this.services.self, phase: this.verified ? ('ready' as const) : ('reading' as const) }
    return [own, ...this.needed.map(({ store, phase }) => ({ store, phase }))]
  }

  /** Stores that are not connected, or still read what they hold. */
  get waitsFor(): StoreId[] {
    return this.needed.filter(({ ready }) => !ready).map(({ store }) => store)
  }

  /** The source of this store, until all is reconciled. */
  sourceOf(store: StoreId | undefined): ReconcileSource | undefined {
    return this.done || store === undefined ? undefined : this.sources.get(store)
  }

  /** Stores that were removed meanwhile do not count. */
  private get needed(): ReconcileSource[] {
    const { gone } = this.services.control.map
    return [...this.sources.values()].filter(({ store }) => !gone.has(store))
  }

  maintain(ctx: Context): void {
    for (const source of this.needed) source.maintain(ctx)
    this.onReady(ctx)
  }

  onLinkDown(ctx: Context, link: Link): void {
    if (this.done) return
    for (const source of this.sources.values()) if (source.link === link) this.onClosed(ctx, source)
  }

  onClosed(ctx: Context, source: ReconcileSource, promised?: number): void {
    source.close()
    this.running = false
    if (promised !== undefined && promised > this.state.epoch) this.owner.onFenced(ctx, promised as Epoch)
  }

  onReady(ctx: Context): void {
    if (this.running || this.state.over || !this.verified || this.waitsFor.length > 0) return
    this.running = true
    const run = ++this.run
    this.nextLeaf = 0
    this.fetches = []
    this.fetching.clear()
    this.remembered = new Map(this.needed.map((source) => [source, DedupeWindows.from(source.windows ?? [])]))
    const token = ctx.token()
    ctx.emit({ type: 'digests', token, extent: this.extent.id })
    this.services.when(token, (later, completion) => {
      if (!this.current(run) || completion.type !== 'digests') return
      const isEqual = ({ opened }: ReconcileSource) => sameBytes(completion.root, opened?.digest ?? new Uint8Array())
      if (this.extent.damaged.size === 0 && this.needed.every(isEqual)) this.finish(later)
      else this.askLeaves(later)
    })
  }

  private current(run: number): boolean {
    return this.run === run && this.running && !this.state.over
  }

  // ---- leaf by leaf -----------------------------------------------------------------------------------------------

  private askLeaves(ctx: Context): void {
    const leaves = Math.ceil(this.extent.blockCount / LIMITS.leafBlocks)
    const count = Math.min(LEAVES_AT_ONCE, leaves - this.nextLeaf)
    if (count === 0) return this.finish(ctx)
    this.asked = Array.from({ length: count }, (_, at) => this.nextLeaf + at)
    this.nextLeaf += count
    this.own = new Map()
    for (const source of this.needed) source.askLeaves(ctx, this.asked)
    const { run } = this
    const token = ctx.token()
    ctx.emit({ type: 'versions', token, extent: this.extent.id, leaves: this.asked })
    this.services.when(token, (later, completion) => {
      if (!this.current(run) || completion.type !== 'versions') return
      this.own = new Map(completion.leaves.map(({ leaf, versions }) => [leaf, versions]))
      this.onLeaves(later)
    })
  }

  /** Once all versions have arrived, better copies are fetched. */
  onLeaves(ctx: Context): void {
    if (!this.current(this.run) || this.own.size < this.asked.length) return
    const { needed } = this
    if (needed.some((source) => source.leaves.size < this.asked.length)) return
    for (const leaf of this.asked) {
      const own = { holder: undefined, versions: this.own.get(leaf) ?? [], damaged: this.extent.damaged }
      const others = needed.map((holder) => {
        return { holder, versions: holder.leaves.get(leaf) ?? [], damaged: holder.damaged }
      })
      for (const [block, copies] of copiesOf<ReconcileSource | undefined>([own, ...others])) {
        const best = byVersion(copies)
        if (best[0] !== undefined) this.forget(block, best[0], copies)
        if (best[0]?.holder !== undefined || best.length === 0) this.fetches.push({ block, copies: best })
        if (copies.some(({ version }) => best[0] === undefined || isHigher(version, best[0].version))) this.older += 1
      }
    }
    this.own = new Map()
    this.fetchMore(ctx)
  }

  /** What a store loses to a better copy must not settle a retry any more (amendment 13). */
  private forget(block: BlockIndex, best: Copy<ReconcileSource | undefined>, copies: Fetch['copies']): void {
    for (const { holder, version } of copies) {
      if (holder === undefined || sameVersion(version, best.version)) continue
      this.remembered.get(holder)?.rollBack(block, this.windowsOf(best.holder))
    }
  }

  private windowsOf(holder: ReconcileSource | undefined): DedupeWindows {
    return (holder === undefined ? undefined : this.remembered.get(holder)) ?? this.extent.windows
  }

  private fetchMore(ctx: Context): void {
    const most = Math.max(1, Math.floor(LIMITS.pushWindowBytes / this.extent.blockSizeBytes))
    while (this.fetching.size < most) {
      const next = this.fetches.shift()
      if (next === undefined) break
      this.takeOver(ctx, next)
      if (!this.current(this.run)) return
    }
    if (this.fetching.size === 0) this.askLeaves(ctx)
  }

  /** The best copy that is left: the own one stays, one without bytes is written at once, one with bytes is fetched. */
  private takeOver(ctx: Context, fetch: Fetch): void {
    const [best] = fetch.copies
    if (best === undefined) return this.onNoCopy(ctx, fetch.block)
    if (best.holder === undefined) return
    const { epoch, seq, kind, checksum } = best.version
    const version = { block: fetch.block, epoch, seq, kind, checksum }
    if (kind === BLOCK_DATA) this.fetching.set(best.holder.fetch(ctx, fetch.block, version), fetch)
    else this.write(ctx, fetch.block, best, undefined)
  }

  /** A block whose copies are all damaged stays damaged here, and its readers get an error. */
  private onNoCopy(ctx: Context, block: BlockIndex): void {
    ctx.event('error', 'block-not-reconciled', { extent: this.extent.id, block })
    if (!this.extent.damaged.has(block)) this.owner.onLost(ctx, block)
  }

  private write(
    ctx: Context,
    block: BlockIndex,
    { holder, version }: Copy<ReconcileSource | undefined>,
    bytes: Uint8Array | undefined,
  ): void {
    const { epoch, seq, kind, checksum } = version
    const change = { block, version: { epoch, seq, kind, checksum }, ...(bytes === undefined ? {} : { bytes }) }
    this.extent.commit(ctx, { blocks: [change], rolledBackTo: this.windowsOf(holder) })
    this.taken += 1
  }

  /** True when this was the response to a request of this reconciliation. */
  onFetched(ctx: Context, message: FetchedBlock): boolean {
    const fetch = this.fetching.get(message.request)
    if (fetch === undefined) return false
    this.fetching.delete(message.request)
    if (!this.current(this.run)) return true
    const [best] = fetch.copies
    const isGood = message.bytes !== undefined && message.checksum === best?.version.checksum
    if (best !== undefined && isGood) this.write(ctx, fetch.block, best, message.bytes)
    else this.fetches.unshift({ block: fetch.block, copies: fetch.copies.slice(1) })
    this.fetchMore(ctx)
    return true
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  /** This store is now as good as all of them: it is cleared by the same batch. */
  private finish(ctx: Context): void {
    const { extent, needed, run, taken, older } = this
    const heads = [extent, ...needed.flatMap(({ opened }) => (opened === undefined ? [] : [opened]))]
    const highest = (of: (head: (typeof heads)[number]) => number) => Math.max(...heads.map(of))
    const lastSeq = highest((head) => head.lastSeq) as Seq
    const windows = [extent.windows, ...this.remembered.values()].flatMap((known) => known.snapshot())
    const token = extent.commit(ctx, {
      head: {
        lastEpoch: highest((head) => head.lastEpoch) as Epoch,
        lastSeq,
        commitSeq: Math.min(
          lastSeq,
          highest((head) => head.commitSeq),
        ) as Seq,
      },
      windows: reconcileWindows(windows),
    })
    this.services.when(token, (later) => {
      if (!this.current(run)) return
      const events = { extent: extent.id, epoch: this.state.epoch, takenBlocks: taken, olderBlocks: older }
      later.event('warn', 'extent-reconciled', events)
      this.done = true
      this.owner.onReconciled(later)
    })
  }
}
