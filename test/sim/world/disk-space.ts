import { type Bytes, isAtLeast, type Millis, type SpaceReport, type StoreSpace } from '@ashlar/proto'
import { type Reserves, spaceOf } from '../../../packages/node/src/storage/space/reserves.ts'

/** How large the disks of a cluster are, and what its stores keep free on them. */
export interface SpaceOptions {
  /** Of each node in turn. */
  readonly sizesBytes: readonly Bytes[]
  readonly reserves: Reserves
}

/** The disk of one node, and the reserves of its store. */
export interface SpaceOfNode {
  readonly sizeBytes: Bytes
  readonly reserves: Reserves
}

/**
 * What fills a disk of limited size: the blocks that its replicas hold; what was overwritten or discarded, until the
 * store compacts it; and what something else on the disk takes.
 */
export class DiskSpace {
  private sizeBytes: Bytes
  private takenBytes: Bytes = 0
  private garbageBytes: Bytes = 0
  private readonly heldBytes: () => Bytes

  /** `heldBytes`: of the blocks that are there. */
  constructor(sizeBytes: Bytes, heldBytes: () => Bytes) {
    this.sizeBytes = sizeBytes
    this.heldBytes = heldBytes
  }

  get freeBytes(): Bytes {
    return Math.max(0, this.sizeBytes - this.takenBytes - this.garbageBytes - this.heldBytes())
  }

  /** Does what writes so many bytes: all of them come to the disk, whatever becomes of the blocks that were there. */
  write(bytes: Bytes, change: () => void): void {
    const before = this.heldBytes()
    change()
    this.garbageBytes = Math.max(0, this.garbageBytes + bytes - (this.heldBytes() - before))
  }

  /** Gives back what is not needed: all of it, or the half that a store compacts by itself. */
  compact(share: number): void {
    this.garbageBytes = Math.floor(this.garbageBytes * (1 - share))
  }

  /**
   * Something else fills the disk up to so many free bytes. Returns what it takes: 0 where there is no more than that.
   */
  takeUpTo(freeBytes: Bytes): Bytes {
    const bytes = Math.max(0, this.freeBytes - freeBytes)
    this.takenBytes += bytes
    return bytes
  }

  /** Gives back what something else took, or so much of it. False: nothing was taken. */
  releaseBuffer(bytes: Bytes = this.takenBytes): boolean {
    if (this.takenBytes === 0) return false
    this.takenBytes = Math.max(0, this.takenBytes - bytes)
    return true
  }

  /** An operator makes the disk larger. */
  enlarge(bytes: Bytes): void {
    this.sizeBytes += bytes
  }
}

/** Free bytes are asked for so often, as by the store that ships. */
const REFRESH_MS = 1000

/**
 * What one opened store knows of its disk: the free bytes of when it asked last, less what was written since, and the
 * state that follows by the shipped rule. Like the shipped store it compacts all it can where space is short.
 */
export class SpaceGauge {
  private readonly disk: DiskSpace
  private readonly reserves: Reserves
  private freeBytes: Bytes
  private space: StoreSpace = 'free'
  private askedAt: Millis

  constructor(disk: DiskSpace, reserves: Reserves, now: Millis) {
    this.disk = disk
    this.reserves = reserves
    this.freeBytes = disk.freeBytes
    this.askedAt = now
    this.update()
  }

  /** `now`: by the clock of the process, which asks no more often while its host pauses. */
  look(now: Millis): SpaceReport {
    if (now - this.askedAt >= REFRESH_MS) {
      this.askedAt = now
      this.ask()
      const isShort = isAtLeast(this.space, 'tight')
      this.disk.compact(isShort ? 1 : 0.5)
      if (isShort) this.ask()
    }
    return { space: this.space, freeBytes: this.freeBytes }
  }

  wrote(bytes: Bytes): void {
    this.freeBytes = Math.max(0, this.freeBytes - bytes)
    this.update()
  }

  private ask(): void {
    this.freeBytes = this.disk.freeBytes
    this.update()
  }

  private update(): void {
    this.space = spaceOf(this.space, this.freeBytes, this.reserves)
  }
}
