import { type Millis, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'

/** How long after a request of a client copies are throttled. */
const SERVED_MS: Millis = 1000
/**
 * Pauses as multiples of the time that the run before took. A returning replica is soon in sync, which matters: a duty
 * cycle of one half. Filling an empty one takes long anyway: an eighth.
 */
const PAUSE_TIMES = { returning: 1, filling: 7 }
/** Shorter pauses accumulate: an idle machine wakes only at a tick. */
const LEAST_PAUSE_MS: Millis = TIMERS.tickMs
/** On a slow machine long runs must not stop the copy. */
const LONGEST_PAUSE_MS: Millis = 1000

/** A copy to a replica that no write waits for. */
export interface Copier {
  readonly kind: keyof typeof PAUSE_TIMES
  /** The copy may take one run of blocks; it calls `leave` when they have arrived, or at once without blocks. */
  onGranted(ctx: Context): void
}

/**
 * How fast this store fills replicas (A2.9: a budget that yields to clients). While clients are served one run of
 * blocks is in flight at a time, whatever the number of copies, and pauses follow. The measure is time, not bytes, so
 * that a fast disk copies fast, and a busy one slowly. Without clients the only bound is the window of each copy.
 */
export class CopyThrottle {
  private servedAt: Millis = Number.NEGATIVE_INFINITY
  private running: { readonly copier: Copier; readonly since: Millis } | undefined
  private pendingMs: Millis = 0
  private pauseUntil: Millis = Number.NEGATIVE_INFINITY
  /** In the order of their requests. */
  private readonly waiting = new Set<Copier>()

  /** A request of a client arrived, or a write that another primary replicates. */
  onServed(now: Millis): void {
    this.servedAt = now
  }

  /** Clients are served: copies are throttled. */
  isBusy(now: Millis): boolean {
    return now - this.servedAt <= SERVED_MS
  }

  /** The copy is called once it may run, in this step or a later one; repeated requests count once. */
  request(copier: Copier): void {
    if (this.running?.copier !== copier) this.waiting.add(copier)
  }

  waits(copier: Copier): boolean {
    return this.waiting.has(copier)
  }

  /** The run has arrived. */
  done(ctx: Context, copier: Copier): void {
    if (this.running?.copier !== copier) return
    this.pendingMs += PAUSE_TIMES[copier.kind] * (ctx.now - this.running.since)
    this.running = undefined
    if (this.pendingMs < LEAST_PAUSE_MS) return
    this.pauseUntil = ctx.now + Math.min(LONGEST_PAUSE_MS, this.pendingMs)
    this.pendingMs = 0
  }

  /** The copy ended, or is not throttled any more. */
  leave(ctx: Context, copier: Copier): void {
    this.waiting.delete(copier)
    this.done(ctx, copier)
  }

  /** Starts the next run if it is due. Called at the end of each step. */
  endStep(ctx: Context): void {
    if (this.waiting.size === 0) return
    if (!this.isBusy(ctx.now)) return this.freeAll(ctx)
    // A copy to a replica that hangs must not block the others.
    if (this.running !== undefined && ctx.now - this.running.since > TIMERS.slowMs) this.running = undefined
    while (this.running === undefined && ctx.now >= this.pauseUntil) {
      const [next] = this.waiting
      if (next === undefined) return
      this.waiting.delete(next)
      this.running = { copier: next, since: ctx.now }
      next.onGranted(ctx)
    }
  }

  private freeAll(ctx: Context): void {
    const all = [...this.waiting]
    this.waiting.clear()
    for (const copier of all) copier.onGranted(ctx)
  }
}
