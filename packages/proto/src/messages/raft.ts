import type { StoreId } from '../ids.ts'
import type { Voter } from '../map.ts'

/**
 * Traffic between the voters and learners of control's log. Each message names both ends, because a voter is a store
 * and not an address: a message for another store is dropped. `term` is the sender's.
 */
interface Between {
  readonly from: StoreId
  readonly to: StoreId
  readonly term: number
}

/** One entry on the wire. Only control interprets the command; here it is plain data. */
export interface WireEntry {
  /** 1, 2, 3, … */
  readonly index: number
  readonly term: number
  readonly command: { readonly do: string }
}

/**
 * candidate -> voter: requests a vote. Pre-vote: whether the voter would grant it; the response binds it to nothing.
 */
export interface AskVote extends Between {
  readonly type: 'ask-vote'
  readonly pre: boolean
  readonly lastIndex: number
  readonly lastTerm: number
  /** The leader requested this election: voters that receive from a leader respond too. */
  readonly transfer: boolean
}
/** voter -> candidate, once the vote is on stable storage. */
export interface Vote extends Between {
  readonly type: 'vote'
  readonly pre: boolean
  readonly granted: boolean
}

/** leader -> follower: entries that follow the one at `prevIndex`; without entries, a heartbeat. */
export interface AppendEntries extends Between {
  readonly type: 'append-entries'
  readonly prevIndex: number
  readonly prevTerm: number
  readonly entries: readonly WireEntry[]
  /** Highest index that the leader knows to be committed. */
  readonly commit: number
  /** Read-index round of the leader; the response echoes it. */
  readonly round: number
}
/** follower -> leader. */
export interface Appended extends Between {
  readonly type: 'appended'
  readonly round: number
  /** The logs agree up to `match`, and that much is on the follower's stable storage. */
  readonly accepted: boolean
  /**
   * Accepted: highest index on stable storage that agrees with the leader's log. Refused: the `prevIndex` of the
   * request.
   */
  readonly match: number
  /** Refused: an index at or before which the logs may agree, with its term in the follower's log. 0 when accepted. */
  readonly hintIndex: number
  readonly hintTerm: number
}

/** leader -> follower whose next entry the leader has compacted: a part of the state at `index`. */
export interface InstallSnapshot extends Between {
  readonly type: 'install-snapshot'
  readonly round: number
  readonly index: number
  readonly indexTerm: number
  readonly voters: readonly Voter[]
  readonly learners: readonly Voter[]
  readonly offset: number
  readonly totalBytes: number
  readonly bytes: Uint8Array
}
/** follower -> leader: every part up to this offset has arrived. The response to the last part is `appended`. */
export interface SnapshotReceived extends Between {
  readonly type: 'snapshot-received'
  readonly round: number
  readonly index: number
  readonly offset: number
}

/** leader -> voter that has every entry: starts an election at once, to transfer the leadership. */
export interface LeadNow extends Between {
  readonly type: 'lead-now'
}

export type RaftMessage = AskVote | Vote | AppendEntries | Appended | InstallSnapshot | SnapshotReceived | LeadNow

const RAFT_MESSAGES = {
  'ask-vote': true,
  vote: true,
  'append-entries': true,
  appended: true,
  'install-snapshot': true,
  'snapshot-received': true,
  'lead-now': true,
} as const satisfies Record<RaftMessage['type'], true>

export function isRaftMessage(message: { readonly type: string }): message is RaftMessage {
  return Object.hasOwn(RAFT_MESSAGES, message.type)
}
