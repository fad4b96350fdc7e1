import type { Millis } from '@ashlar/proto'
import type { ClientContext } from './context.ts'
import type { ClientLink } from './machine.ts'
import type { MapCache } from './map-cache.ts'

/** A call that waits for a newer map. */
export interface MapWait {
  readonly deadline: Millis
  /**
   * Settles the wait and returns true, or returns false. `looked`: every requested node has responded, or had its time.
   */
  readonly check: (ctx: ClientContext, looked: boolean) => boolean
  readonly onDeadline: (ctx: ClientContext) => void
}

interface Waiting extends MapWait {
  readonly asked: Set<ClientLink>
  askedAt: Millis | undefined
  wakeAt: Millis
}

/** Calls that are settled by the map, after it was requested from the nodes. */
export class MapWaits {
  readonly #map: MapCache
  readonly #waiting: Set<Waiting> = new Set()

  constructor(map: MapCache) {
    this.#map = map
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Checks at once, then requests the map from every linked node, and checks again at each response. */
  add(ctx: ClientContext, wait: MapWait): MapWait {
    if (wait.check(ctx, false)) return wait
    const waiting: Waiting = Object.assign(
      { asked: new Set<ClientLink>(), askedAt: undefined, wakeAt: ctx.now + ctx.timers.waitRetryMs },
      wait,
    )
    this.#waiting.add(waiting)
    this.#ask(ctx, waiting)
    return waiting
  }

  drop(wait: MapWait): void {
    this.#waiting.delete(wait as Waiting)
  }

  onMapUpdate(ctx: ClientContext, link: ClientLink): void {
    for (const waiting of this.#waiting) {
      waiting.asked.delete(link)
      this.#check(ctx, waiting)
    }
  }

  onLinkUp(ctx: ClientContext): void {
    for (const waiting of this.#waiting) if (waiting.askedAt === undefined) this.#ask(ctx, waiting)
  }

  onLinkDown(ctx: ClientContext, link: ClientLink): void {
    for (const waiting of this.#waiting) {
      if (waiting.asked.delete(link)) this.#check(ctx, waiting)
    }
  }

  tick(ctx: ClientContext): void {
    for (const waiting of this.#waiting) {
      if (ctx.now >= waiting.deadline) {
        this.#waiting.delete(waiting)
        waiting.onDeadline(ctx)
      } else if (ctx.now >= waiting.wakeAt) {
        waiting.wakeAt = ctx.now + ctx.timers.waitRetryMs
        this.#check(ctx, waiting)
        if (this.#waiting.has(waiting)) this.#map.refresh(ctx)
      }
    }
  }

  #ask(ctx: ClientContext, waiting: Waiting): void {
    const links = this.#map.askAll(ctx)
    if (links.length === 0) return
    waiting.askedAt = ctx.now
    for (const link of links) waiting.asked.add(link)
  }

  #check(ctx: ClientContext, waiting: Waiting): void {
    const { askedAt, asked } = waiting
    const looked = askedAt !== undefined && (asked.size === 0 || ctx.now - askedAt >= ctx.timers.lookMs)
    if (waiting.check(ctx, looked && this.#map.learned)) this.#waiting.delete(waiting)
  }
}
