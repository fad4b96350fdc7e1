import { type Bytes, type ExtentId, KIB, LIMITS } from '@ashlar/proto'

/** What is on its way to one extent. */
interface Share {
  /** Of all its requests, and of those that change it. */
  bytes: Bytes
  changeBytes: Bytes
  reads: number
}

const NOTHING: Readonly<Share> = { bytes: 0, changeBytes: 0, reads: 0 }

/** What the shares of extents take together. */
const SHARED_BYTES: Bytes = LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes

/** A larger request leaves a part of what is kept for firsts to small ones, of which many fit there. */
const SMALL_BYTES: Bytes = 64 * KIB
const SMALL_FIRST_BYTES: Bytes = LIMITS.clientFirstBytes / 4

/**
 * What one client has on its way. All extents share it, and each may have as much as is left free at most: what is stuck at
 * those that are not served leaves a share to the others, but one that shrinks with each of them. So an extent that has nothing on
 * its way may have one request beyond its share, out of bytes that are kept for that (A2.11-5). An extent alone gets half
 * of all bytes. All together stay within LIMITS.clientInFlightBytes.
 */
export class InFlight {
  #bytes: Bytes = 0
  #reads = 0
  readonly #shares: Map<ExtentId, Share> = new Map()

  /** On their way to all extents. */
  get bytes(): Bytes {
    return this.#bytes
  }

  get reads(): number {
    return this.#reads
  }

  /** The primary of an extent has room for so many bytes of writes that are not committed. */
  fitsWindow(extent: ExtentId, bytes: Bytes): boolean {
    return (this.#shares.get(extent)?.changeBytes ?? 0) + bytes <= LIMITS.primaryWindowBytes
  }

  /** So many reads, of all extents, may be on their way for another one of this extent to go out. */
  readsBound(extent: ExtentId): number {
    const reads = this.#shares.get(extent)?.reads ?? 0
    return reads === 0 ? Number.POSITIVE_INFINITY : LIMITS.primaryReads - reads - 1
  }

  /** So many bytes, of all extents, may be on their way for another request of this one to go out. Changes with its share alone. */
  bytesBound(extent: ExtentId, bytes: Bytes): Bytes {
    const share = this.#shares.get(extent)?.bytes ?? 0
    // While there is nothing beside its own, all there are is its share.
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
