import type { ServerOptions as HttpServerOptions } from 'node:http'
import {
  type Bytes,
  type ClusterId,
  KIB,
  LIMITS,
  MIB,
  type Millis,
  type NodeName,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'

/** What a node says about itself in a handshake. */
export interface TransportIdentity {
  readonly store: StoreId
  /** Start counter of the store. */
  readonly counter: number
  readonly name: NodeName
  /** host:port at which others can dial this node. */
  readonly address: string
  /** The cluster that the store belongs to; undefined until it does. */
  readonly cluster: ClusterId | undefined
}

/** The part of a pino logger that the transport uses. */
export interface TransportLogger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface WsTransportOptions {
  /** Where to listen; port 0 takes a free one, `WsTransport.address` says which. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Asked at every handshake, since the cluster may become known while the node runs. */
  readonly identity: () => TransportIdentity
  readonly logger: TransportLogger
  /** A dialed peer belongs to another cluster than this node: said at every attempt. */
  readonly onOtherCluster?: (address: string, reason: string) => void
  /**
   * Connections that the listener holds at once, strangers included; default 1024. More lets more clients in; each may
   * cost up to LIMITS.frameBytes of memory while one of its frames arrives.
   */
  readonly maxConnections?: number
}

export const DEFAULT_MAX_CONNECTIONS = 1024

/**
 * Frames are cut near this size: large enough that the cost of a frame does not show, small enough that the other side
 * works on the first while the second is on its way. A larger message gets a frame of its own.
 */
export const FRAME_TARGET_BYTES: Bytes = MIB
/**
 * Bytes that may wait inside ws and the socket. What exceeds it waits as messages, where it costs no copy of a payload
 * and still can share frames.
 */
export const SOCKET_BYTES: Bytes = 2 * MIB
/** A link on which bytes wait and no frame leaves for this long is cut: less than a frame in ten seconds is no link. */
export const STALL_MS: Millis = 10_000
/** How often stalled links are looked for. */
export const STALL_CHECK_MS: Millis = 1000
/** A peer whose host vanished is found by TCP after this long without a byte, even when nothing is sent to it. */
const KEEPALIVE_MS: Millis = 10_000

/** Options that both sides of a WebSocket share; every option of ws 8.23 that matters here is written out. */
const WS_OPTIONS = {
  // Block data does not compress well enough to pay for it, and inflating is a way to exhaust memory (ws's default on the
  // dialing side is true).
  perMessageDeflate: false,
  maxPayload: LIMITS.frameBytes,
  // Frames are sent whole. A proxy may split one, so a few fragments are let through.
  maxFragments: 64,
  // Chunks of a frame that has not arrived whole, as small as one TCP segment each.
  maxBufferedChunks: 16 * KIB,
  // Several frames of one read reach the owner in one turn: they share a batch and an answer.
  allowSynchronousEvents: true,
  // Only close reasons are text here (a text frame closes the connection), so the check costs nothing.
  skipUTF8Validation: false,
  autoPong: true,
  maxPendingAutoPongs: 60,
  // A peer that does not answer a close frame is cut off after this long; ws waits 30 seconds by default.
  closeTimeout: 2000,
} as const

export const WS_SERVER_OPTIONS = { ...WS_OPTIONS, noServer: true, clientTracking: false } as const

export const WS_CLIENT_OPTIONS = {
  ...WS_OPTIONS,
  handshakeTimeout: TIMERS.handshakeMs,
  followRedirects: false,
  // With a mask of zeroes ws sends our buffer as it is, neither copied nor XORed: three times the throughput at 64 KiB.
  // Right here because a mask protects only HTTP proxies that mistake data for requests, and none stands between storage
  // nodes: addresses are dialed directly, over a private network or TLS. Behind such a proxy the mask must be random.
  generateMask: (mask: Buffer): void => {
    mask.fill(0)
  },
} as const

/** Limits of the HTTP server that strangers meet first. */
export const HTTP_OPTIONS: HttpServerOptions = {
  // An upgrade request is one short message; who needs longer for it is no peer.
  headersTimeout: 5000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 1000,
  maxHeaderSize: 8 * KIB,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEPALIVE_MS,
}
export const HTTP_MAX_HEADERS = 50
export { KEEPALIVE_MS }
