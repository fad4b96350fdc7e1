import { type Ending, isUrgent, type Message, type Millis, type StoreId, TIMERS, WIRE_VERSION } from '@ashlar/proto'
import type { PeerLinks } from './interfaces.ts'
import type { Context, Input, Link, LinkPeer } from './machine.ts'
import { ReportedEnds } from './reported-ends.ts'

type LinkUp = Extract<Input, { type: 'link-up' }>

interface LinkEntry {
  readonly link: Link
  readonly direction: 'in' | 'out'
  readonly peer: LinkPeer
  lastSent: Millis
  lastHeard: Millis
  /** Closed as dead: `link-down` follows. */
  dead: boolean
}

/**
 * The link of this node to itself: a message sent to it is received from it in the same step. Control's leader and the
 * agent of one process use it. The shell never sees it.
 */
export const LOOPBACK_LINK: Link = 0

/**
 * A link between nodes that received nothing for this long is dead, since both sides ping. TCP would notice after a
 * quarter of an hour, and until then the link is not redialed and its streams are not reopened.
 */
const DEAD_LINK_MS = 10_000

/**
 * The table of connections. Each node dials every peer and sends its requests over the dialed link; a response returns
 * over the link of its request. So two nodes have a link in each direction, and need not agree which was first.
 */
export class Links implements PeerLinks {
  readonly ends: ReportedEnds = new ReportedEnds()
  private readonly links = new Map<Link, LinkEntry>()
  private readonly heard = new Map<StoreId, Millis>()
  private readonly frames = new Map<StoreId, Millis>()
  private lastStepAt: Millis | undefined
  /** End of this process's last pause. */
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
   * Called first in each step. Frames that arrived while the process was paused may be queued behind this step: a
   * primary that took their senders for silent would remove every replica.
   */
  onStep(now: Millis): void {
    if (this.lastStepAt !== undefined && now - this.lastStepAt > TIMERS.noticedPauseMs) this.resumedAt = now
    this.lastStepAt = now
  }

  onLinkUp(ctx: Context, input: LinkUp): void {
    const { link, direction, peer } = input
    this.links.set(link, { link, direction, peer, lastSent: ctx.now, lastHeard: ctx.now, dead: false })
    this.note(input.peer, ctx.now)
    this.ends.onLinkUp(peer)
  }

  /** False when the link was not up. */
  onLinkDown(link: Link, now: Millis): boolean {
    const store = this.storeOf(link)
    if (!this.links.delete(link)) return false
    if (store !== undefined && !this.connected().includes(store)) {
      // Without a link no frame can arrive, so the store counts as silent earlier.
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

  /** Bulk may queue, so on a link with an urgent lane it does not replace a ping. */
  onSent(ctx: Context, link: Link, message: Message): void {
    const entry = this.links.get(link)
    if (entry === undefined || (isLaned(entry) && !isUrgent(message))) return
    entry.lastSent = ctx.now
  }

  /**
   * Pings each idle link between nodes, so that silence means failure (amendment 18). Closes links to nodes that do not
   * support the cluster's feature level: the handshake of the next attempt reports why (A2.21-3).
   */
  onTick(ctx: Context, featureLevel: number): void {
    for (const entry of this.links.values()) {
      if (entry.peer.kind !== 'node' || entry.dead) continue
      const { link } = entry
      if (entry.peer.level < featureLevel) {
        entry.dead = true
        ctx.emit({ type: 'close-link', link, reason: `the node does not support feature level ${featureLevel}` })
      } else if (ctx.now - Math.max(entry.lastHeard, this.resumedAt) > DEAD_LINK_MS) {
        entry.dead = true
        ctx.emit({ type: 'close-link', link, reason: `nothing received for ${DEAD_LINK_MS} ms` })
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

  /** True while a link to the store is up and the store is not silent. */
  hears(store: StoreId, now: Millis): boolean {
    return this.connected().includes(store) && now - this.lastHeard(store) <= TIMERS.silentMs
  }

  /** Why the store at the other end ends; of another store it proves nothing. */
  onEnding(link: Link, report: Ending): void {
    if (this.storeOf(link) === report.store) this.ends.add(report)
  }

  /** One link to each connected store, the dialed one if it is up. */
  oneToEach(): Link[] {
    const links = new Map<StoreId, Link>()
    for (const { link, direction, peer } of this.links.values())
      if (peer.kind === 'node' && (direction === 'out' || !links.has(peer.store))) links.set(peer.store, link)
    return [...links.values()]
  }

  isClient(link: Link): boolean {
    return this.links.get(link)?.peer.kind === 'client'
  }

  /** Stores with at least one link. */
  connected(): StoreId[] {
    return [...new Set([...this.links.values()].flatMap(({ peer }) => (peer.kind === 'node' ? [peer.store] : [])))]
  }
}

function isLaned({ peer }: LinkEntry): boolean {
  return peer.kind === 'node' && peer.urgentLane === true
}
