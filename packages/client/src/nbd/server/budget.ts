/** Bytes in flight of all connections together, and the connections that wait for some to be released. */
export class Budget {
  readonly #limit: number
  #used = 0
  #waiting = new Set<() => void>()

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  get usedBytes(): number {
    return this.#used
  }

  /**
   * Whether a connection that holds `held` bytes may have more: as much as is left free at most, so that connections
   * whose requests are stuck leave a share to each other one.
   */
  fits(held: number, bytes: number): boolean {
    return held + bytes <= this.#limit - this.#used
  }

  add(bytes: number): void {
    this.#used += bytes
  }

  give(bytes: number): void {
    this.#used -= bytes
    if (this.#waiting.size === 0 || this.#used > this.#limit / 2) return
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  /** Calls `wake` once, when a good part of the budget is free. */
  wait(wake: () => void): void {
    this.#waiting.add(wake)
  }

  forget(wake: () => void): void {
    this.#waiting.delete(wake)
  }
}
