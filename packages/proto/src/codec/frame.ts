import { crc32 } from 'node:zlib'
import { type AnyMessage, AshlarError, InvariantError, LIMITS } from '@ashlar/proto'
import { ByteReader, ByteWriter, badFrame } from './bytes.ts'
import type { FrameMemory } from './frame-memory.ts'
import { HANDSHAKE_WIRE_VERSION, type Kind, kindNumbered, kindOf } from './kinds.ts'

/*
 * One WebSocket binary message is one frame. Numbers are big-endian.
 *
 *   0   4  magic "ASHL"
 *   4   4  crc32 of everything from offset 8 up to the payloads
 *   8   1  wire version
 *   9   1  flags, 0
 *  10   2  number of records
 *  12   4  bytes of all record headers and heads together
 *  16      record header and head, for each record
 *          payloads, in the order of the records, up to the end of the frame
 *
 * A record header:
 *
 *   0   1  kind (MESSAGE_KINDS)
 *   1   1  flags, 0
 *   2   2  0
 *   4   4  bytes of the head
 *   8   4  bytes of the payload
 *  12      head: a fixed layout (client-kinds, peer-kinds, recovery-kinds, map-kinds) or a msgpack body (control-kinds)
 *
 * Payloads stand apart so that one crc32 over contiguous bytes covers all that is decoded; they are covered by the
 * checksums of their blocks. The frame of a hello, welcome or refused holds that record alone, in the layout of wire
 * version 1, which never changes: any two versions can at least refuse each other. Every later frame has the wire
 * version that the welcome chose.
 */

const MAGIC = 0x4153_484c
const FRAME_HEADER_BYTES = 16
const RECORD_HEADER_BYTES = 12
const CHECKED_FROM = 8
const WIRE_VERSION_AT = 8
const FIRST_CAPACITY_BYTES = 1024
const NEW_MEMORY = { take: (length: number): Uint8Array => Buffer.allocUnsafe(length) }

/**
 * Bytes that a message takes in a frame of any wire version, at most: exact for block traffic in the newest one, a
 * little more than needed for control messages. What is summed up for a frame must stay within LIMITS.frameBytes -
 * FRAME_OVERHEAD_BYTES.
 */
export function messageBytes(message: AnyMessage): number {
  const { codec } = requireKind(message)
  let bytes = RECORD_HEADER_BYTES + codec.headBytes(message)
  if (codec.payload !== undefined) for (const part of codec.payload(message)) bytes += part.length
  return bytes
}

/** Bytes of a frame beside its messages. */
export const FRAME_OVERHEAD_BYTES = FRAME_HEADER_BYTES

function requireKind(message: AnyMessage): Kind {
  const kind = kindOf(message.type)
  if (kind === undefined) throw new InvariantError(`cannot encode a message of type ${String(message.type)}`)
  return kind
}

/**
 * Builds one frame of 1 to LIMITS.frameRecords messages, at most LIMITS.frameBytes long, for a link of wire version
 * `wire`: fields that came later are left out. A message of the handshake is written in its own version whatever the
 * link's. Payloads are copied, so the messages may change afterwards and the frame belongs to the caller; it is made in
 * `memory`. A message that breaks its own contract, or of a kind that the link's version does not have, is a bug of the
 * caller and throws InvariantError; text for people is cut at its limit instead.
 */
export function encodeFrame(
  messages: readonly AnyMessage[],
  wire: number,
  memory: Pick<FrameMemory, 'take'> = NEW_MEMORY,
): Uint8Array {
  const first = messages[0]
  if (first === undefined || messages.length > LIMITS.frameRecords) {
    throw new InvariantError(`a frame has 1 to ${LIMITS.frameRecords} messages, not ${messages.length}`)
  }
  const handshake = messages.some((message) => requireKind(message).since === HANDSHAKE_WIRE_VERSION)
  if (handshake && messages.length > 1) throw new InvariantError(`${first.type} must be alone in its frame`)
  const to = new ByteWriter(FIRST_CAPACITY_BYTES)
  to.u32(MAGIC)
  to.u32(0)
  const version = handshake ? HANDSHAKE_WIRE_VERSION : wire
  to.u8(version)
  to.u8(0)
  to.u16(messages.length)
  to.u32(0)
  const payloads: Uint8Array[] = []
  let payloadBytes = 0
  for (const message of messages) payloadBytes += writeRecord(to, message, version, payloads)
  const headBytes = to.length
  const frameBytes = headBytes + payloadBytes
  if (frameBytes > LIMITS.frameBytes) {
    throw new InvariantError(`a frame of ${frameBytes} bytes; at most ${LIMITS.frameBytes}`)
  }
  to.patchU32(12, headBytes - FRAME_HEADER_BYTES)
  to.patchU32(4, crc32(to.written().subarray(CHECKED_FROM)))
  const frame = memory.take(frameBytes)
  frame.set(to.written())
  let at = headBytes
  for (const payload of payloads) {
    frame.set(payload, at)
    at += payload.length
  }
  return frame
}

/** Writes a record's header and head, collects its payload, and returns the payload's bytes. */
function writeRecord(to: ByteWriter, message: AnyMessage, wire: number, payloads: Uint8Array[]): number {
  const kind = requireKind(message)
  if (!hasKind(wire, kind))
    throw new InvariantError(`cannot encode ${kind.type}: wire version ${wire} does not have it`)
  to.u8(kind.number)
  to.u8(0)
  to.u16(0)
  const lengthsAt = to.length
  to.u32(0)
  to.u32(0)
  const headAt = to.length
  try {
    kind.codec.writeHead(to, message, wire)
  } catch (error) {
    if (!(error instanceof AshlarError)) throw error
    throw new InvariantError(`cannot encode ${kind.type}: ${error.message}`)
  }
  let payloadBytes = 0
  for (const part of kind.codec.payload?.(message) ?? []) {
    payloads.push(part)
    payloadBytes += part.length
  }
  to.patchU32(lengthsAt, to.length - headAt)
  to.patchU32(lengthsAt + 4, payloadBytes)
  return payloadBytes
}

