import { type BlockVersion, invariant, LIMITS } from '@ashlar/proto'
import { LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { StorageDriver } from '../driver.ts'
import { blockOfKey, blockRange } from '../encoding/keyspace.ts'
import { decodeVersion } from '../repositories/version-value.ts'
import type { LocalReplica } from './local-replica.ts'

/** One leaf of one replica in memory, or on its way there. */
export interface CachedLeaf {
  readonly replica: LocalReplica
  readonly leaf: number
  /** Undefined until it is loaded. */
  table: LeafTable | undefined
  /** What it counts for in the cache: that of its table when it was last looked at. */
  weight: number
  /** Changes that wait for it or are not yet on stable storage: it stays while there are any. */
  pins: number
  /** Reads that wait until it is loaded. */
  readonly readers: PromiseWithResolvers<LeafRead>[]
}

/** Content of a leaf when it was requested, without the changes pending then. */
export interface LeafRead {
  /** Owned by the receiver. */
  readonly table: LeafTable
  /** The versions have the digest that is kept for them; otherwise some were lost, or are older than what was there. */
  readonly sound: boolean
}

export interface LeafCacheEvents {
  /** A leaf came in: changes that waited for it can go on. */
  loaded(): void
  /** The driver failed to read. */
  failed(error: unknown): void
  /** The versions on disk have another digest than the one kept for them. */
  mismatch(replica: LocalReplica, table: LeafTable): void
  /** The store is suspect: a digest may be lost too, so that a leaf is read although its digest says that it is empty. */
  isSuspect(): boolean
}

/**
 * Version tables of leaves, as many as weigh what `capacity` full ones do, and pinned ones; the longest unused leaves first. A leaf's
 * table is as of the newest batch that was built. It is loaded by a scan of its `v` keys, which is right because a leaf
 * with a change that is built but not on disk is pinned and so never loaded again.
 */
export class LeafCache {
  readonly #driver: StorageDriver
  readonly #capacity: number
  readonly #events: LeafCacheEvents
  readonly #leaves = new Map<LocalReplica, Map<number, CachedLeaf>>()
  /** Leaves that nothing pins, the longest unused first. */
  readonly #unpinned = new Set<CachedLeaf>()
  #weight = 0
  loads = 0

  constructor(driver: StorageDriver, capacity: number, events: LeafCacheEvents) {
    this.#driver = driver
    this.#capacity = capacity
    this.#events = events
  }

  /** Of all tables here; that of a full one is 1. */
  get weight(): number {
    return this.#weight
  }

  /** The table of a leaf if it is in memory. It lags behind `replica.pending`. */
  peek(replica: LocalReplica, leaf: number): LeafTable | undefined {
    const cached = this.#leaves.get(replica)?.get(leaf)
    if (cached?.table === undefined) return undefined
    if (cached.pins === 0) {
      this.#unpinned.delete(cached)
      this.#unpinned.add(cached)
    }
    return cached.table
  }

  /** True while a change of a leaf was handed over and is not yet on stable storage. */
  isChanging(replica: LocalReplica, leaf: number): boolean {
    return (this.#leaves.get(replica)?.get(leaf)?.pins ?? 0) > 0
  }

  /** Holds a leaf in memory, loading it first if need be, until as many `unpin`. */
  pin(replica: LocalReplica, leaf: number): CachedLeaf {
    const cached = this.#get(replica, leaf)
    if (cached.pins++ === 0) this.#unpinned.delete(cached)
    this.#evict()
    return cached
  }

  /**
   * The versions of a leaf as they are at the call, checked against their digest: a key that a flipped bit hides from the
   * engine would otherwise give the version before it, or none. Rejects when the driver cannot read.
   */
  read(replica: LocalReplica, leaf: number): Promise<LeafRead> {
    const cached = this.#get(replica, leaf)
    this.#evict()
    if (cached.table !== undefined) return Promise.resolve({ table: cached.table.clone(), sound: true })
    const reader = Promise.withResolvers<LeafRead>()
    cached.readers.push(reader)
    return reader.promise
  }

  #get(replica: LocalReplica, leaf: number): CachedLeaf {
    let leaves = this.#leaves.get(replica)
    if (leaves === undefined) {
      leaves = new Map()
      this.#leaves.set(replica, leaves)
    }
    let cached = leaves.get(leaf)
    if (cached === undefined) {
      cached = { replica, leaf, table: undefined, weight: 0, pins: 0, readers: [] }
      leaves.set(leaf, cached)
      this.#load(cached)
    }
    return cached
  }

  unpin(cached: CachedLeaf): void {
    invariant(cached.pins > 0, 'a leaf is unpinned as often as it was pinned')
    if (--cached.pins > 0) return
    // The replica may have been dropped in the meantime.
    if (this.#leaves.get(cached.replica)?.get(cached.leaf) !== cached) return
    this.#unpinned.add(cached)
    // What was written while it was pinned may have filled it.
    this.#weigh(cached)
    this.#evict()
  }

  /** What was read from disk takes the place of what is here, of a leaf that nothing pins. */
  adopt(replica: LocalReplica, table: LeafTable): void {
    const cached = this.#leaves.get(replica)?.get(table.leaf)
    if (cached?.table === undefined || cached.pins > 0) return
    cached.table = table.clone()
    this.#weigh(cached)
  }

  /** Forgets the leaves of a dropped replica that nothing pins any more. */
  drop(replica: LocalReplica): void {
    const leaves = this.#leaves.get(replica)
    if (leaves === undefined) return
    for (const cached of leaves.values()) {
      this.#unpinned.delete(cached)
      this.#weight -= cached.weight
    }
    this.#leaves.delete(replica)
  }

  #evict(): void {
    for (const oldest of this.#unpinned) {
      if (this.#weight <= this.#capacity) return
      this.#unpinned.delete(oldest)
      this.#leaves.get(oldest.replica)?.delete(oldest.leaf)
      this.#weight -= oldest.weight
    }
  }

  #weigh(cached: CachedLeaf): void {
    const weight = cached.table?.weight ?? 0
    this.#weight += weight - cached.weight
    cached.weight = weight
  }

  #load(cached: CachedLeaf): void {
    const { replica, leaf } = cached
    // A leaf without a version is not worth a look at the disk: every leaf of a new volume is one.
    if (replica.digests.isEmpty(leaf) && !this.#events.isSuspect()) {
      this.#keep(cached, new LeafTable(leaf))
      return
    }
    this.loads++
    scanLeaves(this.#driver, replica, leaf, 1).then(
      ([table]) => {
        if (table === undefined) return
        const sound = replica.digests.matches(table)
        if (!sound) this.#events.mismatch(replica, table)
        // Before any change that waits for this leaf is built upon it.
        for (const reader of cached.readers.splice(0)) reader.resolve({ table: table.clone(), sound })
        this.#keep(cached, table)
        this.#evict()
        this.#events.loaded()
      },
      (error) => {
        for (const reader of cached.readers.splice(0)) reader.reject(error)
        this.#events.failed(error)
      },
    )
  }

  /** A leaf without a pin may be forgotten once it is loaded, not before: its digest must not change on the way. */
  #keep(cached: CachedLeaf, table: LeafTable): void {
    invariant(cached.table === undefined, 'a leaf is loaded once: changes were made to its table since')
    cached.table = table
    if (this.#leaves.get(cached.replica)?.get(cached.leaf) !== cached) return
    this.#weigh(cached)
    if (cached.pins === 0) this.#unpinned.add(cached)
  }
}

/** The versions of `count` leaves in a row as they are on disk at the call. */
export async function scanLeaves(
  driver: StorageDriver,
  replica: LocalReplica,
  firstLeaf: number,
  count: number,
): Promise<LeafTable[]> {
  const from = firstLeaf * LIMITS.leafBlocks
  const entries = driver.scan(blockRange('version', replica.extent, from, from + count * LIMITS.leafBlocks))
  const tables = Array.from({ length: count }, (_, i) => new LeafTable(firstLeaf + i))
  for await (const { key, value } of entries) {
    const block = blockOfKey(key)
    const version: BlockVersion | undefined = decodeVersion(value)
    const table = tables[leafOf(block) - firstLeaf]
    invariant(table !== undefined, 'a scan stays in its range')
    if (version !== undefined) table.set(block, version)
  }
  return tables
}
