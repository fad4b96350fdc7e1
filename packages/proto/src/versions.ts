/** Versions of what leaves the process. A peer with no common wire version is refused in the handshake. */
export const WIRE_VERSION = 3
/** Oldest wire version that this build still speaks. */
export const WIRE_VERSION_MIN = 2
/**
 * Feature level that this build knows (A2.21-1). A cluster is at the highest level that every node told that it knows; what
 * nodes of a lower level would not understand is used only from then on. A level never falls. FEATURES names what each brings
 * beside the formats: level 0 are builds that know no levels (wire version 2, data directories of format 1), level 1 has wire
 * version 3, data directories of format 2 and `raise-feature-level` in control's log.
 */
export const FEATURE_LEVEL = 1
/** The first feature level at which each of these is used. */
export const FEATURES = {
  /** Stores tell control of epochs that it forgot, and `raise-epochs` is in its log (amendment 35). */
  raisedEpochs: 1,
  /** A primary that is slow leaves the in-sync set by its release (amendment 18). */
  slowLeaves: 1,
  /** The release of a slow primary names the record that it speaks of, and one without effect moves that on (amendment 38). */
  namedReleases: 1,
  /** A primary that shrinks its set names the stores that hold everything (amendment 27). */
  completeStores: 1,
  /** Single sessions end, those that share a volume say that they are there, and the whole map bounds holders (amendment 31). */
  endedSessions: 1,
  /** Older tombstones are ranges of volume numbers (A2.18-4). */
  tombstoneRanges: 1,
} as const
/** Version of the data directory, written in `h/store` and in the sidecar file: 1 until the cluster is at feature level 1. */
export const FORMAT_VERSION = 2
