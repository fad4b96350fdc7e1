import { setMaxListeners } from 'node:events'
import { AshlarError } from '@ashlar/proto'

/** Calls that begin within this share of the timeout have one signal, so that a call costs no timer of its own. */
const SHARE = 0.1

/** Abort signals for device calls that have a deadline. A call is aborted after the timeout, or up to a tenth later. */
export class DeadlineSignals {
  readonly #timeoutMs: number | undefined
  readonly #timers = new Set<NodeJS.Timeout>()
  #current: AbortSignal | undefined
  #currentUntil = 0

  /** Without a timeout calls have no signal: the device alone knows when to give up. */
  constructor(timeoutMs: number | undefined) {
    this.#timeoutMs = timeoutMs
  }

  /** The signal for a call that begins now. */
  current(): AbortSignal | undefined {
    if (this.#timeoutMs === undefined) return undefined
    const now = performance.now()
    if (this.#current === undefined || now >= this.#currentUntil) this.#renew(now, this.#timeoutMs)
    return this.#current
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #renew(now: number, timeoutMs: number): void {
    const controller = new AbortController()
    setMaxListeners(0, controller.signal)
    this.#current = controller.signal
    this.#currentUntil = now + timeoutMs * SHARE
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        controller.abort(new AshlarError('TIMEOUT', `no answer within ${timeoutMs} ms`))
      },
      timeoutMs * (1 + SHARE),
    )
    timer.unref()
    this.#timers.add(timer)
  }
}
