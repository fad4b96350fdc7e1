import type { Context } from '../machine.ts'
import type { Copier, CopyPace } from './copy-pace.ts'

/**
 * What one copy knows of its turns:
 *
 *   free ──asked, given──> given ──run taken──> reading ──blocks sent──> arriving ──acknowledged──> free
 */
export class CopyTurn implements Copier {
  private readonly pace: CopyPace
  private readonly copyOn: (ctx: Context) => void
  private state: 'free' | 'given' | 'reading' | 'arriving' = 'free'
  /** Number of the last push of the run. */
  private lastPush = 0
  private taken = false
  /** The copy goes on in turns, because clients are served. */
  yields = false

  /** `copyOn`: takes runs for as long as `take` allows. */
  constructor(pace: CopyPace, copyOn: (ctx: Context) => void) {
    this.pace = pace
    this.copyOn = copyOn
  }

  get waits(): boolean {
    return this.pace.waits(this)
  }

  /**
   * True when a run may be taken now; else `copyOn` is called once it may. `hurry`: writes wait for this copy. The first run is
   * free, so that what is short is over at once.
   */
  take(ctx: Context, hurry: boolean): boolean {
    if (hurry || !this.taken || !this.pace.isBusy(ctx.now)) {
      this.taken = true
      this.yields = false
      this.leave(ctx)
      return true
    }
    this.yields = true
    if (this.state === 'given') {
      this.state = 'reading'
      return true
    }
    if (this.state === 'free') this.pace.ask(this)
    return false
  }

  onTurn(ctx: Context): void {
    this.state = 'given'
    this.copyOn(ctx)
    // It had nothing to read, or no room on the way: it asks again when it has.
    if (this.state === 'given') this.leave(ctx)
  }

  /** The run was read, and sent as far as it still had to be: through this push, or not at all. */
  onSent(ctx: Context, lastPush: number | undefined): void {
    if (this.state !== 'reading') return
    if (lastPush === undefined) return this.leave(ctx)
    this.state = 'arriving'
    this.lastPush = lastPush
  }

  onAcknowledged(ctx: Context, push: number): void {
    if (this.state === 'arriving' && push >= this.lastPush) this.leave(ctx)
  }

  /** The copy is over: the next one begins anew. */
  end(ctx: Context): void {
    this.leave(ctx)
    this.taken = false
    this.yields = false
  }

  private leave(ctx: Context): void {
    this.state = 'free'
    this.pace.leave(ctx, this)
  }
}
