import {
  BLOCK_TRIM,
  BLOCK_ZERO,
  type BlockKind,
  type Epoch,
  type ExtentId,
  isName,
  isPowerOfTwo,
  isUuid,
  LIMITS,
  MAX_EXTENTS_PER_VOLUME,
  MAX_VOLUME_ID,
  type NodeName,
  type Seq,
  type SessionId,
  type StoreId,
  uuidOfHex,
  type VolumeId,
} from '@ashlar/proto'
import { type ByteReader, type ByteWriter, badFrame } from './bytes.ts'

/**
 * What each field of a message may hold. The same check runs before a value is written and after it is read, so that
 * a sender never builds a frame that its receiver refuses.
 */

/** Blocks of the largest extent with the smallest block. */
export const MAX_EXTENT_BLOCKS = LIMITS.maxExtentBytes / LIMITS.minBlockBytes
export const MAX_LEAVES = MAX_EXTENT_BLOCKS / LIMITS.leafBlocks
/** Blocks that one piece of any alignment touches at most. */
export const MAX_PIECE_BLOCKS = LIMITS.pieceBytes / LIMITS.minBlockBytes + 1
/** Stores of one extent in any of its sets: more than M while a replica moves. */
export const MAX_EXTENT_STORES = 16
export const DIGEST_BYTES = 16
const UUID_BYTES = 16
const MAX = Number.MAX_SAFE_INTEGER
const MAX_U32 = 2 ** 32 - 1

/** A whole number from `min` to `max`; throws BAD_FRAME naming the field. */
export function whole(value: unknown, what: string, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw badFrame(`${what} must be a whole number from ${min} to ${max}, not ${describe(value)}`)
  }
  // The sum makes 0 of -0, which is a safe integer too and would not compare equal to what was sent.
  return (value as number) + 0
}

/** Names a refused value without repeating more than a little of it: it comes from a stranger. */
export function describe(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return `a text of ${value.length} characters`
  if (value === null || value === undefined) return 'nothing'
  if (value instanceof Uint8Array) return `${value.length} bytes`
  return Array.isArray(value) ? `a list of ${value.length}` : `a ${typeof value}`
}

function ranged<T extends number>(what: string, min: number, max: number): (value: unknown) => T {
  return (value) => whole(value, what, min, max) as T
}

/** A feature level: one byte where the layout is fixed. */
export const levelField = ranged<number>('level', 0, 255)
export const requestField = ranged<number>('request', 0, MAX)
export const extentField = ranged<ExtentId>(
  'extent',
  MAX_EXTENTS_PER_VOLUME,
  (MAX_VOLUME_ID + 1) * MAX_EXTENTS_PER_VOLUME - 1,
)
export const volumeField = ranged<VolumeId>('volume', 1, MAX_VOLUME_ID)
export const epochField = ranged<Epoch>('epoch', 0, MAX)
export const seqField = ranged<Seq>('seq', 0, MAX)
export const genField = ranged<number>('gen', 0, MAX)
export const pushField = ranged<number>('push', 0, MAX)
export const sessionField = ranged<SessionId>('session', 1, MAX)
export const opField = ranged<number>('op', 1, MAX)
export const lowMarkField = ranged<number>('lowMark', 0, MAX)
export const generationField = ranged<number>('generation', 0, MAX)
export const counterField = ranged<number>('counter', 0, MAX)
export const revisionField = ranged<number>('revision', 0, MAX)
/** Milliseconds since 1970, before the year 10000. */
export const momentField = ranged<number>('moment', 0, 253_402_300_799_999)
export const bytesField = ranged<number>('byte count', 0, MAX)
export const offsetField = ranged<number>('offset', 0, LIMITS.maxExtentBytes - 1)
export const pieceLengthField = ranged<number>('length', 1, LIMITS.pieceBytes)
export const zeroLengthField = ranged<number>('length', 1, LIMITS.zeroBlocks * LIMITS.maxBlockBytes)
export const blockField = ranged<number>('block', 0, MAX_EXTENT_BLOCKS - 1)
export const blockCountField = ranged<number>('blocks', 1, MAX_EXTENT_BLOCKS)
/** Blocks that an operation touched: a cancelled one none. */
export const spanField = ranged<number>('blocks', 0, MAX_EXTENT_BLOCKS)
export const leafField = ranged<number>('leaf', 0, MAX_LEAVES - 1)
export const checksumField = ranged<number>('checksum', 0, MAX_U32)
export const codeField = ranged<number>('code', 0, 2 ** 16 - 1)
export const kindField = ranged<BlockKind>('kind', 0, BLOCK_TRIM)
export const zeroKindField = ranged<BlockKind>('kind', BLOCK_ZERO, BLOCK_TRIM)
export const replicasField = ranged<number>('replicas', 0, MAX_EXTENT_STORES)

