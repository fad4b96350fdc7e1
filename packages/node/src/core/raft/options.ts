import { LIMITS, MIB, TIMERS } from '@ashlar/proto'

export interface RaftOptions {
  readonly heartbeatMs: number
  readonly electionMinMs: number
  readonly electionMaxMs: number
  /** A disk that does not answer its oldest request for this long hangs. */
  readonly diskSlowMs: number
  /** More proposals than this, or more bytes, are refused while nothing commits. */
  readonly uncommittedEntries: number
  readonly uncommittedBytes: number
  /** Bytes of entries in one message, but for a single larger one. */
  readonly messageBytes: number
  /** Messages with entries on their way to one follower. */
  readonly messagesInFlight: number
  /** A snapshot is taken after this many entries since the last one, whatever their size. */
  readonly snapshotEntries: number
  /**
   * It is also taken once those entries take this many bytes and at least the bytes of the last snapshot, so that this
   * rule writes no more bytes of snapshots than of entries.
   */
  readonly snapshotBytes: number
  /** Entries before the snapshot that stay in memory for followers that lag a little. */
  readonly trailingEntries: number
  /** Bytes of a snapshot in one message. */
  readonly snapshotPartBytes: number
  /** A learner becomes a voter only when it lacks at most this many committed entries. */
  readonly promotionLag: number
}

export const RAFT_DEFAULTS: RaftOptions = {
  heartbeatMs: TIMERS.heartbeatMs,
  electionMinMs: TIMERS.electionMinMs,
  electionMaxMs: TIMERS.electionMaxMs,
  diskSlowMs: TIMERS.logSlowMs,
  uncommittedEntries: LIMITS.uncommittedEntries,
  uncommittedBytes: LIMITS.uncommittedBytes,
  messageBytes: LIMITS.controlBytes / 2,
  messagesInFlight: 16,
  snapshotEntries: 8192,
  snapshotBytes: MIB,
  trailingEntries: 1024,
  snapshotPartBytes: LIMITS.controlBytes / 2,
  promotionLag: 64,
}
