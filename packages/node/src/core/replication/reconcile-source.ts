import type { BlockIndex, Message, Millis, Opened, SessionWindow, StoreId, Versions, Windows } from '@ashlar/proto'
import type { Context, LeafVersions, Link } from '../machine.ts'
import type { PrimaryState } from './primary-state.ts'

/** How far a source of a reconciliation is. */
export type ReconcilePhase = 'closed' | 'reading' | 'ready'

/** What a source reports to the reconciliation that it is a part of. */
export interface ReconcileTarget {
  readonly state: PrimaryState
  /** A source may have become ready. */
  onReady(ctx: Context): void
  /** Versions of leaves arrived. */
  onLeaves(ctx: Context): void
  onClosed(ctx: Context, source: ReconcileSource, promised?: number): void
}

type Refusal = { epoch: number; gen: number; reason: string; promised?: number }

/**
 * One suspect store whose copy is reconciled, as the primary sees it:
 *
 *   closed ─OPEN─> opening ─OPENED, its operations─> ready
 *      ^__________ link down, refusal, gap ____________|
 *
 * It is opened like any stream: from its promise on no other primary changes what it holds, and what it reports stays
 * true.
 */
export class ReconcileSource {
  readonly store: StoreId
  private readonly target: ReconcileTarget
  link: Link | undefined
  gen = 0
  private openedAt: Millis = Number.NEGATIVE_INFINITY
  opened: Opened | undefined
  windows: readonly SessionWindow[] | undefined
  damaged: ReadonlySet<BlockIndex> = new Set()
  /** Versions of requested leaves that have arrived. */
  readonly leaves = new Map<number, LeafVersions['versions']>()

  constructor(store: StoreId, target: ReconcileTarget) {
    this.store = store
    this.target = target
  }

  get ready(): boolean {
    return this.opened !== undefined && this.windows !== undefined
  }

  get phase(): ReconcilePhase {
    return this.ready ? 'ready' : this.link === undefined ? 'closed' : 'reading'
  }

  /** Opens the source where it is closed and connected. While a link stands an OPEN is not lost. */
  maintain(ctx: Context): void {
    if (this.link !== undefined) return
    const { links, self } = this.target.state.services
    const link = links.dialed(this.store)
    const counter = link === undefined ? undefined : links.counterOf(link)
    // A store that does not know the extent yet refuses: the request is repeated at the next tick.
    if (link === undefined || counter === undefined || this.openedAt === ctx.now) return
    this.link = link
    this.gen += 1
    this.openedAt = ctx.now
    this.send(ctx, {
      type: 'open',
      ...this.stream,
      primaryStore: self,
      replicaStore: this.store,
      replicaCounter: counter,
    })
  }

  private get stream() {
    const { extent, epoch } = this.target.state
    return { extent: extent.id, epoch, gen: this.gen }
  }

  private send(ctx: Context, message: Message): void {
    if (this.link !== undefined) ctx.emit({ type: 'send', link: this.link, message })
  }

  private current(link: Link, message: { epoch: number; gen: number }): boolean {
    return this.link === link && this.gen === message.gen && this.target.state.epoch === message.epoch
  }

  /** What it reported is void: another incarnation of the store may respond next. */
  close(): void {
    this.link = undefined
    this.opened = undefined
    this.windows = undefined
    this.leaves.clear()
  }

  onOpened(ctx: Context, link: Link, message: Opened): void {
    if (!this.current(link, message) || this.opened !== undefined) return
    this.opened = message
    this.damaged = new Set(message.damaged)
    this.send(ctx, { type: 'get-windows', ...this.stream })
  }

  onWindows(ctx: Context, link: Link, message: Windows): void {
    if (!this.current(link, message) || this.opened === undefined) return
    this.windows = message.windows
    this.target.onReady(ctx)
  }

  onRefused(ctx: Context, link: Link, message: Refusal): void {
    if (this.current(link, message)) this.target.onClosed(ctx, this, message.promised)
  }

  askLeaves(ctx: Context, leaves: readonly number[]): void {
    this.leaves.clear()
    this.send(ctx, { type: 'get-versions', ...this.stream, leaves })
  }

  onVersions(ctx: Context, link: Link, message: Versions): void {
    if (!this.current(link, message)) return
    this.leaves.set(message.leaf, message.versions)
    this.target.onLeaves(ctx)
  }

  /** Requests the bytes of a block in exactly this version; `Reconciliation.onFetched` gets the response. */
  fetch(ctx: Context, block: BlockIndex, version: LeafVersions['versions'][number]): number {
    const request = ctx.token()
    const { extent } = this.target.state
    const { epoch: versionEpoch, seq: versionSeq } = version
    this.send(ctx, { type: 'fetch-block', request, extent: extent.id, block, versionEpoch, versionSeq })
    return request
  }
}
