/**
 * Bytes that arrived and are not consumed yet. Grows to what is asked of it and moves bytes rarely, however they are
 * cut.
 */
export class InputBuffer {
  #bytes = new Uint8Array(256)
  #start = 0
  #end = 0

  get length(): number {
    return this.#end - this.#start
  }

  /** Copies bytes in. */
  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) this.#makeSpace(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** Removes exactly that many bytes and gives a copy of them, or undefined while fewer are there. */
  take(count: number): Uint8Array | undefined {
    if (this.length < count) return undefined
    const taken = this.#bytes.slice(this.#start, this.#start + count)
    this.#start += count
    return taken
  }

  /** Removes up to that many bytes unseen; gives how many. */
  skip(count: number): number {
    const skipped = Math.min(count, this.length)
    this.#start += skipped
    return skipped
  }

  #makeSpace(extra: number): void {
    const needed = this.length + extra
    const target = needed > this.#bytes.length / 2 ? new Uint8Array(2 * needed) : this.#bytes
    target.set(this.#bytes.subarray(this.#start, this.#end))
    this.#bytes = target
    this.#end -= this.#start
    this.#start = 0
  }
}
