import { crc32 } from 'node:zlib'
import { invariant } from '@ashlar/proto'

/** Big-endian numbers up to 2^53 in byte arrays, without BigInt. */
const TWO_32 = 0x1_0000_0000

/** Numbers are keys and versions: one that does not fit would be cut to another valid one. */
export function writeU32(target: Buffer, at: number, value: number): void {
  invariant(value >>> 0 === value, 'a number of 32 bits')
  putU32(target, at, value)
}

export function writeU48(target: Buffer, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  invariant(high >>> 16 === 0 && Number.isSafeInteger(value), 'a number of 48 bits')
  target[at] = high >>> 8
  target[at + 1] = high
  putU32(target, at + 2, value)
}

export function writeU64(target: Buffer, at: number, value: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, 'a number of 64 bits')
  putU32(target, at, Math.floor(value / TWO_32))
  putU32(target, at + 4, value)
}

/** The low 32 bits of a number. */
function putU32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
}

export function readU48(source: Buffer, at: number): number {
  return source.readUIntBE(at, 6)
}

export function readU64(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * TWO_32 + source.readUInt32BE(at + 4)
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A copy with its crc32 in 4 bytes behind it: LevelDB does not verify what it reads (finding 3). */
export function sealed(bytes: Uint8Array): Buffer {
  const result = Buffer.allocUnsafe(bytes.length + 4)
  result.set(bytes)
  result.writeUInt32BE(crc32(bytes), bytes.length)
  return result
}

/** The bytes in front of the crc32, or undefined when it does not match. */
export function unsealed(bytes: Uint8Array): Buffer | undefined {
  const buffer = asBuffer(bytes)
  const end = buffer.length - 4
  if (end < 0) return undefined
  const content = buffer.subarray(0, end)
  return crc32(content) === buffer.readUInt32BE(end) ? content : undefined
}
