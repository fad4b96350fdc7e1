/** Counts since the start of the transport; they only rise. */
export interface TransportCounters {
  sentFrames: number
  sentBytes: number
  receivedFrames: number
  receivedBytes: number
  /** Frames that were no valid frame, broke a rule of the link, or carried a block that did not match its checksum. */
  badFrames: number
  /** Handshakes that this side refused or that were refused by the other. */
  refusedHandshakes: number
  /** Connections that did not speak WebSocket. */
  foreignConnections: number
  /** Links that were closed because more than LIMITS.linkCutBytes were queued. */
  fullLinks: number
  /** Links that were closed because their send queue made no progress for STALL_MS. */
  stalledLinks: number
  /** Links that were closed because a message for them broke a limit of the wire. */
  unencodableMessages: number
  /** Times that reading from a client was paused because more than LIMITS.linkHighBytes were queued for it. */
  pausedClients: number
  /** Dials that did not become a link. */
  failedDials: number
}

export function newCounters(): TransportCounters {
  return {
    sentFrames: 0,
    sentBytes: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    badFrames: 0,
    refusedHandshakes: 0,
    foreignConnections: 0,
    fullLinks: 0,
    stalledLinks: 0,
    unencodableMessages: 0,
    pausedClients: 0,
    failedDials: 0,
  }
}
