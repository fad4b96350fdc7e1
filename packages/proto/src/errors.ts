/**
 * The error table: append-only; numbers and names never change (they are on the wire, in JSON and in exit codes).
 * One row maps a code to what a caller may do, and to its number on each surface.
 */
export type RetryClass = 'same' | 'refresh' | 'never'

interface ErrorRow {
  readonly number: number
  /** `same`: send it again as it is; `refresh`: get the map first; `never`: a retry does not help. */
  readonly retry: RetryClass
  /** NBD error number (Linux errno as the NBD protocol lists them). */
  readonly nbd: number
  readonly http: number
  /** Exit code of the CLI. */
  readonly exit: number
}

const EPERM = 1
const EIO = 5
const EINVAL = 22
const ENOSPC = 28
const ESHUTDOWN = 108

export const ERRORS = {
  OK: { number: 0, retry: 'never', nbd: 0, http: 200, exit: 0 },
  INTERNAL: { number: 1, retry: 'never', nbd: EIO, http: 500, exit: 1 },
  USAGE: { number: 2, retry: 'never', nbd: EINVAL, http: 400, exit: 2 },
  NOT_FOUND: { number: 3, retry: 'never', nbd: EINVAL, http: 404, exit: 3 },
  EXISTS: { number: 4, retry: 'never', nbd: EINVAL, http: 409, exit: 4 },
  /** A precondition does not hold: a volume in use, a compare-and-set that lost. */
  CONFLICT: { number: 5, retry: 'never', nbd: EINVAL, http: 409, exit: 4 },
  /** No leader of control responds. */
  NO_CONTROL: { number: 6, retry: 'same', nbd: EIO, http: 503, exit: 5 },
  /** This node is not primary of the extent in that epoch; the response has the newest epoch that it knows. */
  NOT_PRIMARY: { number: 7, retry: 'refresh', nbd: EIO, http: 503, exit: 5 },
  /** The primary cannot serve yet: below minInSync, no lease, taking over (amendment 22). */
  WAIT: { number: 8, retry: 'same', nbd: EIO, http: 503, exit: 5 },
  /** A later attachment of the volume exists: this session is over (amendment 23). */
  FENCED: { number: 9, retry: 'never', nbd: EIO, http: 409, exit: 4 },
  /** The write may or may not have taken effect; a retry with the same operation id settles it. */
  INDETERMINATE: { number: 10, retry: 'same', nbd: EIO, http: 503, exit: 5 },
  TIMEOUT: { number: 11, retry: 'never', nbd: EIO, http: 504, exit: 6 },
  /** Queue or window full: try again a little later. */
  BUSY: { number: 12, retry: 'same', nbd: EIO, http: 503, exit: 5 },
  NO_SPACE: { number: 13, retry: 'never', nbd: ENOSPC, http: 507, exit: 1 },
  /** Received bytes do not match their checksum. */
  CHECKSUM: { number: 14, retry: 'same', nbd: EIO, http: 500, exit: 1 },
  /** A block is damaged here and no in-sync replica had a good copy. */
  DAMAGED: { number: 15, retry: 'same', nbd: EIO, http: 500, exit: 1 },
  /** Fewer nodes than replicas, or not enough of them are up. */
  TOO_FEW_NODES: { number: 16, retry: 'never', nbd: EIO, http: 409, exit: 4 },
  READ_ONLY: { number: 17, retry: 'never', nbd: EPERM, http: 403, exit: 7 },
  OUT_OF_RANGE: { number: 18, retry: 'never', nbd: EINVAL, http: 400, exit: 2 },
  /** The operation was cancelled and will never take effect. */
  CANCELLED: { number: 19, retry: 'never', nbd: EIO, http: 409, exit: 1 },
  CLOSED: { number: 20, retry: 'never', nbd: ESHUTDOWN, http: 503, exit: 1 },
  /** Version, cluster or identity of the peer does not match. */
  HANDSHAKE: { number: 21, retry: 'never', nbd: EIO, http: 400, exit: 1 },
  /** The volume is attached elsewhere, and the policy of the open leaves it to its holder (A2.11-11). */
  ATTACHED: { number: 22, retry: 'never', nbd: EIO, http: 409, exit: 4 },
  UNHEALTHY: { number: 23, retry: 'same', nbd: EIO, http: 503, exit: 8 },
  /** Bytes on the wire that are not a message of this protocol. */
  BAD_FRAME: { number: 24, retry: 'never', nbd: EIO, http: 400, exit: 1 },
  ABORTED: { number: 25, retry: 'never', nbd: EIO, http: 499, exit: 1 },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

const BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(ERRORS) as ErrorCode[]).map((code) => [ERRORS[code].number, code]),
)

/** The code of a number from the wire, or undefined when this version does not know it. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return BY_NUMBER.get(number)
}

export interface AshlarErrorOptions {
  /** What the caller can do next, as one sentence. */
  readonly hint?: string
  readonly cause?: unknown
  /** Metadata that the code needs, such as the holder of an attachment. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** A failure that callers are meant to handle: branch on `code`, never on the text. */
export class AshlarError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, string | number | boolean>>

  constructor(code: ErrorCode, message: string, options: AshlarErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AshlarError'
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }

  /** What a caller may do about it. */
  get retry(): RetryClass {
    return ERRORS[this.code].retry
  }
}

/** A violated internal invariant. It is never handled: the process stops. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InvariantError'
  }
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
