import type { StoreId } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import type { ControlLog, ReadId } from '../log/index.ts'

/** A renewal that is owed an answer. */
export interface Renewal {
  readonly link: Link
  readonly token: number
  readonly store: StoreId
  readonly counter: number
}

interface HeldRenewal extends Renewal {
  /** The round that must be over before the answer; undefined until one begins. */
  read: ReadId | undefined
  confirmed: boolean
}

/**
 * Renewals between their arrival and their answer: each waits for a read-index round that began after it arrived, and all
 * that wait share one (amendment 3).
 */
export class Renewals {
  private held: HeldRenewal[] = []

  add(renewal: Renewal): void {
    this.held.push({ ...renewal, read: undefined, confirmed: false })
  }

  /** Begins one round for all that arrived since the last one began. */
  beginRound(ctx: Context, log: ControlLog): void {
    const fresh = this.held.filter((renewal) => renewal.read === undefined)
    if (fresh.length === 0) return
    const read = log.readIndex(ctx)
    for (const renewal of fresh) renewal.read = read
  }

  /** A round is over. Without confirmation its renewals get no answer: their senders will ask the next leader. */
  onReadIndex(read: ReadId, confirmed: boolean): void {
    if (!confirmed) this.held = this.held.filter((renewal) => renewal.read !== read)
    for (const renewal of this.held) if (renewal.read === read) renewal.confirmed = true
  }

  /** Takes those that may be answered now. A renewal of a store in `expiring` waits for what the expiry comes to. */
  takeConfirmed(expiring: ReadonlySet<StoreId>): Renewal[] {
    const mayAnswer = (renewal: HeldRenewal) => renewal.confirmed && !expiring.has(renewal.store)
    const taken = this.held.filter(mayAnswer)
    if (taken.length > 0) this.held = this.held.filter((renewal) => !mayAnswer(renewal))
    return taken
  }

  forget(link: Link): void {
    this.held = this.held.filter((renewal) => renewal.link !== link)
  }

  clear(): void {
    this.held = []
  }
}
