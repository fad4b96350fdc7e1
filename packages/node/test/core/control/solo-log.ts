import type { StoreId } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type {
  Command,
  ControlLogListener,
  LocalControlLog,
  LogEntry,
  Members,
  ProposalId,
  ReadId,
} from '../../../src/core/control/index.ts'
import type { Context } from '../../../src/core/machine.ts'

const SOLO_TERM = 1

/**
 * A control log with one voter and without elections, for tests of the code above the log: an entry is committed once it
 * is on this store's stable storage, and not before (as in etcd issue 14370). The only voter always leads, so that a
 * read-index round needs no other store.
 */
export class SoloLog implements LocalControlLog {
  private readonly listener: ControlLogListener
  /** Entries that are not durable yet, in order, with their proposals. */
  private readonly pending: { readonly entry: LogEntry; readonly proposal: ProposalId }[] = []
  private readonly stored: readonly LogEntry[]
  private lastIndex: number
  private started = false
  private lastProposal = 0
  private lastRead = 0
  private firstUnansweredRead = 1

  /** `entries`: the log of this store at start, from index 1 without a gap. All are durable, so committed. */
  constructor(entries: readonly LogEntry[], listener: ControlLogListener) {
    for (const [at, entry] of entries.entries())
      invariant(entry.index === at + 1, `the control log has entry ${entry.index} at position ${at + 1}`)
    this.stored = entries
    this.lastIndex = entries.length
    this.listener = listener
  }

  get leads(): boolean {
    return this.started
  }

  /** Delivers the stored entries and begins to lead. Called once. */
  start(ctx: Context): void {
    invariant(!this.started, 'the control log was started twice')
    for (const entry of this.stored) this.listener.onCommitted(ctx, entry, undefined)
    this.started = true
    this.listener.onLeadership(ctx, true)
  }

  propose(ctx: Context, command: Command): ProposalId | undefined {
    if (!this.started) return undefined
    const entry: LogEntry = { index: ++this.lastIndex, term: SOLO_TERM, command }
    const proposal = ++this.lastProposal
    this.pending.push({ entry, proposal })
    ctx.emit({ type: 'log-append', index: entry.index, entry })
    return proposal
  }

  readIndex(_ctx: Context): ReadId | undefined {
    return this.started ? ++this.lastRead : undefined
  }

  /** This entry and all earlier ones are on stable storage. */
  onAppended(ctx: Context, index: number): void {
    for (;;) {
      const next = this.pending[0]
      if (next === undefined || next.entry.index > index) return
      this.pending.shift()
      this.listener.onCommitted(ctx, next.entry, next.proposal)
    }
  }

  get members(): Members {
    const command = this.stored[0]?.command
    return { voters: command?.do === 'found' ? command.voters : [], learners: [] }
  }

  get leader(): StoreId | undefined {
    return this.started ? this.members.voters[0]?.store : undefined
  }

  readonly transferring = false

  changeMembers(): { readonly refused: string } {
    return { refused: 'this log has a single member' }
  }

  transferLeadership(): string {
    return 'this log has a single member'
  }

  endStep(ctx: Context): void {
    while (this.firstUnansweredRead <= this.lastRead) this.listener.onReadIndex(ctx, this.firstUnansweredRead++, true)
  }
}
