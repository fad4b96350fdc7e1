/** Connections of a node to its peers and clients. */
export { STOPPING } from './close-codes.ts'
export { LINK_STATES, type LinkStatus } from './link-status.ts'
export type { TransportCounters } from './metrics.ts'
export type { TransportIdentity, TransportLogger, WsTransportOptions } from './options.ts'
export type { Transport, TransportEvents } from './transport.ts'
export { createWsTransport, type WsTransport } from './ws-transport.ts'
