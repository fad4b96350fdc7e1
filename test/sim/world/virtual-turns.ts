import type { Clock } from './time.ts'

type Action = () => void

/** A timer of code that runs in virtual time. */
interface Handle {
  cancelled: boolean
  ref(): Handle
  unref(): Handle
}

/** What code of the shell asks the time of, and asks to be called later. */
const GLOBALS = ['setImmediate', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] as const

/**
 * Turns of an event loop in virtual time, for shipped code that is made of promises and timers: such code runs inside
 * `enter` only, and each turn goes on until nothing is left to do at that moment, so that what it does is a function of
 * its inputs. While it runs, timers and the monotonic clock are those of the simulation.
 *
 * Microtasks are run by `process._tickCallback`, which does nothing inside a microtask: a simulation with such code
 * must be started by a timer or an immediate. Half a microsecond a call.
 */
export class VirtualTurns {
  private readonly clock: Clock
  private readonly substitutes: Readonly<Record<(typeof GLOBALS)[number], unknown>>
  private immediates: Action[] = []
  private ended = false

  constructor(clock: Clock) {
    this.clock = clock
    const cancel = (handle: Handle | undefined): void => {
      if (handle !== undefined) handle.cancelled = true
    }
    this.substitutes = {
      setImmediate: (action: Action) => void this.immediates.push(action),
      setTimeout: (action: Action, ms: number) => this.later(action, ms, false),
      setInterval: (action: Action, ms: number) => this.later(action, ms, true),
      clearTimeout: cancel,
      clearInterval: cancel,
    }
  }

  /** Nothing that was asked for earlier happens any more. */
  end(): void {
    this.ended = true
    this.immediates = []
  }

  /** Runs shipped code, and what follows from it at this moment. */
  enter(action: Action): void {
    this.within(() => {
      action()
      runMicrotasks()
      while (this.immediates.length > 0 && !this.ended) {
        const due = this.immediates
        this.immediates = []
        for (const immediate of due) {
          immediate()
          runMicrotasks()
        }
      }
    })
  }

  /** Runs shipped code, and the microtasks that follow from it: what it asked to be done in the next turn waits. */
  call(action: Action): void {
    this.within(() => {
      action()
      runMicrotasks()
    })
  }

  /** What a promise of shipped code came to by now. Throws its error, or one that says that it waits for something. */
  result<T>(begin: () => Promise<T>): T {
    const ended: { readonly value?: T; readonly error?: unknown }[] = []
    this.enter(() => {
      begin().then(
        (value) => ended.push({ value }),
        (error: unknown) => ended.push({ error }),
      )
    })
    const [end] = ended
    if (end === undefined) throw new Error('shipped code waits for what no turn brings')
    if ('error' in end) throw end.error
    return end.value as T
  }

  private later(action: Action, ms: number, again: boolean): Handle {
    const handle: Handle = { cancelled: false, ref: () => handle, unref: () => handle }
    const wait = (): void => {
      this.clock.after(Math.max(1, ms), () => {
        if (handle.cancelled || this.ended) return
        this.enter(action)
        if (again) wait()
      })
    }
    wait()
    return handle
  }

  private within(action: Action): void {
    const own = globalThis as unknown as Record<string, unknown>
    const before = GLOBALS.map((name) => own[name])
    const now = performance.now
    for (const name of GLOBALS) own[name] = this.substitutes[name]
    performance.now = () => this.clock.now
    try {
      action()
    } finally {
      for (const [place, name] of GLOBALS.entries()) own[name] = before[place]
      performance.now = now
    }
  }
}

const tickCallback = (process as unknown as { readonly _tickCallback: Action })._tickCallback

function runMicrotasks(): void {
  let ran = false
  void Promise.resolve().then(() => {
    ran = true
  })
  tickCallback()
  if (!ran)
    throw new Error('a seed with the shipped store was started inside a microtask: use simulateLater, or setImmediate')
}
