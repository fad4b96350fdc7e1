import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
} from './constants.ts'
import { NBD_EINVAL, NBD_ENOSPC, NBD_EPERM, NBD_OK } from './errno.ts'

/** What was agreed in the handshake, as far as the rules for requests depend on it. */
export interface TransmissionRules {
  readonly sizeBytes: number
  readonly readOnly: boolean
  readonly minimumBlockBytes: number
  readonly maximumPayloadBytes: number
  readonly fastZero: boolean
  readonly structuredReplies: boolean
  /** Id of `base:allocation`, or undefined when the client did not select it for this export. */
  readonly allocationContextId: number | undefined
}

/**
 * The header of a request, decoded. `offset` follows `readUint64`: beyond 2^53 it is rounded and out of range anyway.
 */
export interface RequestHeader {
  readonly command: number
  readonly flags: number
  readonly offset: number
  readonly length: number
}

interface CommandRules {
  /** Flags that the command takes besides FUA, which every command takes. */
  readonly flags: number
  readonly writes: boolean
  /** The error for a range that leaves the export. */
  readonly pastEnd: number
  /** Its length is bounded by the largest payload. */
  readonly payload: boolean
}

/** Commands with a range. FLUSH is apart: its range must be empty. */
const RANGED: ReadonlyMap<number, CommandRules> = new Map([
  [NBD_CMD_READ, { flags: NBD_CMD_FLAG_DF, writes: false, pastEnd: NBD_EINVAL, payload: true }],
  [NBD_CMD_WRITE, { flags: 0, writes: true, pastEnd: NBD_ENOSPC, payload: true }],
  [NBD_CMD_TRIM, { flags: 0, writes: true, pastEnd: NBD_EINVAL, payload: false }],
  [NBD_CMD_CACHE, { flags: 0, writes: false, pastEnd: NBD_EINVAL, payload: false }],
  [
    NBD_CMD_WRITE_ZEROES,
    { flags: NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO, writes: true, pastEnd: NBD_ENOSPC, payload: false },
  ],
  [NBD_CMD_BLOCK_STATUS, { flags: NBD_CMD_FLAG_REQ_ONE, writes: false, pastEnd: NBD_EINVAL, payload: false }],
])

/**
 * Whether a request may be executed: 0, or the error number of the reply. A request of length zero is EINVAL for
 * every command with a range. NBD_CMD_DISC has no reply and must not be passed here.
 */
export function validateRequest(request: RequestHeader, rules: TransmissionRules): number {
  if (request.command === NBD_CMD_FLUSH) {
    const empty = request.offset === 0 && request.length === 0
    return empty && (request.flags & ~NBD_CMD_FLAG_FUA) === 0 ? NBD_OK : NBD_EINVAL
  }
  const command = RANGED.get(request.command)
  if (command === undefined) return NBD_EINVAL
  if ((request.flags & ~allowedFlags(command.flags, rules)) !== 0) return NBD_EINVAL
  if (command.writes && rules.readOnly) return NBD_EPERM
  if (request.command === NBD_CMD_BLOCK_STATUS && rules.allocationContextId === undefined) return NBD_EINVAL
  const { offset, length } = request
  if (length === 0) return NBD_EINVAL
  if (command.payload && length > rules.maximumPayloadBytes) return NBD_EINVAL
  if (offset > rules.sizeBytes || length > rules.sizeBytes - offset) return command.pastEnd
  const minimum = rules.minimumBlockBytes
  if (minimum > 1 && (offset % minimum !== 0 || length % minimum !== 0)) return NBD_EINVAL
  return NBD_OK
}

function allowedFlags(flags: number, rules: TransmissionRules): number {
  let allowed = flags | NBD_CMD_FLAG_FUA
  if (!rules.structuredReplies) allowed &= ~NBD_CMD_FLAG_DF
  if (!rules.fastZero) allowed &= ~NBD_CMD_FLAG_FAST_ZERO
  return allowed
}
