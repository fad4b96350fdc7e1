import { type BlockIndex, type Bytes, type ExtentId, MIB } from '@ashlar/proto'
import type { CommitQueue } from '../commit/commit-queue.ts'
import type { StorageDriver } from '../driver.ts'
import { BLOCK_SPACES, type BlockSpace, blockOfKey, blockRange } from '../encoding/keyspace.ts'

/** Keys deleted in one batch: bounds how long a client's write waits behind it. */
const KEYS_PER_BATCH = 1024
/** Bytes of a key and what LevelDB adds to it, about. */
const KEY_BYTES = 32
/**
 * Bytes deleted before their range is compacted. Less: more calls, each of which makes LevelDB begin a new log and a small table;
 * more: a longer call, which `close` waits for. A replica of 256 MiB under writes: 12 s in calls of up to 0.9 s with 8 MiB, 9 s in
 * calls of up to 2.3 s with 32 MiB, 4 s in one call of 1.7 s without slices.
 */
const SLICE_BYTES: Bytes = 8 * MIB

export interface DropperOptions {
  readonly driver: StorageDriver
  readonly queue: CommitQueue
  /** Runs work that the close of the store waits for. */
  readonly run: (work: () => Promise<void>) => void
  readonly stopped: () => boolean
  /** All keys of this replica are deleted: its tombstone may be deleted too. */
  readonly onDropped: (extent: ExtentId) => void
}

/**
 * Deletes the keys of dropped replicas in the background, in bounded batches between those of clients, and gives their space
 * back slice by slice: LevelDB does so only when it compacts (leveldb finding 17). The tombstone of a replica is on disk before it
 * comes here, so that a restart goes on with it.
 *
 * One replica and one slice at a time: a compaction keeps a thread of the pool for as long as it takes, and reads and writes
 * of the store need the same few threads. Eight extents that compacted at once held every write up for more than a second.
 */
export class Dropper {
  readonly #options: DropperOptions
  readonly #waiting: ExtentId[] = []
  readonly #dropping = new Set<ExtentId>()
  #working = false

  constructor(options: DropperOptions) {
    this.#options = options
  }

  drop(extent: ExtentId): void {
    this.#waiting.push(extent)
    this.#dropping.add(extent)
    if (this.#working) return
    this.#working = true
    this.#options.run(() => this.#work())
  }

  /** True while keys of the extent are still to be deleted. */
  isDropping(extent: ExtentId): boolean {
    return this.#dropping.has(extent)
  }

  async #work(): Promise<void> {
    for (let extent = this.#waiting.shift(); extent !== undefined; extent = this.#waiting.shift()) {
      for (const space of BLOCK_SPACES) if (!(await this.#empty(space, extent))) return
      this.#dropping.delete(extent)
      this.#options.onDropped(extent)
    }
    this.#working = false
  }

  /** Deletes the keys of one space, and compacts what they took. False when the store stopped before all were deleted. */
  async #empty(space: BlockSpace, extent: ExtentId): Promise<boolean> {
    const { driver, stopped } = this.#options
    const entryBytes = await this.#entryBytes(space, extent)
    const limit = Math.min(KEYS_PER_BATCH, Math.max(1, Math.floor(SLICE_BYTES / entryBytes)))
    let sliceFrom: BlockIndex = 0
    let sliceBytes: Bytes = 0
    let from: BlockIndex = 0
    let isOver = false
    while (!isOver && !stopped()) {
      const keys: Uint8Array[] = []
      const range = blockRange(space, extent, from)
      for await (const { key } of driver.scan(range, { limit, keysOnly: true })) keys.push(key)
      const last = keys.at(-1)
      isOver = keys.length < limit
      if (last !== undefined) {
        await this.#delete(keys)
        sliceBytes += keys.length * entryBytes
        // Going on behind the last key, because a scan from the start would pass over every deletion again.
        from = blockOfKey(last) + 1
      }
      if (stopped() || sliceBytes === 0 || (!isOver && sliceBytes < SLICE_BYTES)) continue
      await driver.compact(blockRange(space, extent, sliceFrom, isOver ? undefined : from))
      sliceFrom = from
      sliceBytes = 0
    }
    return isOver
  }

  /** Bytes of the first entry, as all of a space are about: after a restart the block size of the replica is not known. */
  async #entryBytes(space: BlockSpace, extent: ExtentId): Promise<Bytes> {
    for await (const { value } of this.#options.driver.scan(blockRange(space, extent), { limit: 1 }))
      return KEY_BYTES + value.length
    return KEY_BYTES
  }

  #delete(keys: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve) => {
      this.#options.queue.push({
        bytes: keys.length * KEY_BYTES,
        ready: () => true,
        build: (batch) => {
          for (const key of keys) batch.del(key)
        },
        done: resolve,
      })
    })
  }
}
