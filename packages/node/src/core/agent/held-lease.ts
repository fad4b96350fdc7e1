import { type Millis, TIMERS } from '@ashlar/proto'

interface Sent {
  readonly at: Millis
  /** Of the map at that moment. */
  readonly revision: number
}

/**
 * The lease as its holder counts it: from the moment at which it sent the confirmed renewal, and only once it applied
 * the map revision of the response (A2.3-1, A2.3-3). All times are by this process's clock.
 */
export class HeldLease {
  private until = Number.NEGATIVE_INFINITY
  /** When the newest renewal was sent whose response counts. */
  private renewedAt = Number.NEGATIVE_INFINITY
  private lastToken = 0
  private readonly sent = new Map<number, Sent>()
  /** Confirmed renewals whose revision is not applied yet. */
  private granted: { readonly revision: number; readonly until: Millis }[] = []

  /** Returns the token of a renewal that is sent with the map at this revision. */
  renew(now: Millis, revision: number): number {
    for (const [token, { at }] of this.sent) if (now - at >= TIMERS.leaseMs) this.sent.delete(token)
    const token = ++this.lastToken
    this.sent.set(token, { at: now, revision })
    return token
  }

  /**
   * True when the response names a revision below the one at which its renewal was sent. A leader responds after a
   * later round with everything committed applied, so control's log was rolled back (A2.20-4).
   */
  isBehind(token: number, revision: number): boolean {
    return revision < (this.sent.get(token)?.revision ?? 0)
  }

  /** A response to a renewal. False: the renewal is not of this registration and does not count. */
  answered(token: number, revision: number, applied: number): boolean {
    const sent = this.sent.get(token)
    if (sent === undefined) return false
    this.sent.delete(token)
    this.granted.push({ revision, until: sent.at + TIMERS.leaseMs })
    this.applied(applied)
    return true
  }

  /** The map is applied up to this revision: renewals that named it or an earlier one count. */
  applied(revision: number): void {
    if (this.granted.length === 0) return
    for (const grant of this.granted) {
      if (grant.revision > revision) continue
      this.until = Math.max(this.until, grant.until)
      this.renewedAt = Math.max(this.renewedAt, grant.until - TIMERS.leaseMs)
    }
    this.granted = this.granted.filter((grant) => grant.revision > revision)
  }

  /**
   * The applied map has everything that was committed before this moment: the leader's round began after the renewal
   * arrived, and the response named its revision.
   */
  get mapAsOf(): Millis {
    return this.renewedAt
  }

  /** True while the response to this token is pending. */
  awaits(token: number): boolean {
    return this.sent.has(token)
  }

  /** Drops the lease and all pending renewals: neither outlives a registration. */
  drop(): void {
    this.until = Number.NEGATIVE_INFINITY
    this.sent.clear()
    this.granted = []
  }

  held(now: Millis): boolean {
    return now < this.until
  }

  /** Milliseconds until the lease runs out; 0 without one. */
  remainingMs(now: Millis): Millis {
    return Math.max(0, this.until - now)
  }
}
