import { type Millis, TIMERS } from '@ashlar/proto'
import type { CallToken, ClientEffect, ClientEvent, ClientFailure, ClientOptions, ClientResult } from './machine.ts'

/** The timers of one client, every default filled in. */
export interface ClientTimers {
  readonly ioTimeoutMs: Millis
  readonly answerTimeoutMs: Millis
  readonly waitRetryMs: Millis
  readonly cancelGraceMs: Millis
  /** A link that was probed and sent nothing for this long is closed. */
  readonly probeMs: Millis
  /** When a request waits this long, the watched node is checked; it has the same time to send something. */
  readonly watchTimeoutMs: Millis
  /** A control request is sent to another node after this long: an attach may rightly take a whole lease. */
  readonly adminTimeoutMs: Millis
  /** A request for the map waits this long for every linked node, then uses what it has. */
  readonly lookMs: Millis
  /** A request that waited this long causes a `waiting` event. */
  readonly waitingEventMs: Millis
}

export function clientTimers(options: ClientOptions): ClientTimers {
  const answerTimeoutMs = options.answerTimeoutMs ?? TIMERS.answerTimeoutMs
  return {
    ioTimeoutMs: options.ioTimeoutMs ?? TIMERS.ioTimeoutMs,
    answerTimeoutMs,
    waitRetryMs: options.waitRetryMs ?? TIMERS.waitRetryMs,
    cancelGraceMs: options.cancelGraceMs ?? 1000,
    probeMs: 1000,
    watchTimeoutMs: TIMERS.watchTimeoutMs,
    adminTimeoutMs: 2 * answerTimeoutMs,
    lookMs: 1000,
    waitingEventMs: 1000,
  }
}

/** What the parts of the machine are given at each step. */
export interface ClientContext {
  /** Monotonic time of this step. */
  readonly now: Millis
  readonly timers: ClientTimers
  emit(effect: ClientEffect): void
  event(event: ClientEvent): void
  succeed(token: CallToken, result: ClientResult): void
  fail(token: CallToken, failure: ClientFailure): void
  /** A number from 0 (included) to 1 (excluded). */
  random(): number
  /** A number for the next request, never used before by this client. */
  request(): number
}

/** The outcome of calls that give nothing but their success. */
export const DONE: ClientResult = { kind: 'done' }