/** True when frames of this version may hold this kind. */
function hasKind(wire: number, kind: Kind): boolean {
  return kind.since === HANDSHAKE_WIRE_VERSION ? wire === HANDSHAKE_WIRE_VERSION : wire >= kind.since
}

/**
 * Reads one frame of a link of wire version `wire`: HANDSHAKE_WIRE_VERSION until the handshake is over, then the one
 * that it chose. Gives fresh, checked messages in order; throws AshlarError BAD_FRAME that names what is wrong, also a
 * frame of another version, and then nothing of the frame may be used.
 *
 * Ownership: the caller gives the frame's bytes up. Byte arrays of the messages are views of them, so a block that is
 * kept keeps the whole frame: copy it before keeping it long. Block checksums are not checked here (checksum.ts).
 */
export function decodeFrame(frame: Uint8Array, wire: number): AnyMessage[] {
  // A plain Uint8Array, so that views of it are plain too: a Buffer's would be Buffers.
  const bytes = new Uint8Array(frame.buffer, frame.byteOffset, frame.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const { records, headsEnd } = readFrameHeader(bytes, view, wire)
  const messages: AnyMessage[] = []
  let at = FRAME_HEADER_BYTES
  let payloadAt = headsEnd
  for (let i = 0; i < records; i++) {
    const record = readRecordHeader(new ByteReader(bytes, view, at, headsEnd), wire)
    const headAt = at + RECORD_HEADER_BYTES
    const payloadEnd = payloadAt + record.payloadBytes
    if (payloadEnd > bytes.length) throw badFrame(`the payload of record ${i} ends behind the frame`)
    const head = new ByteReader(bytes, view, headAt, headAt + record.headBytes)
    messages.push(readMessage(record.kind, head, bytes.subarray(payloadAt, payloadEnd), wire))
    at = headAt + record.headBytes
    payloadAt = payloadEnd
  }
  if (at !== headsEnd) throw badFrame(`${headsEnd - at} bytes between the last head and the payloads`)
  if (payloadAt !== bytes.length) throw badFrame(`${bytes.length - payloadAt} bytes behind the last payload`)
  if (records > 1 && wire === HANDSHAKE_WIRE_VERSION) throw badFrame('a message of the handshake shares its frame')
  return messages
}

function readFrameHeader(bytes: Uint8Array, view: DataView, wire: number): { records: number; headsEnd: number } {
  if (bytes.length < FRAME_HEADER_BYTES) throw badFrame(`a frame of ${bytes.length} bytes is too short`)
  if (bytes.length > LIMITS.frameBytes) throw badFrame(`a frame of ${bytes.length} bytes; at most ${LIMITS.frameBytes}`)
  if (view.getUint32(0) !== MAGIC) throw badFrame('the bytes do not begin with the magic of this protocol')
  const headsEnd = FRAME_HEADER_BYTES + view.getUint32(12)
  if (headsEnd > bytes.length) throw badFrame('the heads end behind the frame')
  if (crc32(bytes.subarray(CHECKED_FROM, headsEnd)) !== view.getUint32(4))
    throw badFrame('the heads do not match their checksum')
  checkVersion(view.getUint8(WIRE_VERSION_AT), wire)
  if (view.getUint8(9) !== 0) throw badFrame(`unknown flags ${view.getUint8(9)} of a frame`)
  const records = view.getUint16(10)
  if (records === 0 || records > LIMITS.frameRecords) {
    throw badFrame(`${records} records in a frame; from 1 to ${LIMITS.frameRecords} are allowed`)
  }
  return { records, headsEnd }
}

function checkVersion(version: number, wire: number): void {
  if (version === wire) return
  if (wire === HANDSHAKE_WIRE_VERSION) throw badFrame(`a frame of wire version ${version} before the handshake is over`)
  if (version === HANDSHAKE_WIRE_VERSION) throw badFrame('a frame of the handshake after the handshake')
  throw badFrame(`a frame of wire version ${version} on a link that speaks ${wire}`)
}

function readRecordHeader(from: ByteReader, wire: number): { kind: Kind; headBytes: number; payloadBytes: number } {
  const number = from.u8()
  const kind = kindNumbered(number)
  if (kind === undefined) throw badFrame(`message kind ${number} is unknown`)
  if (!hasKind(wire, kind)) throw badFrame(`a ${kind.type}, which wire version ${wire} does not have`)
  if (from.u8() !== 0 || from.u16() !== 0) throw badFrame(`unknown flags of a ${kind.type}`)
  const headBytes = from.u32()
  const payloadBytes = from.u32()
  if (headBytes > from.left) throw badFrame(`the head of a ${kind.type} ends behind the heads`)
  if (payloadBytes > 0 && kind.codec.payload === undefined) throw badFrame(`a ${kind.type} carries a payload`)
  return { kind, headBytes, payloadBytes }
}

function readMessage(kind: Kind, head: ByteReader, payload: Uint8Array, wire: number): AnyMessage {
  try {
    const message = kind.codec.read(head, payload, wire)
    head.expectEnd()
    return message
  } catch (error) {
    throw badFrame(`${kind.type}: ${(error as Error).message}`, error)
  }
}
