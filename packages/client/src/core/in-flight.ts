import { type Bytes, type ExtentId, KIB, LIMITS } from '@ashlar/proto'

/** What is in flight to one extent. */
interface Share {
  /** Of all its requests, and of those that change it. */
  bytes: Bytes
  changeBytes: Bytes
  reads: number
}

const NOTHING: Readonly<Share> = { bytes: 0, changeBytes: 0, reads: 0 }

/** Bytes of the shares of all extents. */
const SHARED_BYTES: Bytes = LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes

/** A larger request leaves a part of the bytes for first requests to small ones, of which many fit there. */
const SMALL_BYTES: Bytes = 64 * KIB
const SMALL_FIRST_BYTES: Bytes = LIMITS.clientFirstBytes / 4

/**
 * Requests in flight of one client. All extents share the bytes, and each may use at most as many as are left free:
 * extents that are stuck leave a share to others, but it shrinks with each of them. So an extent with nothing in flight
 * may send one request beyond its share, out of reserved bytes (A2.11-5). An extent alone gets half of all bytes. The
 * sum stays within LIMITS.clientInFlightBytes.
 */
export class InFlight {
  #bytes: Bytes = 0
  #reads = 0
  readonly #shares: Map<ExtentId, Share> = new Map()

  /** In flight to all extents. */
  get bytes(): Bytes {
    return this.#bytes
  }

  get reads(): number {
    return this.#reads
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

  /** The most bytes in flight to all extents at which this extent may send a request. Depends on its share only. */
  bytesBound(extent: ExtentId, bytes: Bytes): Bytes {
    const share = this.#shares.get(extent)?.bytes ?? 0
    // While no other extent has bytes in flight, its share is all there are.
    const alone = 2 * share + bytes <= LIMITS.clientInFlightBytes ? share : -1
    const shared = SHARED_BYTES - share - bytes
    const keptBytes = bytes <= SMALL_BYTES ? 0 : SMALL_FIRST_BYTES
    const first = share === 0 ? LIMITS.clientInFlightBytes - keptBytes - bytes : -1
    return Math.max(alone, shared, first)
  }

  take(extent: ExtentId, changes: boolean, bytes: Bytes): void {
    let share = this.#shares.get(extent)
    if (share === undefined) {
      share = { ...NOTHING }
      this.#shares.set(extent, share)
    }
    this.#bytes += bytes
    share.bytes += bytes
    if (changes) share.changeBytes += bytes
    else {
      share.reads++
      this.#reads++
    }
  }

  release(extent: ExtentId, changes: boolean, bytes: Bytes): void {
    const share = this.#shares.get(extent)
    if (share === undefined) return
    this.#bytes -= bytes
    share.bytes -= bytes
    if (changes) share.changeBytes -= bytes
    else {
      share.reads--
      this.#reads--
    }
    if (share.bytes === 0) this.#shares.delete(extent)
  }
}
