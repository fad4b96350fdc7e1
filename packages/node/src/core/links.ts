import { isUrgent, type Message, type Millis, type StoreId, TIMERS, WIRE_VERSION } from '@ashlar/proto'
import type { PeerLinks } from './interfaces.ts'
import type { Context, Input, Link, LinkPeer } from './machine.ts'

type LinkUp = Extract<Input, { type: 'link-up' }>

interface LinkEntry {
  readonly link: Link
  readonly direction: 'in' | 'out'
  readonly peer: LinkPeer
  lastSent: Millis
  lastHeard: Millis
  /** It was found dead: `link-down` follows. */
  dead: boolean
}

/**
 * The link that stands for this node itself: a message sent to it is received from it in the same step. Control's leader
 * and agent talk over it when they live in one process. The shell never sees it.
 */
export const LOOPBACK_LINK: Link = 0

/**
 * A link between nodes over which nothing came for this long is dead: the other side pings over each. The system would
 * notice after a quarter of an hour, and until then nobody dials anew, nor opens the streams that were bound to it.
 */
const DEAD_LINK_MS = 10_000

/**
 * The table of connections. Each node dials every peer and uses the dialed link for what it asks as a primary or as a
 * member of the cluster; answers go back over the link that the question came on. So two nodes have two connections,
 * and neither needs to know which of them was first.
 */
export class Links implements PeerLinks {
  private readonly links = new Map<Link, LinkEntry>()
  private readonly heard = new Map<StoreId, Millis>()
  private readonly frames = new Map<StoreId, Millis>()
  private lastStepAt: Millis | undefined
  /** When this process went on after its last standstill. */
  private resumedAt: Millis = Number.NEGATIVE_INFINITY
  private readonly self: StoreId
  private readonly selfCounter: number
  private readonly selfAddress: string
  private readonly selfLevel: number

  constructor(self: { store: StoreId; counter: number; address: string; level: number }) {
    this.self = self.store
    this.selfCounter = self.counter
    this.selfAddress = self.address
    this.selfLevel = self.level
  }

  /**
   * Called before anything else of each step; ticks make steps a short time apart. What peers sent during a standstill may
   * be waiting behind this very step: a primary that called them silent by the clock would throw out every replica.
   */
  onStep(now: Millis): void {
    if (this.lastStepAt !== undefined && now - this.lastStepAt > TIMERS.noticedPauseMs) this.resumedAt = now
    this.lastStepAt = now
  }

  onLinkUp(ctx: Context, input: LinkUp): void {
    const { link, direction, peer } = input
    this.links.set(link, { link, direction, peer, lastSent: ctx.now, lastHeard: ctx.now, dead: false })
    this.note(input.peer, ctx.now)
  }

  /** False when the link was not up. */
  onLinkDown(link: Link, now: Millis): boolean {
    const store = this.storeOf(link)
    if (!this.links.delete(link)) return false
    if (store !== undefined && !this.connected().includes(store)) {
      // Nobody waits out the whole silence of a process that is gone. It proves nothing but that frames cannot come.
      const heard = this.heard.get(store) ?? now
      this.heard.set(store, Math.min(heard, now - TIMERS.silentMs + TIMERS.unconnectedMs))
    }
    return true
  }

  onReceived(ctx: Context, link: Link): void {
    const entry = this.links.get(link)
    if (entry === undefined) return
    entry.lastHeard = ctx.now
    this.note(entry.peer, ctx.now)
  }

  private note(peer: LinkPeer, now: Millis): void {
    if (peer.kind !== 'node') return
    this.heard.set(peer.store, now)
    this.frames.set(peer.store, now)
  }

  /** What is sent as bulk says nothing in time, where the link has a lane for what is urgent: the ping is due all the same. */
  onSent(ctx: Context, link: Link, message: Message): void {
    const entry = this.links.get(link)
    if (entry === undefined || (isLaned(entry) && !isUrgent(message))) return
    entry.lastSent = ctx.now
  }

  /**
   * A ping over each node link that carried nothing for a while, so that silence means something (amendment 18). A node that
   * does not know the feature level of its cluster gets no word of it: the handshake tells it why (A2.21-3).
   */
  onTick(ctx: Context, featureLevel: number): void {
    for (const entry of this.links.values()) {
      if (entry.peer.kind !== 'node' || entry.dead) continue
      const { link } = entry
      if (entry.peer.level < featureLevel) {
        entry.dead = true
        ctx.emit({ type: 'close-link', link, reason: `it does not know feature level ${featureLevel}` })
      } else if (ctx.now - Math.max(entry.lastHeard, this.resumedAt) > DEAD_LINK_MS) {
        entry.dead = true
        ctx.emit({ type: 'close-link', link, reason: 'nothing came over it for too long' })
      } else if (ctx.now - entry.lastSent >= TIMERS.pingMs) ctx.emit({ type: 'send', link, message: { type: 'ping' } })
    }
  }

  has(link: Link): boolean {
    return link === LOOPBACK_LINK || this.links.has(link)
  }

  dialed(store: StoreId): Link | undefined {
    if (store === this.self) return LOOPBACK_LINK
    let newest: Link | undefined
    for (const { link, direction, peer } of this.links.values())
      if (
        direction === 'out' &&
        peer.kind === 'node' &&
        peer.store === store &&
        (newest === undefined || link > newest)
      )
        newest = link
    return newest
  }

  dialedAddress(address: string): Link | undefined {
    if (address === this.selfAddress) return LOOPBACK_LINK
    for (const { link, direction, peer } of this.links.values())
      if (direction === 'out' && peer.kind === 'node' && peer.address === address) return link
    return undefined
  }

  storeOf(link: Link): StoreId | undefined {
    if (link === LOOPBACK_LINK) return this.self
    const peer = this.links.get(link)?.peer
    return peer?.kind === 'node' ? peer.store : undefined
  }

  counterOf(link: Link): number | undefined {
    if (link === LOOPBACK_LINK) return this.selfCounter
    const peer = this.links.get(link)?.peer
    return peer?.kind === 'node' ? peer.counter : undefined
  }

  wireOf(link: Link): number {
    return link === LOOPBACK_LINK ? WIRE_VERSION : (this.links.get(link)?.peer.wire ?? WIRE_VERSION)
  }

  levelOf(link: Link): number {
    if (link === LOOPBACK_LINK) return this.selfLevel
    const peer = this.links.get(link)?.peer
    return peer?.kind === 'node' ? peer.level : 0
  }

  lastHeard(store: StoreId): Millis {
    return Math.max(this.resumedAt, this.heard.get(store) ?? Number.NEGATIVE_INFINITY)
  }

  lastFrame(store: StoreId): Millis {
    return Math.max(this.resumedAt, this.frames.get(store) ?? Number.NEGATIVE_INFINITY)
  }

  /** True while frames of this store come: there is a link to it, and it has not been silent for so long that nobody waits for it. */
  hears(store: StoreId, now: Millis): boolean {
    return this.connected().includes(store) && now - this.lastHeard(store) <= TIMERS.silentMs
  }

  isClient(link: Link): boolean {
    return this.links.get(link)?.peer.kind === 'client'
  }

  /** Stores with which there is a link, for people. */
  connected(): StoreId[] {
    return [...new Set([...this.links.values()].flatMap(({ peer }) => (peer.kind === 'node' ? [peer.store] : [])))]
  }
}

function isLaned({ peer }: LinkEntry): boolean {
  return peer.kind === 'node' && peer.urgentLane === true
}
