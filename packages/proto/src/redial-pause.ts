import { TIMERS } from './limits.ts'
import type { Millis } from './units.ts'

/** Pauses between the attempts to dial one address: they double, from TIMERS.redialMinMs to TIMERS.redialMaxMs. */
export class RedialPause {
  private pauseMs: Millis = TIMERS.redialMinMs

  /**
   * The pause before the next attempt. Half of it is random, so that peers of a node that died do not dial it all at
   * once; `draw` is a random number from 0 to below 1.
   */
  next(draw: number): Millis {
    const pauseMs = this.pauseMs * (0.5 + draw / 2)
    this.pauseMs = Math.min(2 * this.pauseMs, TIMERS.redialMaxMs)
    return pauseMs
  }

  /**
   * Resets the pause. Called when a connection has lasted for TIMERS.redialMaxMs: a peer that accepts and fails at once
   * is dialed less and less often.
   */
  startOver(): void {
    this.pauseMs = TIMERS.redialMinMs
  }
}
