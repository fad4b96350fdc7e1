import assert from 'node:assert/strict'

/** A deadline stretches to this many times its length at most: what a slower machine does not reach is a failure. */
const MOST_STRETCH = 5
/**
 * From here on a missed figure about the product may be the machine's fault. Below, a test loads two cores by itself.
 */
const STARVED_FACTOR = 2
/** Every so often a thread works for a moment; together a hundredth of one processor. */
const PERIOD_MS = 200
const SLICE_MS = 2

export interface Clocks {
  wallMs(): number
  /** Processor time that this thread used. */
  cpuMs(): number
  /** Calls once after so long, without keeping the process alive; gives the call that takes it back. */
  later(ms: number, call: () => void): () => void
}

const REAL: Clocks = {
  wallMs: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  },
  later: (ms, call) => {
    const timer = setTimeout(call, ms).unref()
    return () => clearTimeout(timer)
  },
}

/**
 * Measures how slow the machine is while something waits: short slices of work, and how much longer they take on the
 * wall than on the processor. This sees what a load average does not: priorities, and the quota of a container. What a
 * hypervisor keeps to itself it does not see.
 */
export class Meter {
  readonly clocks: Clocks
  /** Of all slices so far. */
  #wallMs = 0
  #cpuMs = 0
  #watches = 0
  #stop: (() => void) | undefined

  constructor(clocks: Clocks = REAL) {
    this.clocks = clocks
  }

  get totals(): { readonly wallMs: number; readonly cpuMs: number } {
    return { wallMs: this.#wallMs, cpuMs: this.#cpuMs }
  }

  begin(): void {
    if (this.#watches++ === 0) this.#arm()
  }

  end(): void {
    if (--this.#watches === 0) this.#stop?.()
  }

  #arm(): void {
    this.#stop = this.clocks.later(PERIOD_MS, () => {
      const { clocks } = this
      const cpuMs = clocks.cpuMs()
      const wallMs = clocks.wallMs()
      let usedMs = 0
      while (usedMs < SLICE_MS) usedMs = clocks.cpuMs() - cpuMs
      this.#cpuMs += usedMs
      this.#wallMs += clocks.wallMs() - wallMs
      this.#arm()
    })
  }
}

const MACHINE = new Meter()

// Limits of the product's own do not stretch, as that of a client's calls (TIMEOUT), which stays below the time after
// which its session ends, or that of `ashlar dev`. Where a test fails by one of them the run says here that the machine
// was starved.
process.once('exit', (code) => {
  const note = code === 0 ? undefined : blameOf(MACHINE.totals)
  if (note !== undefined) process.stderr.write(`${note}\n`)
})

/** What a process that failed says at its end, where the machine was starved while it waited. */
export function blameOf({ wallMs, cpuMs }: { readonly wallMs: number; readonly cpuMs: number }): string | undefined {
  const factor = wallMs / cpuMs
  if (!(factor >= STARVED_FACTOR)) return undefined
  return `the machine was too slow to distinguish a fault of the product from its own: work took ${factor.toFixed(1)} times its processor time`
}

/** How slow the machine is, from now until it is disposed of. */
export class Watch implements Disposable {
  readonly #meter: Meter
  readonly #begunMs: number
  readonly #before: { readonly wallMs: number; readonly cpuMs: number }
  #ended = false

  constructor(meter: Meter = MACHINE) {
    this.#meter = meter
    this.#begunMs = meter.clocks.wallMs()
    this.#before = meter.totals
    meter.begin()
  }

  get elapsedMs(): number {
    return this.#meter.clocks.wallMs() - this.#begunMs
  }

  /** How many times its processor time work takes: 1 on a machine that has nothing else to do. */
  get factor(): number {
    const { wallMs, cpuMs } = this.#meter.totals
    const usedMs = cpuMs - this.#before.cpuMs
    return usedMs > 0 ? Math.max(1, (wallMs - this.#before.wallMs) / usedMs) : 1
  }

  get isStarved(): boolean {
    return this.factor >= STARVED_FACTOR
  }

  /** The factor as a clause. */
  get pace(): string {
    return `work took ${this.factor.toFixed(1)} times its processor time on this machine`
  }

  /**
   * Fails when something that the product promises took too long. The promise does not stretch; but where the machine
   * was starved since this watch began, the failure says that it proves nothing about the product.
   */
  assertBelow(limitMs: number, tookMs: number, what: string): void {
    const blame = this.isStarved ? `; the machine was too slow for this assertion: ${this.pace}` : ''
    assert.ok(tookMs < limitMs, `${what} took ${tookMs.toFixed(0)} ms, not less than ${limitMs} ms${blame}`)
  }

  [Symbol.dispose](): void {
    if (this.#ended) return
    this.#ended = true
    this.#meter.end()
  }
}

/**
 * A deadline that counts the time in which the machine gives processor to the tests: it stretches by what a watch
 * measures.
 */
export class Deadline implements Disposable {
  readonly #ms: number
  readonly #meter: Meter
  readonly #watch: Watch
  #cancel: (() => void) | undefined

  constructor(ms: number, meter: Meter = MACHINE) {
    this.#ms = ms
    this.#meter = meter
    this.#watch = new Watch(meter)
  }

  get passed(): boolean {
    return this.#leftMs <= 0
  }

  /** Calls once, when the deadline passes before it is disposed of. One call a deadline. */
  onPassed(call: () => void): this {
    this.#cancel = this.#meter.clocks.later(Math.max(1, this.#leftMs), () => {
      if (this.passed) call()
      else this.onPassed(call)
    })
    return this
  }

  /** Aborts, with the message as the reason, when the deadline passes. */
  signal(what: string): AbortSignal {
    const controller = new AbortController()
    this.onPassed(() => controller.abort(new Error(this.missed(what))))
    return controller.signal
  }

  /** What to say when it was missed. */
  missed(what: string): string {
    const { factor, pace } = this.#watch
    if (factor < STARVED_FACTOR) return `not within ${this.#limitMs.toFixed(0)} ms: ${what}`
    const slow = factor < MOST_STRETCH ? 'slow' : 'too slow for this test'
    return `not within ${this.#limitMs.toFixed(0)} ms (${this.#ms} on an idle machine): ${what}; the machine is ${slow}: ${pace}`
  }

  [Symbol.dispose](): void {
    this.#cancel?.()
    this.#watch[Symbol.dispose]()
  }

  get #limitMs(): number {
    return this.#ms * Math.min(this.#watch.factor, MOST_STRETCH)
  }

  get #leftMs(): number {
    return this.#limitMs - this.#watch.elapsedMs
  }
}

/** What the promise comes to, unless the signal aborts before: then it fails with its reason. */
export function before<T>(late: AbortSignal, promise: Promise<T>): Promise<T> {
  const tooLate = new Promise<never>((_, reject) => {
    if (late.aborted) reject(late.reason)
    late.addEventListener('abort', () => reject(late.reason))
  })
  return Promise.race([promise, tooLate])
}

/**
 * For limits that are set before anything is measured, as those of node:test: the longest that a deadline may become.
 */
export function longest(ms: number): number {
  return ms * MOST_STRETCH
}
