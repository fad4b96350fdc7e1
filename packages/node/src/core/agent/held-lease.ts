import { type Millis, TIMERS } from '@ashlar/proto'

interface Sent {
  readonly at: Millis
  /** Of the map at that moment. */
  readonly revision: number
}

/**
 * The lease of this node as the node counts it: from the moment at which it sent the renewal that was answered, and only
 * once the map revision that the answer named is applied (A2.3-1, A2.3-3). All times are this process's own.
 */
export class HeldLease {
  private until = Number.NEGATIVE_INFINITY
  /** When the newest renewal was sent of which the answer counts. */
  private renewedAt = Number.NEGATIVE_INFINITY
  private lastToken = 0
  private readonly sent = new Map<number, Sent>()
  /** Answered, while the map is not at the named revision yet. */
  private granted: { readonly revision: number; readonly until: Millis }[] = []

  /** A renewal is about to be sent while the map is at this revision: gives its token. */
  renew(now: Millis, revision: number): number {
    for (const [token, { at }] of this.sent) if (now - at >= TIMERS.leaseMs) this.sent.delete(token)
    const token = ++this.lastToken
    this.sent.set(token, { at: now, revision })
    return token
  }

  /**
   * True when this answer names a revision below the one that the map had when its renewal was sent. A leader answers after a
   * round that began later, and was told all that was committed by then: control's log has gone back (A2.20-4).
   */
  isBehind(token: number, revision: number): boolean {
    return revision < (this.sent.get(token)?.revision ?? 0)
  }

  /** A renewal was answered. False: it is none of this registration's, and counts for nothing. */
  answered(token: number, revision: number, applied: number): boolean {
    const sent = this.sent.get(token)
    if (sent === undefined) return false
    this.sent.delete(token)
    this.granted.push({ revision, until: sent.at + TIMERS.leaseMs })
    this.applied(applied)
    return true
  }

  /** The map is applied up to this revision: grants that named it or an earlier one count. */
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
   * The map that was applied holds everything that was committed before this moment: the leader answered by a round that
   * began after the renewal arrived, and named the revision that it was at.
   */
  get mapAsOf(): Millis {
    return this.renewedAt
  }

  /** True while an answer to this token is awaited. */
  awaits(token: number): boolean {
    return this.sent.has(token)
  }

  /** Gives the lease up, and every renewal that is on its way with it: nothing of it outlives a registration. */
  drop(): void {
    this.until = Number.NEGATIVE_INFINITY
    this.sent.clear()
    this.granted = []
  }

  held(now: Millis): boolean {
    return now < this.until
  }

  /** Milliseconds that the lease still holds; 0 when it does not. */
  remainingMs(now: Millis): Millis {
    return Math.max(0, this.until - now)
  }
}
