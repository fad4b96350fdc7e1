import type { Millis, StoreId } from '@ashlar/proto'
import type { Members } from '../control/log/index.ts'
import type { RoleName } from './types.ts'

/** What a leader knows of one follower, for people. */
export interface FollowerView {
  readonly store: StoreId
  readonly match: number
  readonly state: 'probe' | 'replicate' | 'snapshot'
  readonly heardMsAgo: Millis
}

/** How this store takes part in control's log, for people. */
export interface RaftView {
  readonly role: RoleName
  /** It lost its log, or part of it: it follows, and gives no vote, until it has all of it again. */
  readonly recovering: boolean
  readonly term: number
  readonly leader: StoreId | undefined
  readonly lastIndex: number
  readonly commit: number
  readonly applied: number
  readonly snapshotIndex: number
  readonly members: Members
  /** How long its disk has worked on the oldest request of the log; 0 without one. */
  readonly diskWaitedMs: Millis
  /** Empty unless this store leads. */
  readonly followers: readonly FollowerView[]
}
