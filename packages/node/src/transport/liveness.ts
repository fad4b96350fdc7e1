import type { Millis } from '@ashlar/proto'
import { STALL_CHECK_MS, STALL_MS } from './options.ts'

/**
 * Whether anything leaves a connection, and whether anything comes over it. Checks are counted and not milliseconds, since a process
 * that stood still has heard nobody.
 */
export class Liveness {
  /** Frames that left the process, to tell a slow link from a stalled one. */
  private framesGone = 0
  private framesGoneAtCheck = 0
  private stalledMs: Millis = 0
  /** Frames and answers to pings that came, and checks in a row that found none. */
  private signs = 0
  private signsAtCheck = 0
  private silentChecks = 0

  onFrameGone(): void {
    this.framesGone++
  }

  onSign(): void {
    this.signs++
  }

  /** Called every STALL_CHECK_MS. `waits`: something is there to leave. True when nothing left for STALL_MS. */
  isStalled(waits: boolean): boolean {
    const stalled = waits && this.framesGone === this.framesGoneAtCheck
    this.framesGoneAtCheck = this.framesGone
    this.stalledMs = stalled ? this.stalledMs + STALL_CHECK_MS : 0
    return this.stalledMs >= STALL_MS
  }

  /** Called every STALL_CHECK_MS. For how long nothing came. */
  silentMs(): Millis {
    this.silentChecks = this.signs === this.signsAtCheck ? this.silentChecks + 1 : 0
    this.signsAtCheck = this.signs
    return this.silentChecks * STALL_CHECK_MS
  }
}
