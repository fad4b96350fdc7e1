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
  /** A snapshot is taken when this many entries were handed over since the last one, */
  readonly snapshotEntries: number
  /**
   * or when they take this many bytes, and no less than the last snapshot: so that more is never written than twice the
   * log.
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
