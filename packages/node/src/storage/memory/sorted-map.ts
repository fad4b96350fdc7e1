import type { Entry } from '../driver.ts'

/**
 * A map from bytes to bytes in bytewise order of its keys: an index by key text, and the key texts sorted. Inserting a
 * new key moves part of an array, which is cheap up to some hundred thousand entries. What goes in and out is copied.
 */
export class SortedMap {
  readonly #values = new Map<string, Uint8Array>()
  readonly #sorted: string[] = []

  get size(): number {
    return this.#values.size
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(textOf(key))?.slice()
  }

  has(key: Uint8Array): boolean {
    return this.#values.has(textOf(key))
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const text = textOf(key)
    if (!this.#values.has(text)) this.#sorted.splice(this.#position(text), 0, text)
    this.#values.set(text, value.slice())
  }

  delete(key: Uint8Array): void {
    const text = textOf(key)
    if (this.#values.delete(text)) this.#sorted.splice(this.#position(text), 1)
  }

  /** Copies of the entries with from <= key < to, ascending, at most `limit`. */
  range(from: Uint8Array, to: Uint8Array, limit: number = Number.POSITIVE_INFINITY): Entry[] {
    const end = textOf(to)
    const found: Entry[] = []
    for (let at = this.#position(textOf(from)); at < this.#sorted.length && found.length < limit; at++) {
      const text = this.#sorted[at] as string
      if (text >= end) break
      found.push({ key: bytesOf(text), value: (this.#values.get(text) as Uint8Array).slice() })
    }
    return found
  }

  /** First place in the sorted keys that is not below the text. */
  #position(text: string): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] as string) < text) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** One character a byte: the order of such texts is the bytewise order of the keys. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
