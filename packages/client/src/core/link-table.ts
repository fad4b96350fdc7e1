import { type Millis, type StoreId, WIRE_VERSION_MIN } from '@ashlar/proto'
import type { ClientContext } from './context.ts'
import type { ClientInput, ClientLink } from './machine.ts'

type LinkUp = Extract<ClientInput, { type: 'link-up' }>

interface LinkState {
  readonly link: ClientLink
  readonly address: string
  readonly store: StoreId
  readonly wire: number
  heardAt: Millis
  /** When the link was probed, while no frame has come since. */
  probedAt: Millis | undefined
  /** It is being closed: nothing is sent over it any more. */
  closing: boolean
}

/** The connections of one client, by link and by the store at the other end. */
export class LinkTable {
  readonly #links: Map<ClientLink, LinkState> = new Map()

  up({ link, address, store, wire }: LinkUp, now: Millis): void {
    this.#links.set(link, { link, address, store, wire, heardAt: now, probedAt: undefined, closing: false })
  }

  /** Wire version of a link; undefined when it is not known any more. */
  wireOf(link: ClientLink): number | undefined {
    return this.#links.get(link)?.wire
  }

  /** Forgets a link; its address, or undefined when it was not known. */
  down(link: ClientLink): string | undefined {
    const state = this.#links.get(link)
    this.#links.delete(link)
    return state?.address
  }

  /** A frame came. False when the link is not (or no longer) in use: what it carried does not count. */
  heard(link: ClientLink, now: Millis): boolean {
    const state = this.#links.get(link)
    if (state === undefined || state.closing) return false
    state.heardAt = now
    state.probedAt = undefined
    return true
  }

  heardSince(link: ClientLink, moment: Millis): boolean {
    const state = this.#links.get(link)
    return state !== undefined && state.heardAt > moment
  }

  isUsable(link: ClientLink): boolean {
    return this.#links.get(link)?.closing === false
  }

  /** The newest usable link to a store, whatever address it was dialed at. */
  toStore(store: StoreId): ClientLink | undefined {
    let found: ClientLink | undefined
    for (const state of this.#links.values()) if (state.store === store && !state.closing) found = state.link
    return found
  }

  usable(): ClientLink[] {
    const links: ClientLink[] = []
    for (const state of this.#links.values()) if (!state.closing) links.push(state.link)
    return links
  }

  /**
   * One usable link at random that speaks this wire version or a newer one, another one than `except` where there is
   * one.
   */
  any(ctx: ClientContext, except?: ClientLink, wire = WIRE_VERSION_MIN): ClientLink | undefined {
    const links = this.usable().filter((link) => (this.wireOf(link) ?? 0) >= wire)
    const others = links.filter((link) => link !== except)
    const from = others.length > 0 ? others : links
    return from[Math.floor(ctx.random() * from.length)]
  }

  /** Marks a link as probed. False when it already is, or is not in use. */
  probe(ctx: ClientContext, link: ClientLink): boolean {
    const state = this.#links.get(link)
    if (state === undefined || state.closing || state.probedAt !== undefined) return false
    state.probedAt = ctx.now
    return true
  }

  close(ctx: ClientContext, link: ClientLink, reason: string): void {
    const state = this.#links.get(link)
    if (state === undefined || state.closing) return
    state.closing = true
    ctx.emit({ type: 'close-link', link, reason })
  }

  /** Closes links that stayed silent after a probe: TCP does not report a peer that vanished. */
  tick(ctx: ClientContext): void {
    for (const state of this.#links.values()) {
      if (state.probedAt === undefined || ctx.now - state.probedAt < ctx.timers.probeMs) continue
      this.close(ctx, state.link, `no frame from ${state.address} for ${ctx.timers.probeMs} ms`)
    }
  }

  get probing(): boolean {
    for (const state of this.#links.values()) if (state.probedAt !== undefined && !state.closing) return true
    return false
  }
}
