import type { Message, Write } from '@ashlar/proto'
import type { Link, LinkPeer } from '../core/machine.ts'
import type { LinkStatus } from './link-status.ts'

/**
 * The transport port of a node: connections to peers and clients, as links. Every transport passes
 * test/conformance/transport-suite.ts. A link carries messages in order, whole or not at all; once one is lost the link is
 * down. Between two nodes urgent messages have an order of their own: neither lane waits for the other (A2.22-2).
 */
export interface Transport {
  /** The complete set of addresses to keep a dialed link to; this node's own address is left out by the caller. */
  setDialed(addresses: readonly string[]): void
  /**
   * Never waits; throws only InvariantError, for a message that breaks its own contract. `queued`: it will be sent in order
   * unless the link goes down. `full`: more than LIMITS.linkCutBytes are queued already (as much as one client may have in
   * flight), nothing was added, the link is being closed. `down`: there is no such link. Messages queued between two calls
   * of `flush` may share a frame. A client with more than LIMITS.linkHighBytes queued is not read from until it has taken
   * half of them; peers are always read from.
   */
  send(link: Link, message: Message): 'queued' | 'full' | 'down'
  /** Hands queued messages to the sockets. The pump calls it at the end of each turn. May throw InvariantError as `send`. */
  flush(): void
  /** Closes one link after the messages sent before; `linkDown` follows, not from inside this call. */
  closeLink(link: Link, reason: string): void
  /** What this node last saw of each peer that it dials: for reports only. */
  linkStatuses(): readonly LinkStatus[]
  /** Closes the listener and every link; resolves when all are closed. */
  close(): Promise<void>
}

/** What a transport reports to its owner, never from inside a call of its own. `linkDown` follows each `linkUp` exactly once. */
export interface TransportEvents {
  linkUp(link: Link, direction: 'in' | 'out', peer: LinkPeer): void
  linkDown(link: Link): void
  /** Messages of one frame, in order, valid and with matching block checksums; never an empty batch. */
  messages(link: Link, messages: readonly Message[]): void
  /** The transport refused a write whose payload does not match its checksums, and responded. For metrics only. */
  writeRefused(link: Link, write: Write, response: Message, outcome: 'queued' | 'full' | 'down'): void
}
