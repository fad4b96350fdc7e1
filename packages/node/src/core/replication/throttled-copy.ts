import type { Context } from '../machine.ts'
import type { Copier, CopyThrottle } from './copy-throttle.ts'

/**
 * The throttle of one copy:
 *
 *   free ──requested, granted──> granted ──run taken──> reading ──blocks sent──> in-flight ──acknowledged──> free
 */
export class ThrottledCopy implements Copier {
  private readonly throttle: CopyThrottle
  private readonly copyOn: (ctx: Context) => void
  private state: 'free' | 'granted' | 'reading' | 'in-flight' = 'free'
  /** Number of the last block of the run. */
  private lastPush = 0
  private taken = false
  /** Whether the replica was empty when the copy began. */
  kind: Copier['kind'] = 'filling'

  /** `copyOn`: copies runs while `take` allows it. */
  constructor(throttle: CopyThrottle, copyOn: (ctx: Context) => void) {
    this.throttle = throttle
    this.copyOn = copyOn
  }

  get waits(): boolean {
    return this.throttle.waits(this)
  }

  /** The copy is throttled, because clients are served. */
  get yields(): boolean {
    return this.waits || this.state !== 'free'
  }

  /**
   * Whether a run may be copied now, and if it is the one that the throttle granted; else `copyOn` is called once it
   * may. `hurry`: writes wait for this copy. The first run is free, so that a short copy ends at once.
   */
  take(ctx: Context, hurry: boolean): 'free' | 'granted' | 'later' {
    if (hurry || !this.taken || !this.throttle.isBusy(ctx.now)) {
      this.taken = true
      this.leave(ctx)
      return 'free'
    }
    if (this.state === 'granted') {
      this.state = 'reading'
      return 'granted'
    }
    if (this.state === 'free') this.throttle.request(this)
    return 'later'
  }

  onGranted(ctx: Context): void {
    this.state = 'granted'
    this.copyOn(ctx)
    // Nothing to read, or the window is full: the copy requests again later.
    if (this.state === 'granted') this.leave(ctx)
  }

  /** The granted run was read and its blocks sent, up to this number; undefined if none had to be sent. */
  onSent(ctx: Context, lastPush: number | undefined): void {
    if (this.state !== 'reading') return
    if (lastPush === undefined) return this.leave(ctx)
    this.state = 'in-flight'
    this.lastPush = lastPush
  }

  onAcknowledged(ctx: Context, push: number): void {
    if (this.state === 'in-flight' && push >= this.lastPush) this.leave(ctx)
  }

  /** The copy is over: the next one starts with a free run. */
  end(ctx: Context): void {
    this.leave(ctx)
    this.taken = false
  }

  private leave(ctx: Context): void {
    this.state = 'free'
    this.throttle.leave(ctx, this)
  }
}
