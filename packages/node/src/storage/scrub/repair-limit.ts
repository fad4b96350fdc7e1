import type { Millis } from '@ashlar/proto'

const HOUR_MS: Millis = 3_600_000

export const TOO_MANY_REPAIRS = 'more damaged blocks were repaired within an hour than maxRepairsPerHour'

/** Counts repairs within the last hour, and reports once that they are too many. */
export class RepairLimit {
  readonly #most: number
  readonly #clock: () => Millis
  /** Moments of the newest repairs, at most one more than are allowed. */
  readonly #repairs: Millis[] = []
  #exceeded = false

  /** `clock`: monotonic milliseconds. */
  constructor(mostPerHour: number, clock: () => Millis) {
    this.#most = mostPerHour
    this.#clock = clock
  }

  /** True for the repair that exceeds the limit; not again in this incarnation of the store. */
  noteRepair(): boolean {
    const now = this.#clock()
    this.#repairs.push(now)
    // After the limit was exceeded nothing more depends on them.
    if (this.#repairs.length > this.#most + 1) this.#repairs.shift()
    while (this.#repairs.length > 0 && now - (this.#repairs[0] as Millis) >= HOUR_MS) this.#repairs.shift()
    if (this.#exceeded || this.#repairs.length <= this.#most) return false
    this.#exceeded = true
    return true
  }
}
