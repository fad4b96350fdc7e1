import type { Millis, RaftMessage, StoreId } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { RaftLog } from '../log.ts'
import type { RaftOptions } from '../options.ts'
import type { Outgoing, RoleName } from '../types.ts'

/** What a role uses of its machine. */
export interface Core {
  readonly self: StoreId
  readonly options: RaftOptions
  readonly log: RaftLog
  readonly term: number
  /** This store lost entries that it may have acknowledged: it neither votes nor leads. */
  readonly recovering: boolean
  /** Term and vote, as they are now, are on stable storage. */
  readonly hardStateDurable: boolean
  /** The disk of the log hangs: as leader or candidate this store could not make anything durable. */
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
  /** This store leads, or heard a leader of late: it does not vote for another. */
  hearsLeader(now: Millis): boolean
  onMessage(ctx: Context, message: RaftMessage): void
  /** `pauseMs`: length of a pause of this process before this tick, which extends timers. */
  onTick(ctx: Context, pauseMs: Millis): void
  /** Something became durable. */
  onPersisted(ctx: Context): void
}
