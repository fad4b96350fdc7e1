import { type ErrorCode, errorCodeOf, type Millis } from '@ashlar/proto'

/**
 * What the client does with a response that is not success. `wait`: hold the request and send it again; `refresh`: the
 * same, and learn the map; `few`: like `wait`, but after FEW_TRIES refusals the caller gets the code; `fenced`: the
 * session ended; `give-up`: the caller gets the code at once.
 */
export type RetryAction = 'wait' | 'refresh' | 'few' | 'fenced' | 'give-up'

/** Refusals of one request after which a code of action `few` is given to the caller. */
export const FEW_TRIES = 5

interface RetryRow {
  readonly action: RetryAction
  /** The first hold; it doubles with each refusal, up to waitRetryMs. Absent: waitRetryMs from the start. */
  readonly firstHoldMs?: Millis
}

const RETRY: Readonly<Record<ErrorCode, RetryRow>> = {
  OK: { action: 'give-up' },
  INTERNAL: { action: 'give-up' },
  USAGE: { action: 'give-up' },
  // A node whose map is behind does not know a new volume yet. Only the map decides that a volume was removed.
  NOT_FOUND: { action: 'refresh' },
  EXISTS: { action: 'give-up' },
  CONFLICT: { action: 'give-up' },
  NO_CONTROL: { action: 'wait' },
  // A new primary is in the map a moment before it serves: the first retry comes sooner than for a primary without a
  // lease.
  NOT_PRIMARY: { action: 'refresh', firstHoldMs: 25 },
  WAIT: { action: 'wait', firstHoldMs: 25 },
  FENCED: { action: 'fenced' },
  // The primary stepped down while it held the operation: the retry with the same id settles it at its successor.
  INDETERMINATE: { action: 'refresh' },
  TIMEOUT: { action: 'wait' },
  BUSY: { action: 'wait', firstHoldMs: 25 },
  NO_SPACE: { action: 'give-up' },
  CHECKSUM: { action: 'few' },
  DAMAGED: { action: 'few' },
  TOO_FEW_NODES: { action: 'give-up' },
  READ_ONLY: { action: 'give-up' },
  OUT_OF_RANGE: { action: 'give-up' },
  CANCELLED: { action: 'give-up' },
  CLOSED: { action: 'refresh' },
  HANDSHAKE: { action: 'give-up' },
  ATTACHED: { action: 'give-up' },
  UNHEALTHY: { action: 'wait' },
  BAD_FRAME: { action: 'give-up' },
  ABORTED: { action: 'give-up' },
}

/** The code of a response's number; a number that this version does not know is INTERNAL. */
export function codeOfResponse(number: number): ErrorCode {
  return errorCodeOf(number) ?? 'INTERNAL'
}

/** What to do with a request that was refused with this code, `refusals` times in all (this one included). */
export function retryAction(code: ErrorCode, refusals: number): RetryAction {
  const { action } = RETRY[code]
  if (action !== 'few') return action
  return refusals < FEW_TRIES ? 'wait' : 'give-up'
}

/** How long to hold a request at most before it is sent again. */
export function holdMs(code: ErrorCode, refusals: number, waitRetryMs: Millis): Millis {
  const { firstHoldMs } = RETRY[code]
  if (firstHoldMs === undefined) return waitRetryMs
  return Math.min(waitRetryMs, firstHoldMs * 2 ** Math.min(refusals - 1, 20))
}
