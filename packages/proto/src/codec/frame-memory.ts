import { type Bytes, KIB, MIB } from '@ashlar/proto'
import { KeptMemory } from './kept-memory.ts'

/** Smaller frames come out of Node's own pool, or cost little. */
const SMALLEST_BYTES: Bytes = 64 * KIB
/** Larger ones are rare. Frames are cut near a mebibyte, and have their heads beside that. */
const LARGEST_BYTES: Bytes = 2 * MIB
/** Memory that is kept for later frames. */
const KEPT_BYTES: Bytes = 8 * MIB

/**
 * Memory that frames are built in, used again once the kernel has their bytes: each page of new memory costs the kernel
 * more than copying into it does, and V8 collects all of its garbage the sooner the more such memory is let go.
 */
export class FrameMemory {
  private readonly kept = new KeptMemory(KEPT_BYTES)

  /** Memory of that length with any content. */
  take(length: Bytes): Uint8Array {
    if (length < SMALLEST_BYTES || length > LARGEST_BYTES) return Buffer.allocUnsafe(length)
    return this.kept.take(2 ** Math.ceil(Math.log2(length))).subarray(0, length)
  }

  /**
   * The socket has sent a frame that `take` returned. Without an error the kernel has its bytes, and the memory is used
   * again. After an error the kernel may still read it, so it is left to the garbage collector.
   */
  onSent(frame: Uint8Array, error: Error | null | undefined): void {
    const failed = error !== undefined && error !== null
    if (failed || frame.length < SMALLEST_BYTES || frame.length > LARGEST_BYTES) return
    this.kept.releaseBuffer(new Uint8Array(frame.buffer))
  }
}
