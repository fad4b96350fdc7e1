import type { Clock } from '../world/time.ts'

export interface Violation {
  /** Name of the invariant. */
  readonly rule: string
  readonly text: string
  /** Milliseconds of true time. */
  readonly at: number
}

/** Where checkers write what they find. The first few violations show the cause; the rest only repeat it. */
export class Report {
  readonly violations: Violation[] = []
  private readonly clock: Clock
  private readonly most: number

  constructor(clock: Clock, most = 10) {
    this.clock = clock
    this.most = most
  }

  violation(rule: string, text: string): void {
    if (this.violations.length < this.most) this.violations.push({ rule, text, at: this.clock.now })
  }
}
