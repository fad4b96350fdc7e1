import type { AshlarError } from '@ashlar/proto'

/** Called as things happen, for metrics. Callbacks must be quick and must not throw. */
export interface NbdObserver {
  connectionOpened?(): void
  /** `reason` is one of a small set, fit for a metric label. */
  connectionClosed?(reason: CloseReason): void
  /** A connection was not accepted, because of the limit of that name. */
  connectionRefused?(limit: 'connections' | 'unnegotiatedConnections' | 'unnegotiatedPerAddress'): void
  requestFinished?(request: FinishedRequest): void
  /** A connection is not read for the time being, because of the limit of that name. */
  inputPaused?(limit: 'inFlightRequests' | 'inFlightBytes'): void
  /** The export is permanently lost, for example fenced by another client; its connections are being closed. */
  exportLost?(name: string, error: AshlarError): void
}

export interface FinishedRequest {
  readonly exportName: string
  /** `read`, `write`, `flush`, `trim`, `cache`, `write-zeroes`, `block-status`, or `unknown`. */
  readonly command: string
  /** Bytes that the request was about; 0 for FLUSH and for refused requests. */
  readonly bytes: number
  readonly seconds: number
  /** Error number of the reply; 0 is success. */
  readonly errno: number
}

export type CloseReason =
  | 'client-left'
  | 'client-vanished'
  | 'handshake-failed'
  | 'handshake-timeout'
  | 'bad-request'
  | 'partial-request-timeout'
  | 'stalled-reader'
  | 'export-lost'
  | 'server-closed'
  | 'internal-error'

/** Where the server logs; pino fits. */
export interface NbdLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const SILENT_LOGGER: NbdLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

function ignore(): void {}
