import {
  type ExtentId,
  type MapCopy,
  type Millis,
  type SetChange,
  type SetsChanged,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'

interface Batch {
  readonly request: number
  /** Changes without a response. */
  readonly changes: Map<ExtentId, SetChange>
  /** Undefined: to be sent now. */
  sentAt: Millis | undefined
}

interface AnsweredChange {
  readonly change: SetChange
  /** Revision of the record in the response; undefined if there is no such extent. */
  readonly revision: number | undefined
}

/** Most changes of one message: each is below 300 bytes, so that a message stays below LIMITS.controlBytes. */
const BATCH_CHANGES = 1000

/**
 * Sends changes of in-sync sets to control. Those of one step share a message, which is repeated until control
 * responds, since a lost response is not a refusal (A2.7-4); control recognizes a repetition by its revision. An
 * outcome is reported once this node's map shows it.
 */
export class SetRequests {
  private readonly gathered = new Map<ExtentId, SetChange>()
  private batches: Batch[] = []
  private answered: AnsweredChange[] = []
  private lastRequest = 0

  add(change: SetChange): void {
    this.gathered.set(change.extent, change)
  }

  /** Sends new changes, and repeats those without a response in time. */
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

  /** A response may cover part of its request; the rest comes later. */
  onResponse(message: SetsChanged): void {
    const batch = this.batches.find((waiting) => waiting.request === message.request)
    if (batch === undefined) return
    for (const { extent, record } of message.results) {
      const change = batch.changes.get(extent)
      if (change === undefined) continue
      batch.changes.delete(extent)
      this.answered.push({ change, revision: record?.revision })
    }
    if (batch.changes.size === 0) this.batches = this.batches.filter((waiting) => waiting !== batch)
  }

  /** Takes the changes whose outcomes the map already shows. */
  takeSettled(map: MapCopy): SetChange[] {
    const shows = ({ change, revision }: AnsweredChange) => {
      const known = map.extents.get(change.extent)?.revision
      return revision === undefined || known === undefined || known >= revision
    }
    const settled = this.answered.filter(shows)
    if (settled.length > 0) this.answered = this.answered.filter((answered) => !shows(answered))
    return settled.map(({ change }) => change)
  }

  /** True while control decided something that this node's map does not show yet. */
  get aheadOfMap(): boolean {
    return this.answered.length > 0
  }
}
