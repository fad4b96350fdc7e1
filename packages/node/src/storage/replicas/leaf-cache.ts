import { type BlockVersion, LIMITS } from '@ashlar/proto'
import { LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { StorageDriver } from '../driver.ts'
import { blockOfKey, blockRange } from '../keyspace.ts'
import { decodeVersion } from '../repositories/version-value.ts'
import type { Replica } from './replica.ts'

/** One leaf of one replica in memory, or on its way there. */
export interface CachedLeaf {
  readonly replica: Replica
  readonly leaf: number
  /** Undefined until it is loaded. */
  table: LeafTable | undefined
  /** Changes that wait for it or are not yet on stable storage: it stays while there are any. */
  pins: number
}

export interface LeafCacheEvents {
  /** A leaf came in: changes that waited for it can go on. */
  loaded(): void
  /** The driver failed to read. */
  failed(error: unknown): void
  /** The versions on disk have another digest than the one kept for them. */
  mismatch(replica: Replica, table: LeafTable): void
}

/**
 * Version tables of leaves, at most `capacity` of them but for pinned ones, the longest unused leaving first. A leaf's
 * table is as of the newest batch that was built. It is loaded by a scan of its `v` keys, which is right because a leaf
 * with a change that is built but not on disk is pinned and so never loaded anew.
 */
export class LeafCache {
  readonly #driver: StorageDriver
  readonly #capacity: number
  readonly #events: LeafCacheEvents
  readonly #leaves = new Map<Replica, Map<number, CachedLeaf>>()
  /** Leaves that nothing pins, the longest unused first. */
  readonly #unpinned = new Set<CachedLeaf>()
  #size = 0
  loads = 0

  constructor(driver: StorageDriver, capacity: number, events: LeafCacheEvents) {
    this.#driver = driver
    this.#capacity = capacity
    this.#events = events
  }

  get size(): number {
    return this.#size
  }

  /** The table of a leaf if it is in memory. It lags behind `replica.pending`. */
  peek(replica: Replica, leaf: number): LeafTable | undefined {
    const cached = this.#leaves.get(replica)?.get(leaf)
    if (cached?.table === undefined) return undefined
    if (cached.pins === 0) {
      this.#unpinned.delete(cached)
      this.#unpinned.add(cached)
    }
    return cached.table
  }

  /** True while a change of a leaf was handed over and is not yet on stable storage. */
  isChanging(replica: Replica, leaf: number): boolean {
    return (this.#leaves.get(replica)?.get(leaf)?.pins ?? 0) > 0
  }

  /** Holds a leaf in memory, loading it first if need be, until as many `unpin`. */
  pin(replica: Replica, leaf: number): CachedLeaf {
    let leaves = this.#leaves.get(replica)
    if (leaves === undefined) {
      leaves = new Map()
      this.#leaves.set(replica, leaves)
    }
    let cached = leaves.get(leaf)
    if (cached === undefined) {
      cached = { replica, leaf, table: undefined, pins: 0 }
      leaves.set(leaf, cached)
      this.#size++
      this.#load(cached)
    }
    if (cached.pins++ === 0) this.#unpinned.delete(cached)
    this.#evict()
    return cached
  }

  unpin(cached: CachedLeaf): void {
    if (--cached.pins > 0) return
    // The replica may have been dropped in the meantime.
    if (this.#leaves.get(cached.replica)?.get(cached.leaf) !== cached) return
    this.#unpinned.add(cached)
    this.#evict()
  }

  /** Forgets the leaves of a replica that is gone and that nothing pins any more. */
  drop(replica: Replica): void {
    const leaves = this.#leaves.get(replica)
    if (leaves === undefined) return
    for (const cached of leaves.values()) this.#unpinned.delete(cached)
    this.#size -= leaves.size
    this.#leaves.delete(replica)
  }

  #evict(): void {
    for (const oldest of this.#unpinned) {
      if (this.#size <= this.#capacity) return
      this.#unpinned.delete(oldest)
      this.#leaves.get(oldest.replica)?.delete(oldest.leaf)
      this.#size--
    }
  }

  #load(cached: CachedLeaf): void {
    const { replica, leaf } = cached
    // A leaf without a version is not worth a look at the disk: every leaf of a new volume is one.
    if (replica.digests.isEmpty(leaf)) {
      cached.table = new LeafTable(leaf)
      return
    }
    this.loads++
    scanLeaves(this.#driver, replica, leaf, 1).then(
      ([table]) => {
        if (table === undefined) return
        if (!replica.digests.matches(table)) this.#events.mismatch(replica, table)
        cached.table = table
        this.#events.loaded()
      },
      (error) => this.#events.failed(error),
    )
  }
}

/** The versions of `count` leaves in a row as they are on disk at the call. */
export async function scanLeaves(
  driver: StorageDriver,
  replica: Replica,
  firstLeaf: number,
  count: number,
): Promise<LeafTable[]> {
  const from = firstLeaf * LIMITS.leafBlocks
  const entries = driver.scan(blockRange('version', replica.extent, from, from + count * LIMITS.leafBlocks))
  const tables = Array.from({ length: count }, (_, i) => new LeafTable(firstLeaf + i))
  for await (const { key, value } of entries) {
    const block = blockOfKey(key)
    const version: BlockVersion | undefined = decodeVersion(value)
    if (version !== undefined) (tables[leafOf(block) - firstLeaf] as LeafTable).set(block, version)
  }
  return tables
}
