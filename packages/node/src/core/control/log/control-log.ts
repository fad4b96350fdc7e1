import type { StoreId, Voter } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { Command, LogEntry, Members } from './log-entry.ts'

/** Identifies a proposal of this process. */
export type ProposalId = number
/** Identifies a read-index round of this process. */
export type ReadId = number

/** A change of members, by one voter at most, so that old and new majorities overlap. */
export type MembersChange =
  | { readonly do: 'add-learner'; readonly member: Voter }
  | { readonly do: 'promote'; readonly store: StoreId }
  | { readonly do: 'remove'; readonly store: StoreId }

/**
 * The replicated log of control, as its leader uses it. `RaftMachine` implements it, and models a `LocalControlLog`.
 * Callbacks come from `endStep` and from inputs of the log, never from `propose` or `readIndex`.
 */
export interface ControlLog {
  /** True while this store may propose and begin read-index rounds. */
  readonly leads: boolean
  /** Proposes a command. Undefined: this store does not lead, and nothing was proposed. */
  propose(ctx: Context, command: Command): ProposalId | undefined
  /**
   * Begins a read-index round. Its confirmation proves that this store still led after the round began, and follows the
   * delivery of every entry that was committed by then (amendment 3). Undefined: this store does not lead.
   */
  readIndex(ctx: Context): ReadId | undefined
  /** Members by the newest entry that changed them. */
  readonly members: Members
  /** The leader known to this store. */
  readonly leader: StoreId | undefined
  /** Leadership is being transferred: nothing is proposed meanwhile, for an election timeout at most. */
  readonly transferring: boolean
  /** Proposes a change of members. `refused`: why nothing was proposed, as a clause. */
  changeMembers(ctx: Context, change: MembersChange): { readonly proposal: ProposalId } | { readonly refused: string }
  /** Begins to transfer leadership. Returns why it cannot, or undefined. */
  transferLeadership(ctx: Context, to: StoreId): string | undefined
  /** Called at the end of each step of the node. */
  endStep(ctx: Context): void
}

/** A log of a single voter without elections, which models of a cluster put in the place of raft. */
export interface LocalControlLog extends ControlLog {
  /** Delivers the stored entries and begins to lead. Called once. */
  start(ctx: Context): void
  /** This entry and all earlier ones are on stable storage. */
  onAppended(ctx: Context, index: number): void
}

/** `entries`: the log of this store at start, from index 1 without a gap. */
export type MakeLocalLog = (entries: readonly LogEntry[], listener: ControlLogListener) => LocalControlLog

/** Callbacks of a control log. Entries come in order, each once, and only when they are committed. */
export interface ControlLogListener {
  /** An entry is committed. `proposal`: set if this process proposed it. */
  onCommitted(ctx: Context, entry: LogEntry, proposal: ProposalId | undefined): void
  /** False: committed entries wait for a later step. Absent: always true. */
  hasRoom?(): boolean
  /** Leadership was lost before the proposal was committed. It may still take effect. */
  onProposalLost(ctx: Context, proposal: ProposalId): void
  /** `confirmed` false: leadership was lost during the round. */
  onReadIndex(ctx: Context, read: ReadId, confirmed: boolean): void
  /** This store became leader, with every earlier entry delivered, or lost leadership. */
  onLeadership(ctx: Context, leads: boolean): void
}
