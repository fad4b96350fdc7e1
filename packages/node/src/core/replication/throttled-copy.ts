import type { Context } from '../machine.ts'
import type { Copier, CopyThrottle } from './copy-throttle.ts'

/**
 * What one copy knows of its turns:
 *
 *   free ──asked, given──> given ──run taken──> reading ──blocks sent──> arriving ──acknowledged──> free
 */
export class ThrottledCopy implements Copier {
  private readonly throttle: CopyThrottle
  private readonly copyOn: (ctx: Context) => void
  private state: 'free' | 'given' | 'reading' | 'arriving' = 'free'
  /** Number of the last push of the run. */
  private lastPush = 0
  private taken = false
  /** Whether the replica was empty when the copy began. */
  kind: Copier['kind'] = 'filling'

  /** `copyOn`: takes runs for as long as `take` allows. */
  constructor(throttle: CopyThrottle, copyOn: (ctx: Context) => void) {
    this.throttle = throttle
    this.copyOn = copyOn
  }

  get waits(): boolean {
    return this.throttle.waits(this)
  }

  /** The copy goes on in turns, because clients are served. */
  get yields(): boolean {
    return this.waits || this.state !== 'free'
  }

  /**
   * Whether a run may be taken now, and if it is that of a turn; else `copyOn` is called once it may. `hurry`: writes wait for
   * this copy. The first run is free, so that what is short is over at once.
   */
  take(ctx: Context, hurry: boolean): 'free' | 'turn' | 'later' {
    if (hurry || !this.taken || !this.throttle.isBusy(ctx.now)) {
      this.taken = true
      this.leave(ctx)
      return 'free'
    }
    if (this.state === 'given') {
      this.state = 'reading'
      return 'turn'
    }
    if (this.state === 'free') this.throttle.ask(this)
    return 'later'
  }

  onTurn(ctx: Context): void {
    this.state = 'given'
    this.copyOn(ctx)
    // It had nothing to read, or no room on the way: it asks again when it has.
    if (this.state === 'given') this.leave(ctx)
  }

  /** The run of its turn was read, and sent as far as it still had to be: through this push, or not at all. */
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
  }

  private leave(ctx: Context): void {
    this.state = 'free'
    this.throttle.leave(ctx, this)
  }
}
