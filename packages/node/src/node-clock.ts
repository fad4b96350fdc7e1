import { uptime } from 'node:os'
import { performance } from 'node:perf_hooks'
import type { Millis } from '@ashlar/proto'

/** Where a clock reads time. */
export interface TimeSources {
  /** Milliseconds that pass while the machine runs (CLOCK_MONOTONIC). */
  readonly monotonic: () => Millis
  /** Milliseconds since the machine was booted, those in which it was suspended included (CLOCK_BOOTTIME). */
  readonly sinceBoot: () => Millis
  /** Wall time. It goes on while the machine is suspended, and jumps whenever it is set. */
  readonly wall: () => Millis
}

const SYSTEM: TimeSources = {
  monotonic: () => performance.now(),
  sinceBoot: () => uptime() * 1000,
  wall: () => Date.now(),
}

/** Time without the process that is longer than this was a suspension (A2.3-2). Readings of uptime are 10 ms apart. */
const JUMP_MS = 100
/** Two readings that a busy machine held further apart than this tell nothing. */
const READING_MS = 20
/** Wall time that moved so much more or less than monotonic time is worth a look at the time since boot. */
const GLANCE_MS = 50

/**
 * The clock of a node's machines. Monotonic time does not go on while a virtual machine is suspended, so that a lease would
 * seem to hold long after control gave its extents away; here it does: each look at the time since boot adds what was slept.
 *
 * A look costs some microseconds, so that before each turn there is only a glance at the wall clock, which moves on in the very
 * moment in which the time since boot does. It only says that a look is worth while, and is never counted with (A2.3-2).
 */
export class NodeClock {
  readonly #sources: TimeSources
  #aheadMs: Millis | undefined
  #sleptMs: Millis = 0
  /** Wall time less monotonic time at the last look that told anything. */
  #wallAheadMs: Millis = 0

  constructor(sources: TimeSources = SYSTEM) {
    this.#sources = sources
    this.look()
  }

  /** Milliseconds that never go back. */
  now(): Millis {
    return this.#sources.monotonic() + this.#sleptMs
  }

  /**
   * Finds out whether the machine slept since the last look, if there is any sign of it; called before anything that waited is
   * handled. Gives the milliseconds that it slept.
   */
  glance(): Millis {
    const aheadMs = this.#sources.wall() - this.#sources.monotonic()
    return Math.abs(aheadMs - this.#wallAheadMs) > GLANCE_MS ? this.look() : 0
  }

  /** Finds out whether the machine slept since the last look; called at each tick. Gives the milliseconds that it slept. */
  look(): Millis {
    const before = this.#sources.monotonic()
    const sinceBoot = this.#sources.sinceBoot()
    const wall = this.#sources.wall()
    if (this.#sources.monotonic() - before > READING_MS) return 0
    this.#wallAheadMs = wall - before
    const aheadMs = sinceBoot - before
    const sleptMs = aheadMs - (this.#aheadMs ?? aheadMs)
    if (this.#aheadMs !== undefined && sleptMs <= JUMP_MS) return 0
    this.#aheadMs = aheadMs
    this.#sleptMs += sleptMs
    return sleptMs
  }
}
