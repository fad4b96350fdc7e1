import { type Bytes, type ExtentId, invariant, KIB, LIMITS } from '@ashlar/proto'

/** What is in flight to one extent. */
interface Share {
  requests: number
  reads: number
  /** Of its requests in the shared pool, and of those in any pool that change it. */
  sharedBytes: Bytes
  changeBytes: Bytes
}

const NOTHING: Readonly<Share> = { requests: 0, reads: 0, sharedBytes: 0, changeBytes: 0 }

export type FirstPool = 'small-first' | 'large-first'
/** What the bytes of a request count against. */
export type Pool = 'shared' | FirstPool

const POOL_BYTES: Readonly<Record<Pool, Bytes>> = {
  shared: LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes,
  'small-first': LIMITS.clientFirstBytes / 4,
  'large-first': LIMITS.clientFirstBytes - LIMITS.clientFirstBytes / 4,
}

/** Many requests up to this size fit in the pool of small ones. */
const SMALL_BYTES: Bytes = 64 * KIB

/** The pool of a first request that the shared pool has no room for. */
export function firstPool(bytes: Bytes): FirstPool {
  return bytes <= SMALL_BYTES ? 'small-first' : 'large-first'
}

/**
 * Requests in flight of one client (A2.11-5). Each counts against one pool, and the pools together are
 * LIMITS.clientInFlightBytes.
 *
 * All extents share one pool, and each may use at most as many bytes of it as are left free: extents that are stuck
 * leave a share to others, but it shrinks with each of them. An extent alone gets half of all bytes.
 *
 * So an extent with nothing in flight may send one request beyond its share, against the pool of first requests of its
 * size. Nothing else counts against that pool, and first requests that wait take turns: each goes out once enough of
 * those before it have ended, whatever other extents send.
 */
export class InFlight {
  readonly #bytes: Record<Pool, Bytes> = { shared: 0, 'small-first': 0, 'large-first': 0 }
  #reads = 0
  readonly #shares: Map<ExtentId, Share> = new Map()

  /** Of the shared pool, in flight to all extents. */
  get sharedBytes(): Bytes {
    return this.#bytes.shared
  }

  get reads(): number {
    return this.#reads
  }

  isIdle(extent: ExtentId): boolean {
    return !this.#shares.has(extent)
  }

  /** True when so many more bytes of writes fit in the window of the primary. */
  fitsWindow(extent: ExtentId, bytes: Bytes): boolean {
    return (this.#shares.get(extent)?.changeBytes ?? 0) + bytes <= LIMITS.primaryWindowBytes
  }

  /** The most reads in flight to all extents at which this extent may send another one. */
  readsBound(extent: ExtentId): number {
    const reads = this.#shares.get(extent)?.reads ?? 0
    return reads === 0 ? Number.POSITIVE_INFINITY : LIMITS.primaryReads - reads - 1
  }

  /** The most bytes in the shared pool at which this extent may send a request. Depends on its share only. */
  sharedBound(extent: ExtentId, bytes: Bytes): Bytes {
    const share = this.#shares.get(extent)?.sharedBytes ?? 0
    // While no other extent has bytes in the pool, its share is all there are.
    const alone = 2 * share + bytes <= LIMITS.clientInFlightBytes ? share : -1
    return Math.max(alone, POOL_BYTES.shared - share - bytes)
  }

  /** True when the shared pool has room for a request now. */
  fitsShared(extent: ExtentId, bytes: Bytes): boolean {
    return this.sharedBytes <= this.sharedBound(extent, bytes)
  }

  /** True when its pool has room for the first request of an extent with nothing in flight. */
  fitsFirst(bytes: Bytes): boolean {
    const pool = firstPool(bytes)
    return this.#bytes[pool] + bytes <= POOL_BYTES[pool]
  }

  take(extent: ExtentId, changes: boolean, bytes: Bytes, pool: Pool): void {
    invariant(this.#bytes[pool] + bytes <= POOL_BYTES[pool], 'a request counts against a pool that has room for it')
    let share = this.#shares.get(extent)
    if (share === undefined) {
      share = { ...NOTHING }
      this.#shares.set(extent, share)
    }
    this.#count(share, pool, changes, bytes)
  }

  release(extent: ExtentId, changes: boolean, bytes: Bytes, pool: Pool): void {
    const share = this.#shares.get(extent)
    if (share === undefined) return
    this.#count(share, pool, changes, -bytes)
    if (share.requests === 0) this.#shares.delete(extent)
  }

  #count(share: Share, pool: Pool, changes: boolean, bytes: Bytes): void {
    const sign = Math.sign(bytes)
    share.requests += sign
    this.#bytes[pool] += bytes
    if (pool === 'shared') share.sharedBytes += bytes
    if (changes) share.changeBytes += bytes
    else {
      share.reads += sign
      this.#reads += sign
    }
  }
}
