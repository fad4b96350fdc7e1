import type { StoreId } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import type { ControlLog, ReadId } from '../log/index.ts'

/** A renewal without a response so far. */
export interface Renewal {
  readonly link: Link
  readonly token: number
  readonly store: StoreId
  readonly counter: number
}

interface HeldRenewal extends Renewal {
  /** The round that must end before the response; undefined until one begins. */
  read: ReadId | undefined
  confirmed: boolean
}

/**
 * Renewals without a response: each waits for a read-index round that began after it arrived, which they share
 * (amendment 3).
 */
export class Renewals {
  private held: HeldRenewal[] = []

  add(renewal: Renewal): void {
    this.held.push({ ...renewal, read: undefined, confirmed: false })
  }

  /** Begins one round for all renewals since the last one. */
  beginRound(ctx: Context, log: ControlLog): void {
    const fresh = this.held.filter((renewal) => renewal.read === undefined)
    if (fresh.length === 0) return
    const read = log.readIndex(ctx)
    for (const renewal of fresh) renewal.read = read
  }

  /** A round ended. Without confirmation its renewals get no response, and their senders try the next leader. */
  onReadIndex(read: ReadId, confirmed: boolean): void {
    if (!confirmed) this.held = this.held.filter((renewal) => renewal.read !== read)
    for (const renewal of this.held) if (renewal.read === read) renewal.confirmed = true
  }

  /** Takes the confirmed renewals. Those of stores in `expiring` wait for the outcome of the expiry. */
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
