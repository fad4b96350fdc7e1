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
  /** Feature level of the cluster, as far as this node knows: a node that does not know it is refused (A2.21-3). */
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
  /** Where to listen; port 0 takes a free one, `WsTransport.address` says which. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Asked at every handshake, since the cluster may become known while the node runs. */
  readonly identity: () => TransportIdentity
  /** With it the payload of each write is verified; absent: writes are handed on as they are. */
  readonly blockSizeOf?: BlockSizeOf
  readonly logger: TransportLogger
  /** A dialed peer belongs to another cluster than this node: said at every attempt. */
  readonly onOtherCluster?: (address: string, reason: string) => void
  /**
   * Connections that the listener holds at once, strangers included; default 1024. Each peer takes two. More lets more clients in; each may
   * cost up to LIMITS.frameBytes of memory while one of its frames arrives.
   */
  readonly maxConnections?: number
}

export const DEFAULT_MAX_CONNECTIONS = 1024

/**
 * Bytes that may wait inside ws and the socket. What exceeds it waits as messages, where it costs no copy of a payload
 * and still can share frames.
 */
export const SOCKET_BYTES: Bytes = 2 * MIB
/** A link on which bytes wait and no frame leaves for this long is cut: less than a frame in ten seconds is no link. */
export const STALL_MS: Millis = 10_000
/** How often stalled links are looked for. */
export const STALL_CHECK_MS: Millis = 1000
/**
 * A connection that is closed has this long to send what waits, and where the other side closed one of two, the other has it to bring
 * what was sent before. No longer than a lease: a peer that is gone is dialed again only then, and one that stops is missed only then.
 */
export const CLOSE_MS: Millis = 1000
export const WS_SERVER_OPTIONS = {
  ...WEBSOCKET_OPTIONS,
  noServer: true,
  clientTracking: false,
  closeTimeout: CLOSE_MS,
} as const
export const WS_DIAL_OPTIONS = { ...WEBSOCKET_DIAL_OPTIONS, closeTimeout: CLOSE_MS } as const

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
