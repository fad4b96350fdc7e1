import type { RaftMessage, StoreId } from '@ashlar/proto'
import type { LogEntry, SnapshotPort } from '../control/log/index.ts'
import type { Context } from '../machine.ts'
import type { RaftOptions } from './options.ts'
import type { HardState, PersistRequest, Snapshot } from './stored.ts'

/**
 * What the machine does to the world. Called only from `endStep`; completions come back through the machine's inputs.
 */
export interface RaftPorts {
  /** May lose, delay, repeat and reorder. */
  send(ctx: Context, message: RaftMessage): void
  /** Completion: `onPersisted` with the token. Never one without: a disk that fails ends the process. */
  persist(ctx: Context, request: PersistRequest): void
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
