import type { Message, StoreId } from '@ashlar/proto'
import type { ClientLink } from '../core/machine.ts'

/** The transport port of a client: dialed connections to nodes, as links that carry messages in order or go down. */
export interface ClientTransport {
  readonly counters: ClientTransportCounters
  /** The complete set of addresses to keep a connection to; connections to others are closed. */
  setDialed(addresses: readonly string[]): void
  /** Never waits and never throws. What cannot be sent is lost with its link: `linkDown` reports it. */
  send(link: ClientLink, message: Message): void
  /** The message of this request is not sent if it still waits: its bytes are their owner's again when this returns. */
  withdraw(link: ClientLink, request: number): void
  /** Closes one link; `linkDown` follows. */
  closeLink(link: ClientLink, reason: string): void
  /** Closes every link and dials no more; resolves when nothing is left. */
  close(): Promise<void>
}

/** Events of a transport, never raised inside a call of one of its methods. */
export interface ClientTransportEvents {
  /** `wire`: the version that the handshake chose. */
  linkUp(link: ClientLink, address: string, store: StoreId, wire: number): void
  linkDown(link: ClientLink): void
  /** One attempt to dial failed, with the reason in words; the next one follows after a pause. */
  dialFailed(address: string, reason: string): void
  /** Messages of one frame, in order, valid and with matching checksums. */
  messages(link: ClientLink, messages: readonly Message[]): void
}

/** Counters of rare faults. */
export interface ClientTransportCounters {
  /** Frames that were not valid, or carried a block that did not match its checksum: their link was closed. */
  badFrames: number
  /** Messages that broke a limit of the wire: their link was closed. */
  unencodableMessages: number
  /** Dials that did not become a link. */
  failedDials: number
  sentBytes: number
  receivedBytes: number
}

export function newClientTransportCounters(): ClientTransportCounters {
  return { badFrames: 0, unencodableMessages: 0, failedDials: 0, sentBytes: 0, receivedBytes: 0 }
}
