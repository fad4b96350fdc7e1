import type {
  ClusterId,
  ExtentId,
  ExtentRecord,
  ForcedPromotion,
  MapDelta,
  NodeRecord,
  StoreId,
  Tombstones,
  VolumeId,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import { invariant } from '@ashlar/proto'

/** The source of deltas: control's map or a copy of it. */
export interface DeltaSource {
  readonly cluster: ClusterId | undefined
  readonly clusterGeneration: number
  readonly revision: number
  readonly featureLevel: number
  readonly voters: readonly Voter[]
  readonly nodes: ReadonlyMap<StoreId, NodeRecord>
  readonly volumes: ReadonlyMap<VolumeId, VolumeRecord>
  readonly extents: ReadonlyMap<ExtentId, ExtentRecord>
  readonly forced: ReadonlyMap<ExtentId, ForcedPromotion>
  readonly removedVolumes: Tombstones
  /**
   * Stores that left the map, with the revision if it is still known. Those without one go into every delta, where a
   * repetition has no effect.
   */
  readonly removedNodes: ReadonlyMap<StoreId, number> | ReadonlySet<StoreId>
  /** Removed stores that some extent still names. */
  readonly gone: ReadonlySet<StoreId>
  /** Extents that changed after a revision, possibly repeated; undefined: unknown, so all must be scanned. */
  extentsChangedAfter?(revision: number): readonly ExtentId[] | undefined
}

/** One delta of everything that changed after revision `from`. */
export function cutDelta(source: DeltaSource, from: number): MapDelta {
  const { cluster } = source
  invariant(cluster !== undefined, 'a delta was requested of a map without a cluster')
  const forced = changedAfter(source.forced, from)
  const removedNodes = removedAfter(source.removedNodes, from)
  return {
    cluster,
    clusterGeneration: source.clusterGeneration,
    from,
    to: source.revision,
    voters: source.voters,
    nodes: changedAfter(source.nodes, from),
    volumes: changedAfter(source.volumes, from),
    extents: extentsAfter(source, from),
    ...source.removedVolumes.after(from),
    ...(forced.length === 0 ? {} : { forced }),
    ...(removedNodes.length === 0 ? {} : { removedNodes }),
    ...(source.gone.size === 0 ? {} : { gone: [...source.gone] }),
    ...(source.featureLevel === 0 ? {} : { featureLevel: source.featureLevel }),
  }
}

/** Ascending, as a map that only grows holds them. */
function extentsAfter(source: DeltaSource, from: number): ExtentRecord[] {
  const changed = source.extentsChangedAfter?.(from)
  if (changed === undefined) return changedAfter(source.extents, from)
  const records: ExtentRecord[] = []
  let last: ExtentId | undefined
  for (const id of Float64Array.from(changed).sort()) {
    const record = id === last ? undefined : source.extents.get(id as ExtentId)
    last = id as ExtentId
    // Extents of removed volumes are covered by the tombstone.
    if (record !== undefined) records.push(record)
  }
  return records
}

function changedAfter<K, R extends { readonly changedAt: number }>(records: ReadonlyMap<K, R>, from: number): R[] {
  const changed: R[] = []
  for (const record of records.values()) if (record.changedAt > from) changed.push(record)
  return changed
}

function removedAfter<Id>(removed: ReadonlyMap<Id, number> | ReadonlySet<Id>, from: number): Id[] {
  if (!(removed instanceof Map)) return [...removed.keys()]
  const after: Id[] = []
  for (const [id, revision] of removed) if (revision > from) after.push(id)
  return after
}
