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

/** A gap between the two clocks that is longer than this was a suspension (A2.3-2). Readings of uptime are 10 ms apart. */
const JUMP_MS = 100
/** Two readings that a busy machine took further apart than this are not compared. */
const READING_MS = 20
/** A difference between wall time and monotonic time that makes a full check worth while. */
const QUICK_CHECK_MS = 50

/**
 * The clock of a node's machines. Monotonic time stops while a virtual machine is suspended, so that a lease would seem
 * valid long after control gave its extents away. This clock goes on: each check of the time since boot adds the gap.
 *
 * A full check costs some microseconds. Before each turn `quickCheck` only compares the wall clock, which jumps at the same
 * moment as the time since boot; it decides whether a full check is worth while, and is never added (A2.3-2).
 */
export class NodeClock {
  private readonly sources: TimeSources
  private aheadMs: Millis | undefined
  private sleptMs: Millis = 0
  /** Wall time minus monotonic time at the last check whose readings were compared. */
  private wallAheadMs: Millis = 0

  constructor(sources: TimeSources = SYSTEM) {
    this.sources = sources
    this.check()
  }

  /** Milliseconds that never go back. */
  now(): Millis {
    return this.sources.monotonic() + this.sleptMs
  }

  /** Checks for a suspension if the wall clock hints at one; called before queued inputs are stepped. Returns its length. */
  quickCheck(): Millis {
    const aheadMs = this.sources.wall() - this.sources.monotonic()
    return Math.abs(aheadMs - this.wallAheadMs) > QUICK_CHECK_MS ? this.check() : 0
  }

  /** Checks for a suspension since the last check; called at each tick. Returns its length in milliseconds. */
  check(): Millis {
    const before = this.sources.monotonic()
    const sinceBoot = this.sources.sinceBoot()
    const wall = this.sources.wall()
    if (this.sources.monotonic() - before > READING_MS) return 0
    this.wallAheadMs = wall - before
    const aheadMs = sinceBoot - before
    const sleptMs = aheadMs - (this.aheadMs ?? aheadMs)
    if (this.aheadMs !== undefined && sleptMs <= JUMP_MS) return 0
    this.aheadMs = aheadMs
    this.sleptMs += sleptMs
    return sleptMs
  }
}
