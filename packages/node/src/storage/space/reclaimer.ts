import { type ExtentId, isAtLeast, MIB, type StoreSpace } from '@ashlar/proto'
import type { StorageDriver } from '../driver.ts'
import { blockRange } from '../encoding/keyspace.ts'
import type { LocalReplica } from '../replicas/local-replica.ts'

/**
 * Bytes of blocks compacted at once. Compacting a range in one call takes as much space as what stays of it: 39 MiB for 40,000
 * blocks of which three quarters were discarded, 1 MiB in slices. On a nearly full disk the former ended the store.
 */
const SLICE_BYTES = 8 * MIB

export interface ReclaimerOptions {
  readonly driver: StorageDriver
  readonly replicas: ReadonlyMap<ExtentId, LocalReplica>
  /** Runs work that the close of the store waits for. */
  readonly run: (work: () => Promise<void>) => void
  readonly stopped: () => boolean
  readonly onReclaimed: () => void
}

/**
 * Gives the space of discarded and overwritten blocks back to the disk when it is short: LevelDB keeps it until it compacts
 * their range, which it does by itself only when enough is written elsewhere (leveldb finding 17), and on a nearly full disk
 * nothing is. One replica at a time, the one with most to give first, with a pause after each as long as the work was.
 */
export class Reclaimer {
  readonly #options: ReclaimerOptions
  #running = false
  #pauseUntilMs = 0
  /** Garbage of earlier incarnations is not counted: a store that opens full compacts every replica once. */
  readonly #unknown: Set<LocalReplica>

  constructor(options: ReclaimerOptions) {
    this.#options = options
    this.#unknown = new Set(options.replicas.values())
  }

  /** Called about once a second with the space state of the store. */
  look(space: StoreSpace): void {
    const { driver, run, stopped, onReclaimed } = this.#options
    if (this.#running || !isAtLeast(space, 'tight') || performance.now() < this.#pauseUntilMs) return
    const replica = this.#next(space)
    if (replica === undefined) return
    this.#running = true
    this.#unknown.delete(replica)
    replica.garbageBytes = 0
    run(async () => {
      const startedMs = performance.now()
      const sliceBlocks = SLICE_BYTES / replica.blockSizeBytes
      for (let from = 0; from < replica.blocks && !stopped(); from += sliceBlocks)
        await driver.compact(blockRange('bytes', replica.extent, from, from + sliceBlocks))
      this.#running = false
      this.#pauseUntilMs = 2 * performance.now() - startedMs
      onReclaimed()
    })
  }

  #next(space: StoreSpace): LocalReplica | undefined {
    let most: LocalReplica | undefined
    for (const replica of this.#options.replicas.values())
      if (replica.garbageBytes > (most?.garbageBytes ?? 0)) most = replica
    if (most !== undefined || space !== 'full') return most
    for (const replica of this.#unknown) {
      if (this.#options.replicas.get(replica.extent) === replica) return replica
      this.#unknown.delete(replica)
    }
    return undefined
  }
}
