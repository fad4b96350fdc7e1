/**
 * Ids, epochs and seqs are plain numbers and strings with a brand (see ids.ts): the compiler refuses an epoch as a seq.
 * `Bytes`, `BlockIndex` and `Millis` have no brand: they name the unit of a plain number.
 */
declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Bytes: an offset or a length. Always a safe integer (below 2^53). */
export type Bytes = number
/** Index of a block inside its extent, from 0. */
export type BlockIndex = number
/** Milliseconds of a monotonic clock; only differences mean anything, and never across processes. */
export type Millis = number

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB
export const TIB = 1024 * GIB

export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value))
}
