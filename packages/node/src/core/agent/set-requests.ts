import {
  ERRORS,
  type ExtentId,
  type MapCopy,
  type Millis,
  type SetChange,
  type SetsChanged,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'

/** What became of one change. */
export interface SetOutcome {
  readonly change: SetChange
  /** Exactly this change took effect. */
  readonly committed: boolean
}

interface Batch {
  readonly request: number
  /** Not answered yet. */
  readonly changes: Map<ExtentId, SetChange>
  /** Undefined: to be sent now. */
  sentAt: Millis | undefined
}

interface AnsweredChange {
  readonly outcome: SetOutcome
  /** Revision of the record that control answered with; undefined when the extent is gone. */
  readonly revision: number | undefined
}

/** Changes that one message takes: each is below 300 bytes, so that a batch stays below LIMITS.controlBytes. */
const BATCH_CHANGES = 1000

/**
 * Changes of in-sync sets on their way to control. Those of one step share a message. A message is sent again until it is
 * answered, since a lost answer is no refusal (A2.7-4); control tells a repetition by its revision. An outcome is told only
 * when the map of this node shows what control decided.
 */
export class SetRequests {
  private readonly gathered = new Map<ExtentId, SetChange>()
  private batches: Batch[] = []
  private answered: AnsweredChange[] = []
  private lastRequest = 0

  add(change: SetChange): void {
    this.gathered.set(change.extent, change)
  }

  /** Sends what was gathered, and again what was not answered in time. */
  drive(ctx: Context, link: Link, sender: { readonly store: StoreId; readonly counter: number }): void {
    while (this.gathered.size > 0) {
      const changes = new Map([...this.gathered].slice(0, BATCH_CHANGES))
      for (const extent of changes.keys()) this.gathered.delete(extent)
      this.batches.push({ request: ++this.lastRequest, changes, sentAt: undefined })
    }
    for (const batch of this.batches) {
      if (batch.sentAt !== undefined && ctx.now - batch.sentAt < TIMERS.controlRetryMs) continue
      batch.sentAt = ctx.now
      const changes = [...batch.changes.values()]
      ctx.emit({ type: 'send', link, message: { type: 'change-sets', request: batch.request, ...sender, changes } })
    }
  }

  /** Another link, or another leader: everything is sent again. */
  resend(): void {
    for (const batch of this.batches) batch.sentAt = undefined
  }

  /** An answer may cover a part of its request; the rest comes later. */
  onResponse(message: SetsChanged): void {
    const batch = this.batches.find((waiting) => waiting.request === message.request)
    if (batch === undefined) return
    for (const { extent, code, record } of message.results) {
      const change = batch.changes.get(extent)
      if (change === undefined) continue
      batch.changes.delete(extent)
      this.answered.push({ outcome: { change, committed: code === ERRORS.OK.number }, revision: record?.revision })
    }
    if (batch.changes.size === 0) this.batches = this.batches.filter((waiting) => waiting !== batch)
  }

  /** Takes the outcomes that the map already shows. */
  takeSettled(map: MapCopy): SetOutcome[] {
    const shows = ({ outcome, revision }: AnsweredChange) => {
      const known = map.extents.get(outcome.change.extent)?.revision
      return revision === undefined || known === undefined || known >= revision
    }
    const settled = this.answered.filter(shows)
    if (settled.length > 0) this.answered = this.answered.filter((answered) => !shows(answered))
    return settled.map(({ outcome }) => outcome)
  }

  /** True while control has told an outcome that the map of this node does not show yet. */
  get aheadOfMap(): boolean {
    return this.answered.length > 0
  }
}
