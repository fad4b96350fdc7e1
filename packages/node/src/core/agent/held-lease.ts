import { type Millis, TIMERS } from '@ashlar/proto'

/**
 * The lease of this node as the node counts it: from the moment at which it sent the renewal that was answered, and only
 * once the map revision that the answer named is applied (A2.3, amendment 3). All times are this process's own.
 */
export class HeldLease {
  #until = Number.NEGATIVE_INFINITY
  /** When the newest renewal was sent of which the answer counts. */
  #renewedAt = Number.NEGATIVE_INFINITY
  #lastToken = 0
  readonly #sentAt = new Map<number, Millis>()
  /** Answered, while the map is not at the named revision yet. */
  #granted: { readonly revision: number; readonly until: Millis }[] = []

  /** A renewal is about to be sent: gives its token. */
  renew(now: Millis): number {
    for (const [token, sentAt] of this.#sentAt) if (now - sentAt >= TIMERS.leaseMs) this.#sentAt.delete(token)
    const token = ++this.#lastToken
    this.#sentAt.set(token, now)
    return token
  }

  /** A renewal was answered. False: it is none of this registration's, and counts for nothing. */
  answered(token: number, revision: number, applied: number): boolean {
    const sentAt = this.#sentAt.get(token)
    if (sentAt === undefined) return false
    this.#sentAt.delete(token)
    this.#granted.push({ revision, until: sentAt + TIMERS.leaseMs })
    this.applied(applied)
    return true
  }

  /** The map is applied up to this revision: grants that named it or an earlier one count. */
  applied(revision: number): void {
    if (this.#granted.length === 0) return
    for (const grant of this.#granted) {
      if (grant.revision > revision) continue
      this.#until = Math.max(this.#until, grant.until)
      this.#renewedAt = Math.max(this.#renewedAt, grant.until - TIMERS.leaseMs)
    }
    this.#granted = this.#granted.filter((grant) => grant.revision > revision)
  }

  /**
   * The map that was applied holds everything that was committed before this moment: the leader answered by a round that
   * began after the renewal arrived, and named the revision that it was at.
   */
  get mapAsOf(): Millis {
    return this.#renewedAt
  }

  /** True while an answer to this token is awaited. */
  awaits(token: number): boolean {
    return this.#sentAt.has(token)
  }

  /** Gives the lease up, and every renewal that is on its way with it: nothing of it outlives a registration. */
  drop(): void {
    this.#until = Number.NEGATIVE_INFINITY
    this.#sentAt.clear()
    this.#granted = []
  }

  held(now: Millis): boolean {
    return now < this.#until
  }

  /** Milliseconds that the lease still holds; 0 when it does not. */
  remainingMs(now: Millis): Millis {
    return Math.max(0, this.#until - now)
  }
}
