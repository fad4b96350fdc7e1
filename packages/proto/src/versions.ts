/** Version of messages. A peer with no common wire version is refused in the handshake. */
export const WIRE_VERSION = 3
/** Oldest wire version that this build still speaks. */
export const WIRE_VERSION_MIN = 2
/**
 * Feature level of this build (A2.21-1). The level of a cluster is the highest that every node reports; features of a
 * level are used only after the cluster has reached it. A level never falls. Level 0 is a build without levels: wire
 * version 2, data directories of format 1. Level 1 has wire version 3, data directories of format 2,
 * `raise-feature-level` in control's log, and what FEATURES lists.
 */
export const FEATURE_LEVEL = 1
/** The first feature level at which each of these is used. */
export const FEATURES = {
  /** Stores report epochs that control lost, and its log has `raise-epochs` (amendment 35). */
  raisedEpochs: 1,
  /** A slow primary leaves the in-sync set with its release (amendment 18). */
  slowLeaves: 1,
  /**
   * The release of a slow primary names a revision of the record, and raises it if it has no other effect (amendment
   * 38).
   */
  namedReleases: 1,
  /** A primary that shrinks the in-sync set names the stores that hold every acknowledged write (amendment 27). */
  completeStores: 1,
  /**
   * Control ends single sessions, shared sessions renew their attachment, and the map bounds all holders (amendment
   * 31).
   */
  endedSessions: 1,
  /** An attach has a policy, and holders have an owner and the time of their attach (A2.11-11). */
  attachPolicies: 1,
  /** A store that was compared says so with its renewals, and `clear-suspicion` is in control's log (A2.17-4). */
  clearedStores: 1,
  /** A node reports why it ends, and control's log has `note-ending` (A2.23). */
  reportedEnds: 1,
  /** The map names the voters from before `cluster recover`, which vote again by themselves (A2.18-7). */
  formerVoters: 1,
  /** Older tombstones are ranges of volume numbers (A2.18-4). */
  tombstoneRanges: 1,
} as const
/**
 * Version of the data directory, written in `h/store` and in the sidecar file: 1 until the cluster is at feature level
 * 1.
 */
export const FORMAT_VERSION = 2
