import {
  ABSENT_VERSION,
  BLOCK_DATA,
  type BlockIndex,
  type BlockVersion,
  type Digests,
  type Epoch,
  type FetchedBlock,
  isHigher,
  LIMITS,
  type Message,
  type Millis,
  type Opened,
  type SessionWindow,
  type StoreId,
  sameVersion,
  type Versions,
  type Windows,
} from '@ashlar/proto'
import type { BlockChange, Context, LeafVersions, Link } from '../machine.ts'
import { differingLeaves, LEAVES_AT_ONCE, type LeafPair, LeafPairs, sameBytes } from './comparison.ts'
import type { PrimaryState } from './primary-state.ts'
import { StagedPushes } from './staged-pushes.ts'

/** What the state is learned for. */
export interface Learner {
  onLearned(ctx: Context, member: MemberState): void
  /** No store has a good copy of a block, or the difference is too large to stage. */
  onLost(ctx: Context, member: MemberState): void
  /** The member's stream is over. */
  onClosed(ctx: Context): void
  /** The member has promised this epoch. */
  onFenced(ctx: Context, promised: Epoch): void
  /** Other extents of this store use the space in which the blocks would be staged. */
  onNoSpace(ctx: Context): void
}

/** A block that is fetched in exactly this version, and the links that were not tried yet. */
interface Fetch {
  readonly block: BlockIndex
  readonly version: BlockVersion
  readonly links: Link[]
  asked: Link | undefined
}

/** A stream that a member opened, with its response. */
interface Answered {
  readonly store: StoreId
  readonly gen: number
  readonly link: Link
  readonly opened: Opened
}

/**
 * The state of another store as far as it differs from this one, learned over an open stream: the leaves that differ,
 * their versions, the bytes of those blocks, and the operations that it remembers. Nothing changes here meanwhile.
 */
export class MemberState {
  readonly store: StoreId
  readonly link: Link
  readonly opened: Opened
  /** Blocks as the member has them. */
  readonly staged: StagedPushes
  windows: readonly SessionWindow[] | undefined
  heardAt: Millis = 0
  private readonly gen: number
  private readonly learner: Learner
  private readonly state: PrimaryState
  private over = false
  private myLeaves: Uint8Array = new Uint8Array()
  /** Leaves that differ; undefined until it is known which do. */
  private pairs: LeafPairs | undefined
  private fetches: Fetch[] = []
  private readonly fetching = new Map<number, Fetch>()

  constructor(learner: Learner, state: PrimaryState, { store, gen, link, opened }: Answered) {
    this.learner = learner
    this.state = state
    this.store = store
    this.gen = gen
    this.link = link
    this.opened = opened
    this.staged = new StagedPushes(state.services.staging)
  }

  begin(ctx: Context): void {
    const { services, extent } = this.state
    this.heardAt = ctx.now
    this.send(ctx, { type: 'get-windows', ...this.stream })
    const token = ctx.token()
    ctx.emit({ type: 'digests', token, extent: extent.id })
    services.when(token, (later, completion) => {
      if (this.isOver || completion.type !== 'digests') return
      this.myLeaves = completion.leaves
      if (sameBytes(completion.root, this.opened.digest)) this.compare(later, [])
      else this.send(later, { type: 'get-digests', ...this.stream, windows: [] })
    })
  }

  private get isOver(): boolean {
    return this.over || this.state.over
  }

  private get stream() {
    return { extent: this.state.extent.id, epoch: this.state.epoch, gen: this.gen }
  }

  private send(ctx: Context, message: Message): void {
    ctx.emit({ type: 'send', link: this.link, message })
  }

  private current(ctx: Context, link: Link, message: { epoch: Epoch; gen: number }): boolean {
    const isCurrent = this.link === link && this.gen === message.gen && this.state.epoch === message.epoch
    if (isCurrent) this.heardAt = ctx.now
    return isCurrent && !this.isOver
  }

  onWindows(ctx: Context, link: Link, message: Windows): void {
    if (!this.current(ctx, link, message)) return
    this.windows = message.windows
    this.proceed(ctx)
  }

  onDigests(ctx: Context, link: Link, message: Digests): void {
    if (!this.current(ctx, link, message) || this.pairs !== undefined) return
    const count = Math.ceil(this.state.extent.blockCount / LIMITS.leafBlocks)
    const differing = differingLeaves(this.myLeaves, message.leaves, count)
    if (differing === undefined) this.learner.onClosed(ctx)
    else this.compare(ctx, differing)
  }

  private compare(ctx: Context, leaves: number[]): void {
    this.pairs = new LeafPairs(leaves)
    this.proceed(ctx)
  }

  /** Requests what comes next; once nothing is left, the state is known. */
  private proceed(ctx: Context): void {
    const { pairs } = this
    if (this.isOver || pairs === undefined || pairs.pending) return
    this.fetchMore(ctx)
    if (this.isOver || this.fetching.size > 0) return
    if (!pairs.done) return this.askLeaves(ctx, pairs)
    if (this.windows === undefined) return
    this.over = true
    this.learner.onLearned(ctx, this)
  }

