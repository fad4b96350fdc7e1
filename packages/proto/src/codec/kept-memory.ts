import type { Bytes } from '@ashlar/proto'

/** Memory that is used again for the same sizes, at most so many bytes of it. */
export class KeptMemory {
  private readonly limitBytes: Bytes
  private readonly kept = new Map<Bytes, Uint8Array[]>()
  private keptBytes: Bytes = 0

  constructor(limitBytes: Bytes) {
    this.limitBytes = limitBytes
  }

  /** Memory of that size, with any content, that shares its buffer with nothing. */
  take(size: Bytes): Uint8Array {
    const found = this.kept.get(size)?.pop()
    if (found === undefined) return Buffer.allocUnsafeSlow(size)
    this.keptBytes -= size
    return found
  }

  /** Takes a buffer back that is not used any more, once. One that is never released is garbage-collected. */
  releaseBuffer(memory: Uint8Array): void {
    if (this.keptBytes + memory.length > this.limitBytes) {
      // Kept buffers of sizes that are not in use any more would fill the limit permanently.
      this.kept.clear()
      this.keptBytes = 0
    }
    const same = this.kept.get(memory.length)
    if (same === undefined) this.kept.set(memory.length, [memory])
    else same.push(memory)
    this.keptBytes += memory.length
  }
}
