import { type Millis, TIMERS } from '@ashlar/proto'
import type { Context, Token } from '../machine.ts'
import type { Completion, When } from './completion.ts'

/**
 * What a primary waits for from its own disk: writes that are not durable, and reads without a completion. A hanging
 * disk shows by either, and by reads alone where no client writes (A2.7-6).
 */
export class OwnDisk {
  /** When the disk last had nothing to make durable, or made something durable. */
  private durableAt: Millis = 0
  /** Reads without a completion, oldest first. */
  private readonly reads = new Set<Token>()
  /** Since when the first of them is the first. Reads that wait behind others are not slow. */
  private firstSince: Millis = 0

  /** A write begins on an idle disk, or one became durable. */
  wrote(ctx: Context): void {
    this.durableAt = ctx.now
  }

  /** Like `services.when`, for an effect that reads: it has an age until its completion comes. */
  whenRead(
    ctx: Context,
    services: { readonly when: When },
    token: Token,
    then: (ctx: Context, completion: Completion) => void,
  ): void {
    if (this.reads.size === 0) this.firstSince = ctx.now
    this.reads.add(token)
    services.when(token, (later, completion) => {
      const [first] = this.reads
      this.reads.delete(token)
      if (token === first) this.firstSince = later.now
      then(later, completion)
    })
  }

  get reading(): boolean {
    return this.reads.size > 0
  }

  /** `writing`: some write is not durable yet. */
  isSlow(now: Millis, writing: boolean): boolean {
    const isLate = (since: Millis) => now - since > TIMERS.slowMs
    return (writing && isLate(this.durableAt)) || (this.reading && isLate(this.firstSince))
  }

  /** What is pending counts from now on. */
  startOver(ctx: Context): void {
    this.durableAt = ctx.now
    this.firstSince = ctx.now
  }
}
