import type { StoreId } from '@ashlar/proto'
import type { LogEntry, Members } from '../control/log/log-entry.ts'

/**
 * Term and vote: one record, written whole, because a crash between two writes would let a store vote twice in a term.
 */
export interface HardState {
  readonly term: number
  readonly vote: StoreId | undefined
  /**
   * The log was lost or damaged, so the store may have voted or acknowledged entries that it no longer has. Until it
   * has them again it neither votes nor leads.
   */
  readonly recovering?: true
}

/** The state machine after entry `index`, with the members then. Only the state machine can read `state`. */
export interface Snapshot {
  readonly index: number
  readonly term: number
  readonly members: Members
  readonly state: Uint8Array
}

/**
 * One request to stable storage. Requests, and the parts of each in the order below, are executed in order: each is
 * durable before the next begins. Completion: the request and all earlier ones are durable.
 */
export interface PersistRequest {
  /** 1, 2, 3, … */
  readonly token: number
  readonly hardState?: HardState
  /** Replaces the snapshot. Entries up to its index may then be dropped. */
  readonly snapshot?: Snapshot
  /**
   * Replaces the entries from index `from` on. `restart`: earlier ones are dropped as well, since the snapshot is of
   * another log. A crash before that leaves entries that end before the snapshot or have another term at its index:
   * opening drops them.
   */
  readonly append?: { readonly from: number; readonly entries: readonly LogEntry[]; readonly restart: boolean }
}
