import { KIB, MIB } from '@ashlar/proto'
import { KeptMemory } from '@ashlar/proto/codec'

/**
 * Smaller reads are copied on their way out anyway, smaller writes mostly lie in one chunk, and their memory costs
 * little.
 */
const SMALLEST_BYTES = 64 * KIB
/** Memory that is kept for later. */
const KEPT_BYTES = 16 * MIB

/** A pooled buffer of one request. */
export interface PooledBuffer {
  /** Memory with any content. */
  readonly allocate: (length: number) => Uint8Array
  /**
   * Called at most once, when the memory is not used any more. A buffer that is never released is garbage-collected.
   */
  release(): void
}

/**
 * Memory that replies to large reads are made in, used again once the kernel has their bytes, and that large writes are
 * put together in, used again once the device has carried them out: new memory of a mebibyte costs ten times what
 * copying into it does, since each of its pages is new to the process.
 */
export class TransferMemory {
  readonly #kept = new KeptMemory(KEPT_BYTES)

  /** Memory for one request, if it is large enough to be worth it. */
  bufferFor(length: number): PooledBuffer | undefined {
    if (length < SMALLEST_BYTES) return undefined
    const lent: Uint8Array[] = []
    return {
      allocate: (bytes) => {
        const memory = this.#kept.take(bytes)
        lent.push(memory)
        return memory
      },
      release: () => {
        for (const memory of lent) if (memory.length >= SMALLEST_BYTES) this.#kept.releaseBuffer(memory)
      },
    }
  }
}
