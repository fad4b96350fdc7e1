import { TIMERS } from './limits.ts'
import type { Millis } from './units.ts'

/** Pauses between the attempts to dial one address: they double, from TIMERS.redialMinMs to TIMERS.redialMaxMs. */
export class RedialPause {
  private pauseMs: Millis = TIMERS.redialMinMs

  /**
   * The pause before the next attempt. Half of it is drawn, so that those who lost the same node do not come back all at
   * once; `draw` is a random number from 0 to below 1.
   */
  next(draw: number): Millis {
    const pauseMs = this.pauseMs * (0.5 + draw / 2)
    this.pauseMs = Math.min(2 * this.pauseMs, TIMERS.redialMaxMs)
    return pauseMs
  }

  /**
   * The address proved good. To be called only once a connection has lived for TIMERS.redialMaxMs: a peer that accepts and
   * fails at once must be dialed ever less.
   */
  startOver(): void {
    this.pauseMs = TIMERS.redialMinMs
  }
}
