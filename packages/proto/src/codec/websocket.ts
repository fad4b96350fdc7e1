import { KIB, LIMITS, type Millis, TIMERS } from '@ashlar/proto'

/**
 * How frames travel over WebSocket: options of ws 8.23 that both sides of a link share. Every option that matters here
 * is written out, since ws's own defaults differ between its two sides.
 */
export const WEBSOCKET_OPTIONS = {
  // Block data does not compress well enough to pay for it, and inflating is a way to exhaust memory (ws's default on
  // the dialing side is true).
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

/** The dialing side's own options beside the shared ones. */
export const WEBSOCKET_DIAL_OPTIONS = {
  ...WEBSOCKET_OPTIONS,
  handshakeTimeout: TIMERS.handshakeMs,
  followRedirects: false,
  // With a mask of zeroes ws sends our buffer as it is, neither copied nor XORed: three times the throughput at 64 KiB.
  // Right here because a mask protects only HTTP proxies that mistake data for requests, and none stands between
  // storage nodes: addresses are dialed directly, over a private network or TLS. Behind such a proxy the mask must be
  // random.
  generateMask: (mask: Uint8Array): void => {
    mask.fill(0)
  },
} as const

/** A peer whose host vanished is found by TCP after this long without a byte, even when nothing is sent to it. */
export const KEEPALIVE_MS: Millis = 10_000

/** Why a connection failed, for people. The AggregateError of a host with several addresses has an empty message. */
export function connectionFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return error.message === '' ? (code ?? error.name) : error.message
}
