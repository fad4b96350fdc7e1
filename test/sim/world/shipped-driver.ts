import type {
  BatchOperation,
  Durability,
  Entry,
  KeyRange,
  ScanOptions,
  StorageDriver,
} from '../../../packages/node/src/storage/driver.ts'
import { type MemoryDisk, MemoryDriver } from '../../../packages/node/src/storage/memory/memory-driver.ts'

/** When the calls of a driver end, and whether they end well. */
export interface DriverTimes {
  /** Calls `end` when the batch is to be on stable storage, or `fail` with what went wrong; neither after a crash. */
  sync(batch: readonly BatchOperation[], end: () => void, fail: (error: Error) => void): void
  read(end: () => void, fail: (error: Error) => void): void
}

/** The memory driver of the product with calls that take virtual time and may fail. At first, while a store opens, none do. */
export class ShippedDriver implements StorageDriver {
  readonly capabilities = { durable: true } as const
  /** Absent: every call ends at once. */
  times: DriverTimes | undefined
  private readonly below: MemoryDriver
  private poison: Error | undefined

  constructor(disk: MemoryDisk) {
    this.below = new MemoryDriver(disk)
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const value = await this.below.get(key)
    await this.wait()
    return value
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const values = await this.below.getMany(keys)
    await this.wait()
    return values
  }

  async apply(batch: readonly BatchOperation[], durability: Durability): Promise<void> {
    if (this.poison !== undefined) throw this.poison
    const { times } = this
    if (times !== undefined) {
      await new Promise<void>((resolve, reject) => times.sync(batch, resolve, reject)).catch((error: Error) => {
        this.poison = error
        throw error
      })
    }
    await this.below.apply(batch, durability)
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<Entry> {
    const entries = this.below.scan(range, options)
    const wait = (): Promise<void> => this.wait()
    return (async function* () {
      await wait()
      yield* entries
    })()
  }

  space(): ReturnType<MemoryDriver['space']> {
    return this.below.space()
  }

  async compact(range: KeyRange): Promise<void> {
    await this.wait()
    return this.below.compact(range)
  }

  statistics(): Readonly<Record<string, number>> {
    return this.below.statistics()
  }

  close(): Promise<void> {
    return this.below.close()
  }

  private wait(): Promise<void> {
    const { times } = this
    return times === undefined ? Promise.resolve() : new Promise((resolve, reject) => times.read(resolve, reject))
  }
}
