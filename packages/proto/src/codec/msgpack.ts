import { LIMITS } from '@ashlar/proto'
import { Packr } from 'msgpackr'
import { badFrame } from './bytes.ts'

/**
 * MessagePack bodies of small control messages, with every option of msgpackr written out. A body is nested arrays of
 * nil, booleans, numbers, strings and binaries, and nothing else: `checkBody` walks the bytes before msgpackr sees them
 * and refuses maps, every extension (records, Date, Map, Set, RegExp, Error, big integers, references), deep nesting
 * and lengths that do not fit. What is left cannot build an object of a class, run the interpreter of records, or take
 * more time than its length (protocol finding 14: a map of 2.8 MB stops the process for two seconds).
 */
const packr = new Packr({
  // Plain MessagePack: the record extension keeps state for each connection and generates code from a peer's keys.
  useRecords: false,
  // No references between values: a cycle from a peer would never end in a validator.
  structuredClone: false,
  // No extension for Map, Set, Error, RegExp or typed arrays: messages have none.
  moreTypes: false,
  // Only for maps, which are never written: no three-byte header if one ever is.
  variableMapSize: true,
  mapsAsObjects: true,
  // 64-bit integers of other writers come as numbers; the fields refuse what is no safe integer.
  int64AsType: 'number',
  // Absent fields travel as nil in their place of the array.
  encodeUndefinedAsNil: true,
  // Never shorten a number to 32-bit float: ids and sizes are exact.
  useFloat32: 0,
  // A string may not refer to bytes elsewhere in the body.
  bundleStrings: false,
  // Decoded binaries are views of the frame, as every byte array of a decoded message is.
  copyBuffers: false,
  // One body is one value; a Packr that keeps state between bodies would tie connections together.
  sequential: false,
})

/** Messages nest four deep (a message, a list, a record, a list); one more for a later version. */
const MAX_DEPTH = 5

/** Packs one body. The result is a view of msgpackr's own buffer: copy it before the next call. */
export function packBody(value: unknown): Uint8Array {
  const body = packr.pack(value)
  if (body.length > LIMITS.controlBytes)
    throw badFrame(`a body of ${body.length} bytes; at most ${LIMITS.controlBytes}`)
  return body
}

/** Checks and unpacks one body; throws BAD_FRAME. Binaries in the result are views of `body`. */
export function unpackBody(body: Uint8Array): unknown {
  if (body.length > LIMITS.controlBytes)
    throw badFrame(`a body of ${body.length} bytes; at most ${LIMITS.controlBytes}`)
  const end = checkValue(body, 0, 0)
  if (end !== body.length) throw badFrame(`${body.length - end} bytes behind a MessagePack value`)
  try {
    return packr.unpack(body)
  } catch (error) {
    throw badFrame('a MessagePack body that cannot be decoded', error)
  }
}

/** Bytes of the value, or of the length before it, by the first byte (MessagePack specification, "Formats"). */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
])
/** Binary and string: width of the length. */
const SIZED_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
])
const ARRAY_BYTES: ReadonlyMap<number, number> = new Map([
  [0xdc, 2],
  [0xdd, 4],
])

/** Walks one value from `at` and returns where it ends. */
function checkValue(body: Uint8Array, at: number, depth: number): number {
  const first = body[at]
  if (first === undefined) throw badFrame('a MessagePack body ends too early')
  const next = at + 1
  if (first <= 0x7f || first >= 0xe0) return next
  if (first >= 0x90 && first <= 0x9f) return checkArray(body, next, first & 0x0f, depth)
  if (first >= 0xa0 && first <= 0xbf) return skip(body, next, first & 0x1f)
  const fixed = FIXED_BYTES.get(first)
  if (fixed !== undefined) return skip(body, next, fixed)
  const sized = SIZED_BYTES.get(first)
  if (sized !== undefined) return skip(body, skip(body, next, sized), readLength(body, next, sized))
  const width = ARRAY_BYTES.get(first)
  if (width !== undefined) return checkArray(body, skip(body, next, width), readLength(body, next, width), depth)
  throw badFrame(`MessagePack type 0x${first.toString(16)} (a map or an extension) has no place in a message`)
}

function checkArray(body: Uint8Array, start: number, count: number, depth: number): number {
  if (depth >= MAX_DEPTH) throw badFrame(`MessagePack arrays nest deeper than ${MAX_DEPTH}`)
  // Each item takes a byte at least, so the length is checked before msgpackr allocates for it.
  if (count > body.length - start) throw badFrame(`a MessagePack array of ${count} in ${body.length - start} bytes`)
  let at = start
  for (let i = 0; i < count; i++) at = checkValue(body, at, depth + 1)
  return at
}

function readLength(body: Uint8Array, at: number, width: number): number {
  let length = 0
  for (let i = 0; i < width; i++) length = length * 256 + (body[at + i] ?? 0)
  return length
}

function skip(body: Uint8Array, at: number, count: number): number {
  if (count > body.length - at) throw badFrame('a MessagePack body ends too early')
  return at + count
}
