import { type Bytes, type ExtentId, LIMITS } from '@ashlar/proto'

/** What is on its way to one extent. */
interface Share {
  /** Of all its requests, and of those that change it. */
  bytes: Bytes
  changeBytes: Bytes
  reads: number
}

const NOTHING: Readonly<Share> = { bytes: 0, changeBytes: 0, reads: 0 }

/**
 * What one client has on its way. All extents share it, and each may have as much as is left free at most: however much is
 * stuck at those that are not served, the others have a share as large as theirs (amendment 30). An extent alone
 * gets half of it.
 */
export class InFlight {
  #bytes: Bytes = 0
  #reads = 0
  readonly #shares: Map<ExtentId, Share> = new Map()

  /** Whether another request of an extent may go out; a large one always may when nothing else is on its way. */
  hasRoom(extent: ExtentId, changes: boolean, bytes: Bytes): boolean {
    const share = this.#shares.get(extent) ?? NOTHING
    // The primary of an extent has room for so many bytes of writes that are not committed.
    if (changes && share.changeBytes + bytes > LIMITS.primaryWindowBytes) return false
    if (!changes && share.reads >= LIMITS.primaryReads - this.#reads) return false
    return this.#bytes === 0 || share.bytes + bytes <= LIMITS.clientInFlightBytes - this.#bytes
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
