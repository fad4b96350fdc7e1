import type { StoreId, Voter } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { Command, LogEntry, Members } from './log-entry.ts'

/** Names one proposal of this process. */
export type ProposalId = number
/** Names one read-index round of this process. */
export type ReadId = number

/** One change of members: each differs from the members before by one voter at most, so that any two majorities meet. */
export type MembersChange =
  | { readonly do: 'add-learner'; readonly member: Voter }
  | { readonly do: 'promote'; readonly store: StoreId }
  | { readonly do: 'remove'; readonly store: StoreId }

/**
 * The replicated log of control, as its leader uses it. Implementations: `RaftMachine`; `SoloLog`, of one voter for ever; the
 * port leaves room for an existing engine. Nothing is ever called back from within `propose` or `readIndex`: callbacks come from
 * `endStep` and from the inputs that belong to the log.
 */
export interface ControlLog {
  /** True while this store may propose and begin read-index rounds. */
  readonly leads: boolean
  /** Proposes a command. Undefined: this store does not lead; nothing was proposed. */
  propose(ctx: Context, command: Command): ProposalId | undefined
  /**
   * Begins a read-index round: an answer proves that this store still led after the round began, and comes only when every
   * entry that was committed by then has been handed over (amendment 3). Undefined: this store does not lead.
   */
  readIndex(ctx: Context): ReadId | undefined
  /** Who takes part by the newest entry that says so. */
  readonly members: Members
  /** Who leads, as far as this store knows. */
  readonly leader: StoreId | undefined
  /** Leadership is on its way to another voter: nothing is proposed meanwhile, for an election timeout at most. */
  readonly transferring: boolean
  /** Changes the members by one. `refused`: why nothing was proposed, as a clause. */
  changeMembers(ctx: Context, change: MembersChange): { readonly proposal: ProposalId } | { readonly refused: string }
  /** Begins to hand leadership to another voter. Why it cannot be done, or undefined. */
  transferLeadership(ctx: Context, to: StoreId): string | undefined
  /** Called at the end of each step of the node. */
  endStep(ctx: Context): void
}

/** What a control log calls back. Entries come in order, each once, and only when they are durable where they must be. */
export interface ControlLogListener {
  /** An entry is committed. `proposal`: this process proposed it and is owed an answer. */
  onCommitted(ctx: Context, entry: LogEntry, proposal: ProposalId | undefined): void
  /** False: the listener has taken enough, and entries that are committed wait for a later step. Absent: it always takes more. */
  hasRoom?(): boolean
  /** The proposal will not be answered: leadership was lost before it was committed. It may still take effect. */
  onProposalLost(ctx: Context, proposal: ProposalId): void
  /** `confirmed` false: leadership was lost before the round was over. */
  onReadIndex(ctx: Context, read: ReadId, confirmed: boolean): void
  /** This store became leader, with every earlier entry handed over, or is leader no more. */
  onLeadership(ctx: Context, leads: boolean): void
}
