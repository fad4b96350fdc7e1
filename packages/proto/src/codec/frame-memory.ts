import { type Bytes, KIB, MIB } from '@ashlar/proto'

/** Smaller frames come out of Node's own pool, or cost little. */
const SMALLEST_BYTES: Bytes = 64 * KIB
/** Larger ones are rare. Frames are cut near a mebibyte, and have their heads beside that. */
const LARGEST_BYTES: Bytes = 2 * MIB
/** Memory that is kept for later frames. */
const KEPT_BYTES: Bytes = 8 * MIB

/**
 * Memory that frames are built in, used again once the kernel has their bytes: each page of new memory costs the kernel more
 * than copying into it does, and V8 collects all of its garbage the sooner the more such memory is let go.
 */
export class FrameMemory {
  /** By size, a power of two. */
  readonly #kept = new Map<Bytes, Uint8Array[]>()
  #keptBytes = 0

  /** Memory of that length with any content. */
  take(length: Bytes): Uint8Array {
    if (length < SMALLEST_BYTES || length > LARGEST_BYTES) return Buffer.allocUnsafe(length)
    const size = 2 ** Math.ceil(Math.log2(length))
    const kept = this.#kept.get(size)?.pop()
    if (kept !== undefined) this.#keptBytes -= size
    return (kept ?? Buffer.allocUnsafeSlow(size)).subarray(0, length)
  }

  /** Takes back what `take` gave, at most once, when nobody uses it any more. What is not given back is collected. */
  giveBack(frame: Uint8Array): void {
    if (frame.length < SMALLEST_BYTES || frame.length > LARGEST_BYTES) return
    const whole = new Uint8Array(frame.buffer)
    if (this.#keptBytes + whole.length > KEPT_BYTES) return
    const same = this.#kept.get(whole.length)
    if (same === undefined) this.#kept.set(whole.length, [whole])
    else same.push(whole)
    this.#keptBytes += whole.length
  }
}
