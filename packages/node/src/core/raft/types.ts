import type { RaftMessage, StoreId, Voter } from '@ashlar/proto'
import { LIMITS, MIB, TIMERS } from '@ashlar/proto'
import type { LogEntry } from '../control/commands.ts'
import type { Context } from '../machine.ts'

/** Term and vote: one record, written whole, because a crash between two writes would let a store vote twice in a term. */
export interface HardState {
  readonly term: number
  readonly vote: StoreId | undefined
  /**
   * The log was lost, or damaged, after this store had a part in it: it may have voted and acknowledged what it does not know
   * any more. Until it has all of that again it gives no vote and leads nobody.
   */
  readonly recovering?: true
}

/** Who takes part. Voters decide; learners receive the log and never campaign. */
export interface Members {
  readonly voters: readonly Voter[]
  readonly learners: readonly Voter[]
}

/** The state machine after entry `index`, and who took part then. `state` is known to the state machine alone. */
export interface Snapshot {
  readonly index: number
  readonly term: number
  readonly members: Members
  readonly state: Uint8Array
}

/**
 * One request to stable storage. Requests are carried out in their order, and the parts of one in the order in which they
 * stand here: each is durable before the next begins. Completion: all of it, and every request before it, is durable.
 */
export interface PersistRequest {
  /** 1, 2, 3, … */
  readonly token: number
  readonly hardState?: HardState
  /** Replaces the snapshot. What the log holds up to its index may be dropped from then on. */
  readonly snapshot?: Snapshot
  /**
   * Entries from index `from` on are dropped, and these take their place. `restart`: those before `from` go as well, since
   * the snapshot is of another history. A crash before that leaves entries whose term at the snapshot's index is not the
   * snapshot's, or that end before it: opening drops all of them.
   */
  readonly append?: { readonly from: number; readonly entries: readonly LogEntry[]; readonly restart: boolean }
}

/** What the machine does to the world. Called only from `endStep`; completions come back through the machine's inputs. */
export interface RaftPorts {
  /** May lose, delay, repeat and reorder. */
  send(ctx: Context, message: RaftMessage): void
  /** Completion: `onPersisted` with the token. Never one without: a disk that fails ends the process. */
  persist(ctx: Context, request: PersistRequest): void
}

/**
 * The state machine's side of snapshots. Without it the log grows for ever, and nobody installs one. Both ways go slice by
 * slice, one slice a tick, because a large state takes longer to encode than an event loop may be held up.
 */
export interface SnapshotPort {
  /** The state after the last entry that was handed over; what is handed over later does not change it. */
  take(): SnapshotWriter
  /** Replaces the state by that of a snapshot, which is durable here. Entries that follow it come once all of it is read. */
  restore(state: Uint8Array): SnapshotReader
}

export interface SnapshotWriter {
  /** The next slice of the state; `last`: the state is whole with it. Not called again after the last one. */
  next(): { readonly bytes: Uint8Array; readonly last: boolean }
}

export interface SnapshotReader {
  /** Reads the next slice. True: that was the last one, and the state is in its place. */
  next(): boolean
}

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
  /** or when they take this many bytes, and no less than the last snapshot: so that more is never written than twice the log. */
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

/** What the log of a store held at start. */
export interface RaftStart {
  readonly self: StoreId
  /** Undefined: this store never voted, nor heard of a term later than that of its last entry. */
  readonly hardState: HardState | undefined
  readonly snapshot: Snapshot | undefined
  /** Entries that follow the snapshot, or that start at 1, without a gap. All durable. */
  readonly entries: readonly LogEntry[]
  readonly options?: Partial<RaftOptions>
  readonly snapshots?: SnapshotPort
}

export type RoleName = 'follower' | 'candidate' | 'leader'

/** A message before the machine says from whom it is and in which term. */
export type Outgoing = RaftMessage extends infer M ? (M extends RaftMessage ? Omit<M, 'from' | 'term'> : never) : never
