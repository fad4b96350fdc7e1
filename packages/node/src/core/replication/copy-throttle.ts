import { type Millis, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'

/** For so long after a request of a client copies yield. */
const SERVED_MS: Millis = 1000
/**
 * Pauses are this many times as long as the runs before them took. Whoever was away and comes back is soon there again, and
 * counts: that may have half of the time. To fill an empty replica takes long whatever it gets: an eighth.
 */
const PAUSE_TIMES = { returning: 1, filling: 7 }
/** Shorter pauses are owed: a machine that nobody calls wakes at a tick, so that a pause never is shorter than that may be. */
const LEAST_PAUSE_MS: Millis = TIMERS.tickMs
/** Runs that take long because everything does must not end the copy. */
const LONGEST_PAUSE_MS: Millis = 1000

/** One who copies to a replica that no write waits for. */
export interface Copier {
  readonly kind: keyof typeof PAUSE_TIMES
  /** It is its turn: it takes one run of blocks, and says `done` when they have arrived, or at once when it has none. */
  onTurn(ctx: Context): void
}

/**
 * How fast this store copies to replicas that are filled (A2.9: a budget that yields to clients). While clients are
 * served here one run of blocks is on its way at a time, whatever the number of copies, and pauses follow. What counts
 * is time, not bytes, so that a fast disk copies fast, and a busy one slowly. While nobody is served there is no bound but
 * the window of each copy.
 */
export class CopyThrottle {
  private servedAt: Millis = Number.NEGATIVE_INFINITY
  private turn: { readonly copier: Copier; readonly since: Millis } | undefined
  private pendingMs: Millis = 0
  private pauseUntil: Millis = Number.NEGATIVE_INFINITY
  /** In the order in which they came. */
  private readonly waiting = new Set<Copier>()

  /** A request of a client arrived, or what another primary made of one. */
  onServed(now: Millis): void {
    this.servedAt = now
  }

  /** Clients are served: runs take turns. */
  isBusy(now: Millis): boolean {
    return now - this.servedAt <= SERVED_MS
  }

  /** Is called on its turn, in this step or in a later one; asking twice is asking once. */
  ask(copier: Copier): void {
    if (this.turn?.copier !== copier) this.waiting.add(copier)
  }

  waits(copier: Copier): boolean {
    return this.waiting.has(copier)
  }

  /** Its run has arrived. */
  done(ctx: Context, copier: Copier): void {
    if (this.turn?.copier !== copier) return
    this.pendingMs += PAUSE_TIMES[copier.kind] * (ctx.now - this.turn.since)
    this.turn = undefined
    if (this.pendingMs < LEAST_PAUSE_MS) return
    this.pauseUntil = ctx.now + Math.min(LONGEST_PAUSE_MS, this.pendingMs)
    this.pendingMs = 0
  }

  /** It copies no more, or may copy without turns. */
  leave(ctx: Context, copier: Copier): void {
    this.waiting.delete(copier)
    this.done(ctx, copier)
  }

  /** Gives turns that are due. Called at the end of each step. */
  endStep(ctx: Context): void {
    if (this.waiting.size === 0) return
    if (!this.isBusy(ctx.now)) return this.freeAll(ctx)
    // Whoever copies to a replica that hangs is not to hold up the others.
    if (this.turn !== undefined && ctx.now - this.turn.since > TIMERS.slowMs) this.turn = undefined
    while (this.turn === undefined && ctx.now >= this.pauseUntil) {
      const [next] = this.waiting
      if (next === undefined) return
      this.waiting.delete(next)
      this.turn = { copier: next, since: ctx.now }
      next.onTurn(ctx)
    }
  }

  private freeAll(ctx: Context): void {
    const all = [...this.waiting]
    this.waiting.clear()
    for (const copier of all) copier.onTurn(ctx)
  }
}
