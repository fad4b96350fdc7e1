import type { AshlarError } from '@ashlar/proto'
import type { ReadPart, ZeroRun } from '../protocol/index.ts'

export type { ReadPart, ZeroRun }

/**
 * Choices of one call. An abort makes the call reject soon; a write that was aborted may still take effect until then.
 */
export interface DeviceOptions {
  readonly signal?: AbortSignal
}

export interface DeviceReadOptions extends DeviceOptions {
  /**
   * Gives memory, with any content, for bytes that are read; without it the device makes its own. The device fills what
   * it takes before the call resolves and does not touch it afterwards: it is used again for other reads.
   */
  readonly allocate?: (length: number) => Uint8Array
}

/** A write with `fua` is on stable storage when its promise resolves. */
export interface DeviceWriteOptions extends DeviceOptions {
  readonly fua?: boolean
}

export interface DeviceZeroOptions extends DeviceWriteOptions {
  /** Keeps the range allocated: `allocation` reports it as zero and not as a hole, if the device distinguishes them. */
  readonly noHole?: boolean
}

/** A run of bytes of one allocation state. */
export interface AllocationRun {
  readonly length: number
  /** Nothing is stored for it, and a write to it may fail for lack of space. */
  readonly hole: boolean
  /** It reads as zeroes. */
  readonly zero: boolean
}

/**
 * What the NBD server serves: an array of bytes. Every implementation and every filter passes the suite in
 * test/nbd/device-conformance.ts.
 *
 * - Offsets and lengths are bytes and need no alignment. A call whose range leaves the device, or is empty, rejects with
 *   OUT_OF_RANGE; a call that would change a read-only device rejects with READ_ONLY.
 * - Calls that overlap in time take effect in some order. A call made after another one's promise resolved sees its effect.
 * - A write that rejects may have taken effect, wholly or in part, and where its error says `indeterminate` may still do so,
 *   but never after a later write of the same bytes has begun to.
 * - Failures are AshlarErrors where the device knows the code; anything else counts as an input/output error.
 */
export interface BlockDevice {
  readonly sizeBytes: number
  /** The unit in which the device stores; multiples of it are fastest. A power of two. */
  readonly blockSizeBytes: number
  readonly readOnly: boolean
  /** `writeZeroes` takes a small part of the time that writing the bytes would. */
  readonly fastZero: boolean
  /**
   * Parts that cover the range in order, none empty. The memory belongs to the caller; no two zero runs follow each
   * other.
   */
  read(offset: number, length: number, options?: DeviceReadOptions): Promise<readonly ReadPart[]>
  /** `bytes` must not change until the promise settles; the device keeps no reference after it. */
  write(offset: number, bytes: Uint8Array, options?: DeviceWriteOptions): Promise<void>
  /** Resolves when every write that was acknowledged before the call is on stable storage. */
  flush(options?: DeviceOptions): Promise<void>
  /**
   * Gives up the whole blocks inside the range, which read as zeroes afterwards. Parts of blocks at its ends may stay.
   */
  trim(offset: number, length: number, options?: DeviceWriteOptions): Promise<void>
  /** Exactly this range reads as zeroes afterwards. */
  writeZeroes(offset: number, length: number, options?: DeviceZeroOptions): Promise<void>
  /** Runs from `offset` on, in order, none empty, at least one. They may end before the range does, never after it. */
  allocation(offset: number, length: number, options?: DeviceOptions): Promise<readonly AllocationRun[]>
  /**
   * Called once when the device is permanently lost, with code FENCED when another client attached it. Calls made
   * afterwards reject with the same code. A device without such an end does not have it.
   */
  onLost?(listener: (error: AshlarError) => void): void
  /** Resolves after every call before it has settled, and gives the device up. Later calls reject with CLOSED. */
  close(): Promise<void>
}
