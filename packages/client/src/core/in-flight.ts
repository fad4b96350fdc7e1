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
 * its way may have one request beyond its share, out of bytes that are kept for that (amendment 30). An extent alone gets half
 * of all bytes. All together stay within LIMITS.clientInFlightBytes.
 */
export class InFlight {
  #bytes: Bytes = 0
  #reads = 0
  readonly #shares: Map<ExtentId, Share> = new Map()

  /** Whether another request of an extent may go out. */
  hasRoom(extent: ExtentId, changes: boolean, bytes: Bytes): boolean {
    const share = this.#shares.get(extent) ?? NOTHING
    // The primary of an extent has room for so many bytes of writes that are not committed.
    if (changes && share.changeBytes + bytes > LIMITS.primaryWindowBytes) return false
    if (!changes && share.reads > 0 && share.reads >= LIMITS.primaryReads - this.#reads) return false
    const sharedBytes = share.bytes === this.#bytes ? LIMITS.clientInFlightBytes : SHARED_BYTES
    return share.bytes + bytes <= sharedBytes - this.#bytes || (share.bytes === 0 && this.#hasRoomForFirst(bytes))
  }

  #hasRoomForFirst(bytes: Bytes): boolean {
    const keptBytes = bytes <= SMALL_BYTES ? 0 : SMALL_FIRST_BYTES
    return bytes + keptBytes <= LIMITS.clientInFlightBytes - this.#bytes
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

  giveBack(extent: ExtentId, changes: boolean, bytes: Bytes): void {
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
