import type { StoreId } from '@ashlar/proto'
import type { LogEntry, Members } from '../control/log/log-entry.ts'

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
