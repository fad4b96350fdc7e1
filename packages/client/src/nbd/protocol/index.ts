/** The NBD protocol as pure code: bytes in, events and bytes out. */
export { type Allocate, concatenate } from './bytes.ts'
export {
  COMMAND_NAMES,
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_DISC,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
  NBD_STATE_HOLE,
  NBD_STATE_ZERO,
} from './constants.ts'
export { errnoOf, errnoText, NBD_EINVAL, NBD_EIO, NBD_ESHUTDOWN, NBD_OK } from './errno.ts'
export type { ExportDescription } from './export-description.ts'
export { Handshake, type HandshakeEvent, type ListedExport, type Refusal, unknownExport } from './handshake.ts'
export { quoteName } from './option-reply.ts'
export { type ReadPart, ReplyWriter, type StatusExtent, type ZeroRun } from './reply-writer.ts'
export { type NbdRequest, RequestReader } from './request-reader.ts'
export { type TransmissionRules, validateRequest } from './validate.ts'
