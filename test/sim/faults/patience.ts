import type { Clock } from '../world/time.ts'

/** How a fault waits for its moment. */
export interface Patience {
  readonly clock: Clock
  /** How often it looks. */
  readonly lookMs: number
  readonly isOver: () => boolean
}

/** Does something once a condition holds, or stops waiting after `forMs`. */
export function once(
  { clock, lookMs, isOver }: Patience,
  forMs: number,
  holds: () => boolean,
  then: () => void,
  otherwise: () => void = () => {},
): void {
  const until = clock.now + forMs
  const look = (): void => {
    if (isOver() || clock.now > until) return otherwise()
    if (holds()) return then()
    clock.after(lookMs, look)
  }
  look()
}
