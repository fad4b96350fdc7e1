import { MIB } from '@ashlar/proto'

/**
 * What clients of one server can make it hold, and for how long. Beyond the counts a connection is not read or not
 * accepted; beyond the times it is dropped.
 */
export interface NbdServerLimits {
  /** Connections in all. */
  readonly connections: number
  /** Connections that have not opened an export yet, in all and from one address. */
  readonly unnegotiatedConnections: number
  readonly unnegotiatedPerAddress: number
  /** A handshake must be over by then. */
  readonly handshakeMs: number
  /** Requests of one connection that are being executed. */
  readonly inFlightRequests: number
  /**
   * Bytes of one connection: data of writes in flight, of reads in flight, and of replies that the client has not
   * taken.
   */
  readonly inFlightBytes: number
  /**
   * The same bytes of all connections. One has at most as many as are left free: those with stuck requests leave a
   * share to each other one. A connection with nothing in flight may always start one request.
   */
  readonly totalInFlightBytes: number
  /** Largest READ or WRITE that is executed. */
  readonly payloadBytes: number
  /** A WRITE that announces more ends the connection before its data is read. */
  readonly hardPayloadBytes: number
  /**
   * A request must arrive as a whole this long after its first byte. Between requests a client may be idle without
   * limit.
   */
  readonly partialRequestMs: number
  /** A client that takes no byte of its replies for so long is dropped. */
  readonly stalledReaderMs: number
  /** How long closing the server waits for requests in flight. */
  readonly closeMs: number
}

export const DEFAULT_LIMITS: NbdServerLimits = {
  connections: 1024,
  unnegotiatedConnections: 100,
  unnegotiatedPerAddress: 100,
  handshakeMs: 10_000,
  inFlightRequests: 256,
  inFlightBytes: 64 * MIB,
  totalInFlightBytes: 512 * MIB,
  payloadBytes: 32 * MIB,
  hardPayloadBytes: 64 * MIB,
  partialRequestMs: 30_000,
  stalledReaderMs: 30_000,
  closeMs: 10_000,
}