/** A byte range must end inside the largest extent: offset and length were each checked before. */
export function checkRange(offset: number, length: number): void {
  if (offset + length > LIMITS.maxExtentBytes)
    throw badFrame(`a range that ends at ${offset + length} leaves its extent`)
}

/** The content of one whole block. */
export function blockBytesField(bytes: unknown): Uint8Array {
  if (!(bytes instanceof Uint8Array) || !isBlockSize(bytes.length)) {
    throw badFrame(`a block must be a power of two from 4Ki to 1Mi bytes, not ${describe(bytes)}`)
  }
  return bytes
}

function isBlockSize(size: number): boolean {
  return isPowerOfTwo(size) && size >= LIMITS.minBlockBytes && size <= LIMITS.maxBlockBytes
}

/** Checks the length of a list that is about to be written. */
export function listLength(list: unknown, max: number, what: string): number {
  if (!Array.isArray(list) || list.length > max)
    throw badFrame(`${what} must be a list of at most ${max}, not ${describe(list)}`)
  return list.length
}

function uuidField(value: unknown): string {
  if (!isUuid(value)) throw badFrame(`an id must be a UUID in lower case, not ${describe(value)}`)
  return value
}

export function nameField(value: unknown): string {
  if (!isName(value)) throw badFrame(`a name must be 1 to 63 of a-z 0-9 . _ -, not ${describe(value)}`)
  return value
}

export function nodeNameField(value: unknown): NodeName {
  return nameField(value) as NodeName
}

const ADDRESS = /^[\x21-\x7e]{0,261}$/
/** host:port, or empty. Only its characters are checked: it goes into logs and URLs. */
export function addressField(value: unknown): string {
  if (typeof value !== 'string' || !ADDRESS.test(value)) {
    throw badFrame(`an address must be at most 261 printable ASCII characters without spaces, not ${describe(value)}`)
  }
  return value
}

/** Text for people, at most `max` UTF-16 units. */
export function textField(value: unknown, what: string, max: number): string {
  if (typeof value !== 'string' || value.length > max) {
    throw badFrame(`${what} must be a text of at most ${max} characters, not ${describe(value)}`)
  }
  return value
}

/**
 * Text for people that is about to be sent: cut at `max`, since a long reason must not become a message that cannot be
 * sent, and without lone surrogates, which UTF-8 cannot carry.
 */
export function cutText(value: unknown, what: string, max: number): string {
  if (typeof value !== 'string') throw badFrame(`${what} must be a text, not ${describe(value)}`)
  return value.slice(0, max).toWellFormed()
}

/** A UUID as its 16 bytes. */
export function uuidBytes(value: unknown): Uint8Array {
  return Buffer.from(uuidField(value).replaceAll('-', ''), 'hex')
}

export function uuidOf(bytes: Uint8Array): string {
  if (bytes.length !== UUID_BYTES) throw badFrame(`an id must have ${UUID_BYTES} bytes, not ${bytes.length}`)
  return uuidOfHex(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex'))
}

export function writeUuid(to: ByteWriter, value: string): void {
  to.raw(uuidBytes(value))
}

export function readUuid(from: ByteReader): string {
  return uuidOf(from.raw(UUID_BYTES))
}

export function readStore(from: ByteReader): StoreId {
  return readUuid(from) as StoreId
}

/** A flag byte: only the bits of `known` may be set. */
export function flagBits(value: number, known: number): number {
  if ((value & ~known) !== 0) throw badFrame(`unknown flag bits ${value}`)
  return value
}
