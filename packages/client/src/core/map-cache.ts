import { type ExtentId, type ExtentRecord, type MapChange, MapCopy, type MapDelta, type Millis } from '@ashlar/proto'
import type { ClientContext } from './context.ts'
import type { LinkTable } from './link-table.ts'
import type { ClientLink } from './machine.ts'

/**
 * The client's copy of the map. One linked node is watched: it sends every change. Others get a request when the
 * watched one may be behind or down.
 */
export class MapCache {
  readonly copy: MapCopy = new MapCopy()
  readonly #links: LinkTable
  #watched: ClientLink | undefined
  /** Links with a request for the map and no response yet, with the time of the request. */
  readonly #asked: Map<ClientLink, Millis> = new Map()

  constructor(links: LinkTable) {
    this.#links = links
  }

  get learned(): boolean {
    return this.copy.revision > 0
  }

  extent(id: ExtentId): ExtentRecord | undefined {
    return this.copy.extents.get(id)
  }

  onLinkUp(ctx: ClientContext, link: ClientLink): void {
    if (this.#watched === undefined) this.#watch(ctx, link)
    else if (!this.learned) this.ask(ctx, link)
  }

  onLinkDown(ctx: ClientContext, link: ClientLink): void {
    this.#asked.delete(link)
    if (this.#watched !== link) return
    this.#watched = undefined
    const next = this.#links.any(ctx)
    if (next !== undefined) this.#watch(ctx, next)
  }

  /** Requests the changes from one node, unless it has a request already. */
  ask(ctx: ClientContext, link: ClientLink): void {
    if (this.#asked.has(link)) return
    this.#send(ctx, link)
  }

  /** Requests the changes from the watched node, the given one, and a random one: one of them may be behind. */
  refresh(ctx: ClientContext, link?: ClientLink): void {
    if (this.#watched !== undefined) this.ask(ctx, this.#watched)
    if (link !== undefined && this.#links.isUsable(link)) this.ask(ctx, link)
    const other = this.#links.any(ctx, this.#watched)
    if (other !== undefined) this.ask(ctx, other)
  }

  /** Requests the changes from every linked node; returns the links. */
  askAll(ctx: ClientContext): ClientLink[] {
    const links = this.#links.usable()
    for (const link of links) this.ask(ctx, link)
    return links
  }

  /** Probes a link with a request for the map. */
  probe(ctx: ClientContext, link: ClientLink): void {
    if (this.#links.probe(ctx, link)) this.#send(ctx, link)
  }

  /**
   * Checks the watched node when requests have waited for long: it would send the change of a primary, but may be the
   * node that hangs. If it was silent, it is sent a request; without a response in the same time again another node is
   * watched.
   */
  checkWatchedNode(ctx: ClientContext): void {
    const link = this.#watched
    const { watchTimeoutMs } = ctx.timers
    if (link === undefined || this.#links.heardSince(link, ctx.now - watchTimeoutMs)) return
    const askedAt = this.#asked.get(link)
    if (askedAt === undefined) return this.ask(ctx, link)
    if (ctx.now - askedAt >= watchTimeoutMs && this.#links.usable().length > 1) this.#watchAnother(ctx, link)
  }

  /** Brings the copy up to date and says what changed; undefined when nothing did. */
  onUpdate(ctx: ClientContext, link: ClientLink, delta: MapDelta): MapChange | undefined {
    this.#asked.delete(link)
    if (this.copy.cluster !== undefined && this.copy.cluster !== delta.cluster) {
      this.#links.close(ctx, link, `this node belongs to another cluster (${delta.cluster})`)
      return undefined
    }
    if (this.copy.gap(delta)) {
      this.ask(ctx, link)
      return undefined
    }
    return this.copy.apply(delta)
  }

  /** Watches another node when the watched one does not respond. */
  tick(ctx: ClientContext): void {
    for (const [link, askedAt] of this.#asked) {
      if (ctx.now - askedAt < ctx.timers.answerTimeoutMs) continue
      this.#asked.delete(link)
      if (link === this.#watched) this.#watchAnother(ctx, link)
    }
  }

  #watchAnother(ctx: ClientContext, left: ClientLink): void {
    const next = this.#links.any(ctx, left)
    if (next !== undefined) this.#watch(ctx, next)
  }

  #watch(ctx: ClientContext, link: ClientLink): void {
    this.#watched = link
    this.#send(ctx, link)
  }

  #send(ctx: ClientContext, link: ClientLink): void {
    this.#asked.set(link, ctx.now)
    const message = { type: 'get-map', have: this.copy.revision, watch: link === this.#watched } as const
    ctx.emit({ type: 'send', link, message })
  }
}
