import { concatenate, encodeUtf8, viewOf, writeUint64 } from './bytes.ts'
import {
  BASE_ALLOCATION,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_DESCRIPTION,
  NBD_INFO_EXPORT,
  NBD_INFO_NAME,
  NBD_MAGIC_HIGH,
  NBD_MAGIC_LOW,
  NBD_OPTS_MAGIC_HIGH,
  NBD_OPTS_MAGIC_LOW,
  NBD_REP_INFO,
  NBD_REP_MAGIC_HIGH,
  NBD_REP_MAGIC_LOW,
  NBD_REP_META_CONTEXT,
  NBD_REP_SERVER,
} from './constants.ts'
import { type ExportDescription, transmissionFlags } from './export-description.ts'

/** Builders of what the server sends during the handshake. */

/** Block sizes that a client assumes by default; NBD_INFO_BLOCK_SIZE is sent without a request when ours differ. */
const ASSUMED_MINIMUM_BYTES = 1
const ASSUMED_PREFERRED_BYTES = 4096
const ASSUMED_MAXIMUM_BYTES = 32 * 1024 * 1024
const EXPORT_NAME_PADDING_BYTES = 124

export function greeting(): Uint8Array {
  const bytes = new Uint8Array(18)
  const view = viewOf(bytes)
  view.setUint32(0, NBD_MAGIC_HIGH)
  view.setUint32(4, NBD_MAGIC_LOW)
  view.setUint32(8, NBD_OPTS_MAGIC_HIGH)
  view.setUint32(12, NBD_OPTS_MAGIC_LOW)
  view.setUint16(16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)
  return bytes
}

export function optionReply(option: number, type: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(20 + data.length)
  const view = viewOf(bytes)
  view.setUint32(0, NBD_REP_MAGIC_HIGH)
  view.setUint32(4, NBD_REP_MAGIC_LOW)
  view.setUint32(8, option)
  view.setUint32(12, type)
  view.setUint32(16, data.length)
  bytes.set(data, 20)
  return bytes
}

/** A name of unknown origin as it may appear in texts: short, printable, in quotes. */
export function quoteName(name: string): string {
  const printable = name.replace(/[^\x20-\x7e]/g, '?')
  return `"${printable.length > 64 ? `${printable.slice(0, 64)}...` : printable}"`
}

/** NBD_REP_SERVER for one export of a list. */
export function serverReply(option: number, name: string, description: string | undefined): Uint8Array {
  const nameBytes = encodeUtf8(name)
  const text = description === undefined ? new Uint8Array(0) : encodeUtf8(description)
  const data = new Uint8Array(4 + nameBytes.length + text.length)
  viewOf(data).setUint32(0, nameBytes.length)
  data.set(nameBytes, 4)
  data.set(text, 4 + nameBytes.length)
  return optionReply(option, NBD_REP_SERVER, data)
}

/** The NBD_REP_INFO replies to NBD_OPT_INFO and NBD_OPT_GO, in one array. Unknown and repeated types are ignored. */
export function infoReplies(
  option: number,
  types: readonly number[],
  description: ExportDescription,
  structuredReplies: boolean,
): Uint8Array {
  const data: Uint8Array[] = [exportInfo(description, structuredReplies)]
  if (types.includes(NBD_INFO_NAME)) data.push(textInfo(NBD_INFO_NAME, description.name))
  if (types.includes(NBD_INFO_DESCRIPTION) && description.description !== undefined) {
    data.push(textInfo(NBD_INFO_DESCRIPTION, description.description))
  }
  if (types.includes(NBD_INFO_BLOCK_SIZE) || differsFromAssumed(description)) data.push(blockSizeInfo(description))
  const replies = data.map((info) => optionReply(option, NBD_REP_INFO, info))
  return concatenate(
    replies,
    replies.reduce((sum, reply) => sum + reply.length, 0),
  )
}

/** NBD_REP_META_CONTEXT for `base:allocation`. */
export function allocationContextReply(option: number, contextId: number): Uint8Array {
  const name = encodeUtf8(BASE_ALLOCATION)
  const data = new Uint8Array(4 + name.length)
  viewOf(data).setUint32(0, contextId)
  data.set(name, 4)
  return optionReply(option, NBD_REP_META_CONTEXT, data)
}

/** The answer to NBD_OPT_EXPORT_NAME, which has no reply header. */
export function exportNameResponse(
  description: ExportDescription,
  structuredReplies: boolean,
  padded: boolean,
): Uint8Array {
  const bytes = new Uint8Array(10 + (padded ? EXPORT_NAME_PADDING_BYTES : 0))
  const view = viewOf(bytes)
  writeUint64(view, 0, description.sizeBytes)
  view.setUint16(8, transmissionFlags(description, structuredReplies))
  return bytes
}

function exportInfo(description: ExportDescription, structuredReplies: boolean): Uint8Array {
  const info = new Uint8Array(12)
  const view = viewOf(info)
  view.setUint16(0, NBD_INFO_EXPORT)
  writeUint64(view, 2, description.sizeBytes)
  view.setUint16(10, transmissionFlags(description, structuredReplies))
  return info
}

function textInfo(type: number, text: string): Uint8Array {
  const bytes = encodeUtf8(text)
  const info = new Uint8Array(2 + bytes.length)
  viewOf(info).setUint16(0, type)
  info.set(bytes, 2)
  return info
}

function blockSizeInfo(description: ExportDescription): Uint8Array {
  const info = new Uint8Array(14)
  const view = viewOf(info)
  view.setUint16(0, NBD_INFO_BLOCK_SIZE)
  view.setUint32(2, description.minimumBlockBytes)
  view.setUint32(6, description.preferredBlockBytes)
  view.setUint32(10, description.maximumPayloadBytes)
  return info
}

function differsFromAssumed(description: ExportDescription): boolean {
  return (
    description.minimumBlockBytes !== ASSUMED_MINIMUM_BYTES ||
    description.preferredBlockBytes !== ASSUMED_PREFERRED_BYTES ||
    description.maximumPayloadBytes !== ASSUMED_MAXIMUM_BYTES
  )
}
