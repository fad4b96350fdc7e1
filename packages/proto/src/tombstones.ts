import type { VolumeId } from './ids.ts'
import { LIMITS } from './limits.ts'

/** Numbers of volumes, the first and the last included. */
export interface VolumeRange {
  readonly first: VolumeId
  readonly last: VolumeId
}

/** The removed volumes of a delta. */
export interface RemovedVolumes {
  readonly removedVolumes: readonly VolumeId[]
  /** Older ones; absent when there are none. */
  readonly removedRanges?: readonly VolumeRange[]
}

/** Tombstones that one call of `compact` moves, so that no removal takes long. */
const MOVED_AT_ONCE = 4096

/**
 * Tombstones of removed volumes. The map keeps them permanently: a store that comes back after years deletes a replica
 * only by its tombstone (A2.18-2). The latest ones are kept one by one, with the revision at which they were learned,
 * so that a delta holds only new ones. Older ones are ranges of volume numbers: numbers are consecutive and never used
 * again, so two ranges are separated by an existing volume or by one of the latest. The count of ranges is bounded by
 * the volumes that exist (A2.18-4).
 */
export class Tombstones {
  /** In the order of their removal. */
  private readonly latestRevisions = new Map<VolumeId, number>()
  /** Ascending; no two touch. */
  private olderRanges: VolumeRange[] = []
  /** The highest revision of a tombstone among the ranges. */
  private rangesRevision = 0

  /** How many there are. */
  get size(): number {
    return this.latestRevisions.size + this.olderRanges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  }

  /** The latest, with the revision of each. */
  get latest(): ReadonlyMap<VolumeId, number> {
    return this.latestRevisions
  }

  get ranges(): readonly VolumeRange[] {
    return this.olderRanges
  }

  has(volume: VolumeId): boolean {
    return this.latestRevisions.has(volume) || this.inRange(volume)
  }

  /** `revision`: of the removal, or at which a copy of the map learned of it. */
  add(volume: VolumeId, revision: number): void {
    if (!this.has(volume)) this.latestRevisions.set(volume, revision)
  }

  /** Takes ranges of another map, or of a snapshot. */
  addRanges(ranges: readonly VolumeRange[], revision: number): void {
    if (ranges.length === 0) return
    for (const range of ranges) this.join(range)
    this.rangesRevision = Math.max(this.rangesRevision, revision)
    for (const volume of this.latestRevisions.keys()) if (this.inRange(volume)) this.latestRevisions.delete(volume)
  }

  /** Makes ranges of all but the latest LIMITS.tombstones, or of as many as one call moves. */
  compact(): void {
    let left = Math.min(MOVED_AT_ONCE, this.latestRevisions.size - LIMITS.tombstones)
    for (const [volume, revision] of this.latestRevisions) {
      if (left-- <= 0) return
      this.latestRevisions.delete(volume)
      this.join({ first: volume, last: volume })
      this.rangesRevision = Math.max(this.rangesRevision, revision)
    }
  }

  /** Tombstones that a copy of the map at `revision` may lack. A tombstone that it has already changes nothing. */
  after(revision: number): RemovedVolumes {
    const removedVolumes: VolumeId[] = []
    for (const [volume, removedAt] of this.latestRevisions) if (removedAt > revision) removedVolumes.push(volume)
    const ranges = this.rangesRevision > revision && this.olderRanges.length > 0
    return { removedVolumes, ...(ranges ? { removedRanges: [...this.olderRanges] } : {}) }
  }

  /** The ranges as a snapshot keeps them. */
  rows(): (VolumeRange & { readonly revision: number })[] {
    return this.olderRanges.map((range) => ({ ...range, revision: this.rangesRevision }))
  }

  /** Everything that it holds, for comparison. */
  *[Symbol.iterator](): Iterator<readonly [VolumeId, number] | VolumeRange> {
    yield* this.latestRevisions
    yield* this.rows()
  }

  /** All of them, ascending. */
  *keys(): Iterable<VolumeId> {
    const all = [...this.latestRevisions.keys()]
    for (const { first, last } of this.olderRanges)
      for (let volume: number = first; volume <= last; volume++) all.push(volume as VolumeId)
    yield* all.sort((a, b) => a - b)
  }

  private inRange(volume: VolumeId): boolean {
    const range = this.olderRanges[this.place(volume)]
    return range !== undefined && range.first <= volume
  }

  /** Place of the first range that ends at this volume or behind it. */
  private place(volume: number): number {
    let [low, high] = [0, this.olderRanges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.olderRanges[middle] as VolumeRange).last < volume) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Adds a range, and makes one of all that it meets or touches. */
  private join(range: VolumeRange): void {
    const from = this.place(range.first - 1)
    let { first, last } = range
    let to = from
    for (let met = this.olderRanges[to]; met !== undefined && met.first <= last + 1; met = this.olderRanges[++to]) {
      if (met.first < first) first = met.first
      if (met.last > last) last = met.last
    }
    this.olderRanges.splice(from, to - from, { first, last })
  }
}
