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

/** What deltas are cut from: the map of control, or a learned copy of it. */
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
   * Stores that left the map: with the revision of that, or without where it is not known any more. The second kind goes into
   * every delta: to hear of it again changes nothing.
   */
  readonly removedNodes: ReadonlyMap<StoreId, number> | ReadonlySet<StoreId>
  /** Stores that a person declared lost for good and that some extent still names. */
  readonly gone: ReadonlySet<StoreId>
  /** Extents that changed after a revision, some of them more than once; undefined: look through all. */
  extentsChangedAfter?(revision: number): readonly ExtentId[] | undefined
}

/** Everything that changed in `source` after revision `from`, as one delta. */
export function cutDelta(source: DeltaSource, from: number): MapDelta {
  const { cluster } = source
  invariant(cluster !== undefined, 'a delta was asked of a map that was never founded')
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
    // One that was removed since is told by its volume's tombstone.
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
