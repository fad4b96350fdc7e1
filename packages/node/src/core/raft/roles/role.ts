import type { Millis, RaftMessage, StoreId } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { RaftLog } from '../log.ts'
import type { RaftOptions } from '../options.ts'
import type { Outgoing, RoleName } from '../types.ts'

/** What a role sees of the machine that it is a role of. */
export interface Core {
  readonly self: StoreId
  readonly options: RaftOptions
  readonly log: RaftLog
  readonly term: number
  /** This store lost what it may have acknowledged, and does not have it back yet: it gives no vote and leads nobody. */
  readonly recovering: boolean
  /** Term and vote, as they are now, are on stable storage. */
  readonly hardStateDurable: boolean
  /** The disk under the log does not answer: what this store would promise as leader or candidate it could not keep. */
  diskHangs(now: Millis): boolean
  /** The message leaves once everything that was changed before it is durable. */
  send(message: Outgoing): void
  /** The message leaves at the end of this step. For a leader, whose term is durable. */
  sendNow(message: Outgoing): void
  /** The store follows: `leader` if it is known. A higher term forgets the vote. */
  follow(ctx: Context, term: number, leader: StoreId | undefined): void
  /** Asks whether others would vote for this store; or asks for votes in the next term. */
  campaign(ctx: Context, how: { readonly pre: boolean; readonly transfer: boolean }): void
  /** Votes of a majority are there. */
  lead(ctx: Context): void
  /** Gives a message to the role that the store has by now. */
  redirect(ctx: Context, message: RaftMessage): void
}

/** Follower, candidate or leader. A role sees only messages of the current term. */
export interface Role {
  readonly name: RoleName
  readonly leader: StoreId | undefined
  /** This store has a leader that it heard of late, or leads: it helps nobody to become one. */
  hearsLeader(now: Millis): boolean
  onMessage(ctx: Context, message: RaftMessage): void
  /** `pauseMs`: how long this process stood still before this tick; timers of that time prove nothing. */
  onTick(ctx: Context, pauseMs: Millis): void
  /** Something became durable. */
  onPersisted(ctx: Context): void
}
