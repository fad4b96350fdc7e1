import { invariant } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'

type Value = Uint8Array | undefined

/**
 * Keys of one call of the driver: they are fetched one after another by one thread. More save work for each call and
 * send their responses in fewer frames; less leave keys that are not cached to several threads.
 */
const CALL_KEYS = 16

interface Waiting {
  readonly keys: readonly Uint8Array[]
  readonly resolve: (values: Value[]) => void
  readonly reject: (cause: unknown) => void
}

/**
 * Reads of single keys: those requested in one turn go to the driver together, in its microtasks and so before
 * any batch that was not applied when they were requested. A call of the driver costs more than the fetch of a cached key.
 */
export class GatheredReads {
  readonly #driver: StorageDriver
  #waiting: Waiting[] = []

  constructor(driver: StorageDriver) {
    this.#driver = driver
  }

  /** One value a key, in order. Rejects when the driver cannot read; reads that share the call are rejected too. */
  getMany(keys: readonly Uint8Array[]): Promise<Value[]> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) queueMicrotask(() => this.#start())
      this.#waiting.push({ keys, resolve, reject })
    })
  }

  #start(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let first = 0; first < waiting.length; ) {
      let keys = 0
      let end = first
      while (end < waiting.length && (end === first || keys + (waiting[end] as Waiting).keys.length <= CALL_KEYS)) {
        keys += (waiting[end++] as Waiting).keys.length
      }
      this.#fetch(waiting.slice(first, end))
      first = end
    }
  }

  #fetch(group: readonly Waiting[]): void {
    const keys = group.flatMap((waiting) => waiting.keys)
    this.#driver
      .getMany(keys)
      .then((values) => {
        invariant(values.length === keys.length, 'a driver returns one value a key: readers share the call')
        let at = 0
        for (const waiting of group) {
          waiting.resolve(values.slice(at, at + waiting.keys.length))
          at += waiting.keys.length
        }
      })
      .catch((cause) => {
        for (const { reject } of group) reject(cause)
      })
  }
}
