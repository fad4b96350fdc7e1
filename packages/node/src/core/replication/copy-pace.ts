import { type Millis, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'

/** A pause is this many times as long as the run before it took: copying gets a quarter of the time that it could use. */
const PAUSE_TIMES = 3
/** A run that took long because everything does must not end the copy. */
const LONGEST_PAUSE_MS: Millis = 1000

/** One who copies to a replica that no write waits for. */
export interface Copier {
  /** It is its turn: it takes one run of blocks, and says `done` when they have arrived. */
  onTurn(ctx: Context): void
}

/**
 * How fast this store copies to replicas that are filled (design 6: a budget that yields to clients). While clients are
 * served here one run of blocks is on its way at a time, whatever the number of copies, and a pause follows it. What counts
 * is time, not bytes, so that a fast disk copies fast, and a busy one slowly. While nobody is served there is no bound but
 * the window of each copy.
 */
export class CopyPace {
  private servedAt: Millis = Number.NEGATIVE_INFINITY
  private turn: { readonly copier: Copier; readonly since: Millis } | undefined
  private pauseUntil: Millis = Number.NEGATIVE_INFINITY
  /** In the order in which they came. */
  private readonly waiting = new Set<Copier>()

  /** A client's request arrived, or a write of one from another primary. */
  onServed(now: Millis): void {
    this.servedAt = now
  }

  /** Clients are served: runs take turns. */
  isBusy(now: Millis): boolean {
    return now - this.servedAt <= TIMERS.servedMs
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
    const tookMs = ctx.now - this.turn.since
    this.pauseUntil = ctx.now + Math.min(LONGEST_PAUSE_MS, PAUSE_TIMES * tookMs)
    this.turn = undefined
  }

  /** It copies no more, or may copy without turns. */
  leave(ctx: Context, copier: Copier): void {
    this.waiting.delete(copier)
    this.done(ctx, copier)
  }

  /** Gives turns that are due. Called at the end of each step: while clients are served there are many. */
  endStep(ctx: Context): void {
    if (this.waiting.size === 0) return
    if (!this.isBusy(ctx.now)) {
      const all = [...this.waiting]
      this.waiting.clear()
      for (const copier of all) copier.onTurn(ctx)
      return
    }
    if (this.turn !== undefined || ctx.now < this.pauseUntil) return
    const [next] = this.waiting
    if (next === undefined) return
    this.waiting.delete(next)
    this.turn = { copier: next, since: ctx.now }
    next.onTurn(ctx)
  }
}
