import { invariant } from './errors.ts'
import {
  type ClusterId,
  type Epoch,
  type ExtentId,
  extentId,
  extentIndexOf,
  type StoreId,
  type VolumeId,
  volumeOf,
} from './ids.ts'
import { LIMITS } from './limits.ts'
import type { ExtentRecord, ForcedPromotion, MapDelta, NodeRecord, VolumeRecord, Voter } from './map.ts'
import { Tombstones } from './tombstones.ts'

/** What one delta changed. */
export interface MapChange {
  readonly extents: readonly ExtentId[]
  readonly removedExtents: readonly ExtentId[]
  readonly volumes: readonly VolumeId[]
  readonly removedVolumes: readonly VolumeId[]
  readonly nodes: readonly StoreId[]
}

/**
 * A learned copy of the map: nodes and clients keep one and bring it up to date with deltas. Its revision only rises;
 * a delta that is older than the copy, or starts after it, changes nothing.
 */
export class MapCopy {
  cluster: ClusterId | undefined
  clusterGeneration = 0
  /** Feature level of the cluster (amendment 24): 0 until the map has more. Never falls. */
  featureLevel = 0
  revision = 0
  voters: readonly Voter[] = []
  readonly nodes: Map<StoreId, NodeRecord> = new Map()
  readonly volumes: Map<VolumeId, VolumeRecord> = new Map()
  readonly extents: Map<ExtentId, ExtentRecord> = new Map()
  /** The latest forced promotion of each extent. */
  readonly forced: Map<ExtentId, ForcedPromotion> = new Map()
  /** Stores that left the map, as far as this copy has learned. */
  readonly removedNodes: Set<StoreId> = new Set()
  /** Stores that an operator declared lost and that some extent still names. */
  gone: ReadonlySet<StoreId> = new Set()
  /** Volumes that existed and do not any more. */
  readonly removedVolumes: Tombstones = new Tombstones()

  /**
   * Applies a delta and returns what changed. Undefined: the delta is out of date, or `gap(delta)` is true and the copy
   * has to request what lies between.
   */
  apply(delta: MapDelta): MapChange | undefined {
    if (delta.to <= this.revision || this.gap(delta)) return undefined
    invariant(this.cluster === undefined || this.cluster === delta.cluster, 'a map of another cluster reached the copy')
    this.cluster = delta.cluster
    this.clusterGeneration = delta.clusterGeneration
    this.voters = delta.voters
    this.featureLevel = Math.max(this.featureLevel, delta.featureLevel ?? 0)
    for (const store of delta.removedNodes ?? []) {
      this.removedNodes.add(store)
      this.nodes.delete(store)
    }
    for (const oldest of this.removedNodes) {
      if (this.removedNodes.size <= LIMITS.nodes) break
      this.removedNodes.delete(oldest)
    }
    for (const node of delta.nodes) {
      this.nodes.set(node.store, node)
      this.removedNodes.delete(node.store)
    }
    this.gone = new Set(delta.gone ?? [])
    for (const volume of delta.volumes) this.volumes.set(volume.id, volume)
    for (const extent of delta.extents) this.extents.set(extent.id, extent)
    for (const forced of delta.forced ?? []) this.forced.set(forced.extent, forced)
    const removedVolumes = this.bury(delta)
    const removedExtents = removedVolumes.flatMap((volume) => this.extentsOf(volume).map((extent) => extent.id))
    for (const volume of removedVolumes) this.volumes.delete(volume)
    for (const id of removedExtents) {
      this.extents.delete(id)
      this.forced.delete(id)
    }
    this.revision = delta.to
    return {
      extents: delta.extents.map((extent) => extent.id),
      removedExtents,
      volumes: delta.volumes.map((volume) => volume.id),
      removedVolumes,
      nodes: delta.nodes.map((node) => node.store),
    }
  }

  /** Adds tombstones. Returns the latest that are new, and all others that this copy had a record of. */
  private bury({ removedVolumes, removedRanges = [], to }: MapDelta): VolumeId[] {
    const fresh = removedVolumes.filter((volume) => !this.removedVolumes.has(volume))
    for (const volume of fresh) this.removedVolumes.add(volume, to)
    this.removedVolumes.addRanges(removedRanges, to)
    this.removedVolumes.compact()
    if (removedRanges.length === 0) return fresh
    const known = [...this.volumes.keys()].filter(
      (volume) => this.removedVolumes.has(volume) && !fresh.includes(volume),
    )
    return [...fresh, ...known]
  }

  /** True when changes between this copy and the delta are missing. */
  gap(delta: MapDelta): boolean {
    return delta.from > this.revision
  }

  /** Extents of one volume in ascending order. */
  extentsOf(volume: VolumeId): ExtentRecord[] {
    const records: ExtentRecord[] = []
    for (let index = 0; ; index++) {
      const record = this.extents.get(extentId(volume, index))
      if (record === undefined) return records
      records.push(record)
    }
  }

  volumeNamed(name: string): VolumeRecord | undefined {
    for (const volume of this.volumes.values()) if (volume.name === name) return volume
    return undefined
  }

  /** The volume of an extent and the extent's number in it. */
  locate(extent: ExtentId): { volume: VolumeRecord; index: number } | undefined {
    const volume = this.volumes.get(volumeOf(extent))
    return volume === undefined ? undefined : { volume, index: extentIndexOf(extent) }
  }

  /**
   * The epoch in which the latest timeline of this extent began, by a forced promotion; 0 when there was none (A2.10).
   */
  historyEpochOf(extent: ExtentId): Epoch {
    return this.forced.get(extent)?.epoch ?? (0 as Epoch)
  }
}
