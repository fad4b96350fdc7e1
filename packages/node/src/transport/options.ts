import type { ServerOptions as HttpServerOptions } from 'node:http'
import {
  type Bytes,
  type ClusterId,
  type ExtentId,
  KIB,
  MIB,
  type Millis,
  type NodeName,
  type StoreId,
} from '@ashlar/proto'
import { KEEPALIVE_MS, WEBSOCKET_DIAL_OPTIONS, WEBSOCKET_OPTIONS } from '@ashlar/proto/codec'

/** The identity of a node in its handshakes. */
export interface TransportIdentity {
  readonly store: StoreId
  /** Start counter of the store. */
  readonly counter: number
  readonly name: NodeName
  /** host:port at which others can dial this node. */
  readonly address: string
  /** The cluster that the store belongs to; undefined until it does. */
  readonly cluster: ClusterId | undefined
  /** Feature level of the cluster as this node has learned it: a peer that does not implement it is refused (A2.21-3). */
  readonly featureLevel: number
}

/** Bytes of a block of an extent; undefined for an extent that the map of this node does not have. */
export type BlockSizeOf = (extent: ExtentId) => Bytes | undefined

/** The part of a pino logger that the transport uses. */
export interface TransportLogger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface WsTransportOptions {
  /** Where to listen; port 0 takes a free one, which `WsTransport.address` has. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Called at every handshake, since the node may join a cluster while it runs. */
  readonly identity: () => TransportIdentity
  /** With it the payload of each write is verified; absent: writes are handed on as they are. */
  readonly blockSizeOf?: BlockSizeOf
  readonly logger: TransportLogger
  /** A dialed peer belongs to another cluster than this node; called at every attempt. */
  readonly onOtherCluster?: (address: string, reason: string) => void
  /**
   * Connections that the listener holds at once, foreign ones included; default 1024. Each peer takes two. More admits more
   * clients; each may cost up to LIMITS.frameBytes of memory while one of its frames arrives.
   */
  readonly maxConnections?: number
}

export const DEFAULT_MAX_CONNECTIONS = 1024

/**
 * Bytes that may be queued inside ws and the socket. The rest stays queued as messages, where it costs no copy of a
 * payload and can still share frames.
 */
export const SOCKET_BYTES: Bytes = 2 * MIB
/** A link with queued bytes on which no frame leaves for this long is cut: a frame in ten seconds is too slow to be of use. */
export const STALL_MS: Millis = 10_000
/** Interval between checks for stalled links. */
export const STALL_CHECK_MS: Millis = 1000
/**
 * How long a closing connection may take to send its queue, and, where the other side closed one of two, how long the other
 * may take to deliver what was sent before. Not longer than a lease: streams stay bound to the closing link until then.
 */
export const CLOSE_MS: Millis = 1000
export const WS_SERVER_OPTIONS = {
  ...WEBSOCKET_OPTIONS,
  noServer: true,
  clientTracking: false,
  closeTimeout: CLOSE_MS,
} as const
export const WS_DIAL_OPTIONS = { ...WEBSOCKET_DIAL_OPTIONS, closeTimeout: CLOSE_MS } as const

/** Limits of the HTTP server, for connections before their upgrade. */
export const HTTP_OPTIONS: HttpServerOptions = {
  // An upgrade request is one short message; a peer never takes longer.
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
