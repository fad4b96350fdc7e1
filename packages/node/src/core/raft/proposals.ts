import type { ControlLogListener, ProposalId } from '../control/log/index.ts'
import type { Context } from '../machine.ts'

/** Proposals of this process that are in its log and not handed over yet, by the index of their entry. */
export class Proposals {
  private readonly byIndex = new Map<number, ProposalId>()
  private last = 0

  add(index: number): ProposalId {
    this.byIndex.set(index, ++this.last)
    return this.last
  }

  /** The proposal of this entry, if this process made it. */
  take(index: number): ProposalId | undefined {
    const proposal = this.byIndex.get(index)
    this.byIndex.delete(index)
    return proposal
  }

  /** Leadership ended: none gets a result here. Another leader may still commit the entry. */
  lose(ctx: Context, listener: ControlLogListener): void {
    const lost = [...this.byIndex.values()]
    this.byIndex.clear()
    for (const proposal of lost) listener.onProposalLost(ctx, proposal)
  }
}
