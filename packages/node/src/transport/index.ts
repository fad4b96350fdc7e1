/** Connections of a node to its peers and clients. */
export type { TransportCounters } from './metrics.ts'
export type { TransportIdentity, TransportLogger, WsTransportOptions } from './options.ts'
export type { Transport, TransportEvents } from './transport.ts'
export { createWsTransport, type WsTransport } from './ws-transport.ts'
