import type { Millis } from '@ashlar/proto'
import { STALL_CHECK_MS, STALL_MS } from './options.ts'

/**
 * Whether frames leave a connection, and whether frames arrive. Counts checks instead of milliseconds: a process that was
 * paused could not receive anything.
 */
export class Liveness {
  /** Frames that left the process: distinguishes a slow link from a stalled one. */
  private framesGone = 0
  private framesGoneAtCheck = 0
  private stalledMs: Millis = 0
  /** Frames and pongs that arrived, and consecutive checks that found none. */
  private signs = 0
  private signsAtCheck = 0
  private silentChecks = 0

  onFrameGone(): void {
    this.framesGone++
  }

  onSign(): void {
    this.signs++
  }

  /** Called every STALL_CHECK_MS. `waits`: bytes are queued. True when no frame left for STALL_MS. */
  isStalled(waits: boolean): boolean {
    const stalled = waits && this.framesGone === this.framesGoneAtCheck
    this.framesGoneAtCheck = this.framesGone
    this.stalledMs = stalled ? this.stalledMs + STALL_CHECK_MS : 0
    return this.stalledMs >= STALL_MS
  }

  /** Called every STALL_CHECK_MS. For how long nothing arrived. */
  silentMs(): Millis {
    this.silentChecks = this.signs === this.signsAtCheck ? this.silentChecks + 1 : 0
    this.signsAtCheck = this.signs
    return this.silentChecks * STALL_CHECK_MS
  }
}
