import { KIB } from '@ashlar/proto'
import type { ReadPart } from './device.ts'

/** Zeroes are looked for in aligned pieces of this size; shorter runs cost less to send than to find. */
const PIECE_BYTES = 4 * KIB
const ZEROES = Buffer.alloc(PIECE_BYTES)

/**
 * Cuts bytes into data and runs of zeroes, without copying. Cuts are at multiples of 4 KiB of the device.
 *
 * @param offset where on the device the bytes begin
 */
export function splitZeroes(bytes: Uint8Array, offset: number): ReadPart[] {
  const parts: ReadPart[] = []
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let runStart = 0
  let runIsZero = false
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + PIECE_BYTES - ((offset + at) % PIECE_BYTES))
    const zero = isZero(buffer, at, end)
    if (zero !== runIsZero) {
      addRun(parts, bytes, runStart, at, runIsZero)
      runStart = at
      runIsZero = zero
    }
    at = end
  }
  addRun(parts, bytes, runStart, bytes.length, runIsZero)
  return parts
}

function isZero(buffer: Buffer, at: number, end: number): boolean {
  // Most data differs from zero in its first bytes.
  if (buffer[at] !== 0 || buffer[end - 1] !== 0) return false
  return ZEROES.compare(buffer, at, end, 0, end - at) === 0
}

function addRun(parts: ReadPart[], bytes: Uint8Array, start: number, end: number, zero: boolean): void {
  if (start === end) return
  parts.push(zero ? { zeroBytes: end - start } : bytes.subarray(start, end))
}
