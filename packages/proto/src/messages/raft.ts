import type { StoreId } from '../ids.ts'
import type { Voter } from '../map.ts'

/**
 * Traffic between the voters and learners of control's log. Each message names both ends, because a voter is a store and
 * not an address: what was meant for another store is dropped. `term` is the sender's.
 */
interface Between {
  readonly from: StoreId
  readonly to: StoreId
  readonly term: number
}

/** One entry as it travels. What a command says is known to control alone; here it is plain data. */
export interface WireEntry {
  /** 1, 2, 3, … */
  readonly index: number
  readonly term: number
  readonly command: { readonly do: string }
}

/** candidate -> voter. Pre-vote: would you vote for me in the next term? Nothing is promised by the answer. */
export interface AskVote extends Between {
  readonly type: 'ask-vote'
  readonly pre: boolean
  readonly lastIndex: number
  readonly lastTerm: number
  /** The leader itself told this candidate to ask: voters that hear a leader answer all the same. */
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
  /** Read-index round of the leader; the answer echoes it. */
  readonly round: number
}
/** follower -> leader. */
export interface Appended extends Between {
  readonly type: 'appended'
  readonly round: number
  /** The logs agree up to `match`, and that much is on the follower's stable storage. */
  readonly accepted: boolean
  /** Accepted: highest index on stable storage that agrees with the leader's log. Refused: the `prevIndex` of the question. */
  readonly match: number
  /** Refused: a place at or before which the logs may agree, with its term in the follower's log. 0 when accepted. */
  readonly hintIndex: number
  readonly hintTerm: number
}

/** leader -> follower whose next entry is in the leader's log no more: a part of the state at `index`. */
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
/** follower -> leader: every part up to this offset has arrived. The end of it all is an `appended`. */
export interface SnapshotReceived extends Between {
  readonly type: 'snapshot-received'
  readonly round: number
  readonly index: number
  readonly offset: number
}

/** leader -> voter that has every entry: ask for votes now, and lead in my place. */
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