  private askLeaves(ctx: Context, pairs: LeafPairs): void {
    const { services, extent } = this.state
    const leaves = pairs.next(LEAVES_AT_ONCE)
    this.send(ctx, { type: 'get-versions', ...this.stream, leaves })
    const token = ctx.token()
    ctx.emit({ type: 'versions', token, extent: extent.id, leaves })
    services.when(token, (later, completion) => {
      if (this.isOver || completion.type !== 'versions') return
      for (const { leaf, versions } of completion.leaves) this.compareLeaf(later, pairs.addMine(leaf, versions))
      this.proceed(later)
    })
  }

  onVersions(ctx: Context, link: Link, message: Versions): void {
    if (!this.current(ctx, link, message)) return
    this.compareLeaf(ctx, this.pairs?.addTheirs(message.leaf, message.versions))
    this.proceed(ctx)
  }

  private compareLeaf(ctx: Context, pair: LeafPair | undefined): void {
    if (pair === undefined) return
    const [mine, other] = [byBlock(pair.mine), byBlock(pair.theirs)]
    // The member wrote in the same epoch after the last write here: it had every write that this store has.
    const inItsHistory = this.opened.lastEpoch === this.state.extent.lastEpoch
    for (const block of new Set([...mine.keys(), ...other.keys()])) {
      if (this.isOver) return
      const [here, there] = [mine.get(block) ?? ABSENT_VERSION, other.get(block) ?? ABSENT_VERSION]
      // The member lost this block, which is known to be committed: it is not ahead there (A2.8-4).
      const isLost = isHigher(here, there) && (inItsHistory || here.seq <= this.state.extent.commitSeq)
      if (sameVersion(here, there) || isLost) continue
      const { epoch, seq, kind, checksum } = there
      const version = { epoch, seq, kind, checksum }
      if (kind === BLOCK_DATA) this.fetches.push({ block, version, links: this.holders(), asked: undefined })
      else this.keep(ctx, { block, version })
    }
  }

  /** The member first; then all others, which may have the same version where its copy is damaged. */
  private holders(): Link[] {
    const { services } = this.state
    const others = (this.state.record()?.assigned ?? []).filter((store) => store !== services.self)
    return [...new Set([this.link, ...others.flatMap((store) => services.links.dialed(store) ?? [])])]
  }

  private keep(ctx: Context, change: BlockChange): void {
    if (this.isOver || this.staged.add(change)) return
    if (this.staged.isLarge) return this.fail(ctx)
    this.over = true
    this.learner.onNoSpace(ctx)
  }

  private fail(ctx: Context): void {
    if (this.isOver) return
    this.over = true
    this.learner.onLost(ctx, this)
  }

  private fetchMore(ctx: Context): void {
    const most = Math.max(1, Math.floor(LIMITS.pushWindowBytes / this.state.extent.blockSizeBytes))
    while (this.fetching.size < most && !this.isOver) {
      const next = this.fetches.shift()
      if (next === undefined) return
      this.fetch(ctx, next)
    }
  }

  private fetch(ctx: Context, fetch: Fetch): void {
    fetch.asked = fetch.links.shift()
    if (fetch.asked === undefined) return this.fail(ctx)
    const request = ctx.token()
    this.fetching.set(request, fetch)
    const { epoch: versionEpoch, seq: versionSeq } = fetch.version
    const message = { type: 'fetch-block', request, extent: this.state.extent.id, block: fetch.block } as const
    ctx.emit({ type: 'send', link: fetch.asked, message: { ...message, versionEpoch, versionSeq } })
  }

  /** True when this was the response to a request of this object. */
  onFetched(ctx: Context, message: FetchedBlock): boolean {
    const fetch = this.fetching.get(message.request)
    if (fetch === undefined) return false
    this.fetching.delete(message.request)
    this.heardAt = ctx.now
    if (this.isOver) return true
    const { block, version } = fetch
    const { bytes } = message
    if (bytes !== undefined && message.checksum === version.checksum) this.keep(ctx, { block, version, bytes })
    else this.fetch(ctx, fetch)
    this.proceed(ctx)
    return true
  }

  /** Requests over this link go to the next holder. */
  onLinkDown(ctx: Context, link: Link): void {
    for (const [request, fetch] of this.fetching) {
      if (fetch.asked !== link) continue
      this.fetching.delete(request)
      this.fetch(ctx, fetch)
    }
  }

  onRefused(ctx: Context, link: Link, message: { epoch: Epoch; gen: number; reason: string; promised?: Epoch }): void {
    if (!this.current(ctx, link, message)) return
    this.learner.onClosed(ctx)
    if (message.promised !== undefined) this.learner.onFenced(ctx, message.promised)
  }
}

function byBlock(versions: LeafVersions['versions']): ReadonlyMap<BlockIndex, BlockVersion> {
  return new Map(versions.map((version) => [version.block, version]))
}
