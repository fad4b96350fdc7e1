/**
 * The vocabulary of Ashlar: ids, units, geometry, limits, errors, the map and the messages. Pure; the codec is apart.
 */
export {
  type Address,
  formatAddress,
  isDialable,
  isLoopback,
  isWildcard,
  parseAddress,
  readAddress,
} from './addresses.ts'
export { counted, times } from './counted.ts'
export {
  AshlarError,
  type AshlarErrorOptions,
  ERRORS,
  type ErrorCode,
  errorCodeOf,
  InvariantError,
  invariant,
  type RetryClass,
} from './errors.ts'
export {
  type BlockPart,
  defaultExtentSizeBytes,
  extentCount,
  extentLengthBytes,
  type Geometry,
  geometryProblem,
  type Piece,
  splitBlocks,
  splitRange,
} from './geometry.ts'
export {
  type ClusterId,
  clusterGenerationOf,
  type Epoch,
  type ExtentId,
  epochOf,
  extentId,
  extentIndexOf,
  isName,
  isUuid,
  MAX_EXTENTS_PER_VOLUME,
  MAX_VOLUME_ID,
  NAME_PATTERN,
  NAME_RULE,
  type NodeName,
  type Seq,
  type SessionId,
  type StoreId,
  uuidOfHex,
  type VolumeId,
  volumeOf,
} from './ids.ts'
export { CLOCK_DRIFT, LIMITS, leaseExpiryMs, TIMERS } from './limits.ts'
export {
  formatListenAddress,
  isLocal,
  type ListenAddress,
  nbdUri,
  parseListenAddress,
} from './listen-address.ts'
export {
  ABSENT_VERSION,
  type AttachMode,
  type AttachPolicy,
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_TRIM,
  BLOCK_ZERO,
  type BlockKind,
  type BlockVersion,
  countsIn,
  defaultMinInSync,
  type ExtentRecord,
  type ForcedPromotion,
  type Holder,
  holderText,
  type Incarnation,
  isHigher,
  isMissing,
  type MapDelta,
  NO_INCARNATION,
  type NodeRecord,
  type NodeState,
  type PrimaryRef,
  sameVersion,
  type Trust,
  type VolumeRecord,
  type Voter,
} from './map.ts'
export { type MapChange, MapCopy } from './map-copy.ts'
export type * from './messages/index.ts'
export { isRaftMessage, isUrgent, MESSAGE_KINDS, URGENT_LANE_WIRE } from './messages/index.ts'
export { secondOf } from './moments.ts'
export { type NewVolume, newVolume, newVolumeProblem, type VolumeRequest } from './new-volume.ts'
export { NODE_ENDS, type NodeEnd, type NodeEndKind, nodeEndKindOf } from './node-ends.ts'
export { RedialPause } from './redial-pause.ts'
export { isAtLeast, type SpaceReport, STORE_SPACES, type StoreSpace } from './store-space.ts'
export { type RemovedVolumes, Tombstones, type VolumeRange } from './tombstones.ts'
export { type BlockIndex, type Bytes, GIB, isPowerOfTwo, KIB, MIB, type Millis, TIB } from './units.ts'
export { FEATURE_LEVEL, FEATURES, FORMAT_VERSION, WIRE_VERSION, WIRE_VERSION_MIN } from './versions.ts'
