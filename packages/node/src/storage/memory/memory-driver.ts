import { type Bytes, GIB } from '@ashlar/proto'
import type { BatchOperation, DiskSpace, Durability, Entry, KeyRange, ScanOptions, StorageDriver } from '../driver.ts'
import { driverClosedError } from '../errors.ts'
import { SortedMap } from './sorted-map.ts'

/** What a memory driver writes to. It outlives the driver, as a disk outlives the process. */
export class MemoryDisk {
  readonly entries: SortedMap = new SortedMap()
  /** What `space` returns; tests set it. */
  freeBytes: Bytes = 64 * GIB
  totalBytes: Bytes = 64 * GIB
}

/** A driver over a map in memory: for tests and for stores that need not outlive the process. */
export class MemoryDriver implements StorageDriver {
  readonly capabilities = { durable: false } as const
  readonly #disk: MemoryDisk
  #closed = false

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.#disk = disk
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertOpen()
    return this.#disk.entries.get(key)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen()
    return keys.map((key) => this.#disk.entries.get(key))
  }

  async apply(batch: readonly BatchOperation[], _durability: Durability): Promise<void> {
    this.#assertOpen()
    for (const operation of batch) {
      if (operation.type === 'put') this.#disk.entries.set(operation.key, operation.value)
      else this.#disk.entries.delete(operation.key)
    }
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<Entry> {
    this.#assertOpen()
    // Copied now, because the snapshot is that of the call and not that of the first step.
    const found = this.#disk.entries.range(range.from, range.to, options.limit)
    const keysOnly = options.keysOnly === true
    return (async function* () {
      for (const { key, value } of found) yield { key, value: keysOnly ? NO_BYTES : value }
    })()
  }

  async space(): Promise<DiskSpace> {
    this.#assertOpen()
    return { freeBytes: this.#disk.freeBytes, totalBytes: this.#disk.totalBytes }
  }

  async compact(_range: KeyRange): Promise<void> {
    this.#assertOpen()
  }

  statistics(): Readonly<Record<string, number>> {
    return { entries: this.#disk.entries.size }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #assertOpen(): void {
    if (this.#closed) throw driverClosedError()
  }
}

const NO_BYTES = new Uint8Array(0)
