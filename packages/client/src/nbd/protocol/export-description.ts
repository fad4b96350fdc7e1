import {
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_DF,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
} from './constants.ts'

/** What a client may learn about an export before it opens it. */
export interface ExportDescription {
  /** The name that NBD_INFO_NAME reports; differs from the asked one when that was the empty default name. */
  readonly name: string
  readonly sizeBytes: number
  readonly readOnly: boolean
  /** Requests may start and end at multiples of this; 1 allows any. */
  readonly minimumBlockBytes: number
  /** Requests that are multiples of this are fastest. */
  readonly preferredBlockBytes: number
  /** Largest READ or WRITE. */
  readonly maximumPayloadBytes: number
  /** Zeroes are written in a small part of the time that writing data would take. */
  readonly fastZero: boolean
  /** Text for people; NBD_INFO_DESCRIPTION is not sent without it. */
  readonly description?: string
}

/**
 * Transmission flags of an export. FLUSH, FUA and CAN_MULTI_CONN always hold: an acknowledged write is on stable
 * storage, and all connections of one server share one attachment (protocol A2.12). CACHE is answered but not
 * advertised, since nothing is cached.
 */
export function transmissionFlags(description: ExportDescription, structuredReplies: boolean): number {
  let flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_CAN_MULTI_CONN
  if (structuredReplies) flags |= NBD_FLAG_SEND_DF
  if (description.readOnly) return flags | NBD_FLAG_READ_ONLY
  flags |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES
  if (description.fastZero) flags |= NBD_FLAG_SEND_FAST_ZERO
  return flags
}
