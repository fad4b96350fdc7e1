/** How long the event loop was held up, and what it cost. */
export interface Held {
  /** Longest turn by the clock, milliseconds. While others use the machine it says nothing. */
  readonly wallMs: number
  /** Longest turn by the CPU time of this thread, milliseconds: others do not show in it. */
  readonly cpuMs: number
}

/**
 * Measures every turn of the event loop between `start` and `end`: it asks for the next turn in each, so that no turn
 * is longer than what was done in it.
 */
export class Turns {
  #wallMs = 0
  #cpuMs = 0
  #running = false
  #at = 0
  #cpuAt = 0

  start(): void {
    this.#wallMs = 0
    this.#cpuMs = 0
    this.#mark()
    if (this.#running) return
    this.#running = true
    setImmediate(() => this.#turn())
  }

  /** The longest turn since `start`. */
  get longest(): Held {
    return { wallMs: this.#wallMs, cpuMs: this.#cpuMs }
  }

  end(): void {
    this.#running = false
  }

  #turn(): void {
    if (!this.#running) return
    const cpuMs = threadCpuMs() - this.#cpuAt
    this.#wallMs = Math.max(this.#wallMs, performance.now() - this.#at)
    this.#cpuMs = Math.max(this.#cpuMs, cpuMs)
    this.#mark()
    setImmediate(() => this.#turn())
  }

  #mark(): void {
    this.#at = performance.now()
    this.#cpuAt = threadCpuMs()
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
