/** Bytes in flight of all connections together, and who waits for some of them to be given back. */
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

  fits(bytes: number): boolean {
    return this.#used + bytes <= this.#limit
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
