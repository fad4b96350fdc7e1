import type {
  ClusterId,
  ExtentRecord,
  ForcedPromotion,
  SessionId,
  StoreId,
  VolumeId,
  VolumeRange,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import type { StoredNode } from '../log/index.ts'

/** State of the map besides its records. */
export interface MapHead {
  readonly cluster?: ClusterId
  readonly clusterGeneration: number
  readonly voters: readonly Voter[]
  readonly lastVolume: number
  readonly revision: number
  /** Absent: 0. */
  readonly featureLevel?: number
  /** Absent: none. */
  readonly formerVoters?: readonly Voter[]
}

/** The whole map as rows in sections. Names of sections are part of the snapshot format. */
export type MapRow =
  | readonly ['head', MapHead]
  | readonly ['node', StoredNode]
  | readonly ['volume', VolumeRecord]
  | readonly ['extent', ExtentRecord]
  | readonly ['forced', ForcedPromotion]
  | readonly ['removed-volume', readonly [VolumeId, number]]
  /** Since feature level 1. `revision`: the highest of a tombstone in any range. */
  | readonly ['removed-range', VolumeRange & { readonly revision: number }]
  | readonly ['removed-node', readonly [StoreId, number]]
  | readonly ['gone', StoreId]
  | readonly ['successor', readonly [StoreId, StoreId]]
  | readonly ['copied', StoreId]
  | readonly ['past-sessions', readonly [VolumeId, readonly SessionId[]]]

export type MapSection = MapRow[0]

/** One section as it is now: values are copied at once, and rows are made later. */
export interface MapRows {
  readonly section: MapSection
  readonly values: readonly MapRow[1][]
}

export function rowsOf<Section extends MapSection>(
  section: Section,
  values: Iterable<Extract<MapRow, readonly [Section, unknown]>[1]>,
): MapRows {
  return { section, values: [...values] }
}
