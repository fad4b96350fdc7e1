import { performance } from 'node:perf_hooks'
import { invariant, TIMERS } from '@ashlar/proto'
import { ClientMachine } from './core/client-machine.ts'
import type {
  CallToken,
  ClientCall,
  ClientEffect,
  ClientEvent,
  ClientFailure,
  ClientInput,
  ClientOptions,
  ClientResult,
} from './core/machine.ts'
import { failureError } from './errors.ts'
import type { ClientMetrics } from './metrics.ts'
import type { Entry } from './options.ts'
import type { ClientTransport, ClientTransportEvents } from './transport/client-transport.ts'

/** A client with attachments renews them by one tick a second, however short its calls and the pauses between them are. */
const RENEWAL_TICK_MS = 1000

type ResultKind = ClientResult['kind']
type ResultOf<Kind extends ResultKind> = Extract<ClientResult, { kind: Kind }>

interface PendingCall {
  readonly what: ClientCall['do']
  readonly startedAt: number
  readonly resolve: (result: ClientResult) => void
  readonly reject: (failure: ClientFailure) => void
}

/** Makes the transport; it may report events from the next turn on. */
export type TransportFactory = (events: ClientTransportEvents) => ClientTransport

/** The shell of the client machine, and the only loop: inputs in, effects executed in order, calls as promises. */
export class ClientPump {
  readonly #machine: ClientMachine
  readonly #transport: ClientTransport
  readonly #metrics: ClientMetrics
  readonly #onEvent: (event: ClientEvent) => void
  readonly #pending: Map<CallToken, PendingCall> = new Map()
  readonly #inputs: ClientInput[] = []
  #isStepping = false
  #nextToken = 1
  #ticker: NodeJS.Timeout | undefined
  #renewalTicker: NodeJS.Timeout | undefined

  constructor(
    options: ClientOptions,
    parts: {
      readonly transport: TransportFactory
      readonly metrics: ClientMetrics
      readonly onEvent: (event: ClientEvent) => void
    },
  ) {
    this.#machine = new ClientMachine(options)
    this.#metrics = parts.metrics
    this.#onEvent = parts.onEvent
    this.#transport = parts.transport({
      linkUp: (link, address, store, wire) => this.#step({ type: 'link-up', link, address, store, wire }),
      linkDown: (link) => this.#step({ type: 'link-down', link }),
      dialFailed: (address, reason) => this.#step({ type: 'dial-failed', address, reason }),
      messages: (link, messages) => {
        for (const message of messages) this.#step({ type: 'received', link, message })
      },
    })
  }

  /** Starts dialing. */
  start(): void {
    this.#step({ type: 'tick' })
  }

  /**
   * Makes one call of the machine. Rejects with an AshlarError whose stack is that of the caller: frames above `entry`,
   * the public method, are left out; without `entry` no stack is kept. An aborted signal aborts the call (ABORTED, with
   * the signal's reason as cause).
   */
  call<Kind extends ResultKind>(
    call: ClientCall,
    kind: Kind,
    entry: Entry | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ResultOf<Kind>> {
    const caller: { stack?: string } = {}
    if (entry !== undefined) Error.captureStackTrace(caller, entry)
    return new Promise((resolve, reject) => {
      const token = this.#nextToken++
      const onAbort = (): void => this.#step({ type: 'abandon', token })
      this.#pending.set(token, {
        what: call.do,
        startedAt: performance.now(),
        resolve: (result) => {
          signal?.removeEventListener('abort', onAbort)
          invariant(result.kind === kind, `${call.do} was settled with ${result.kind}`)
          resolve(result as ResultOf<Kind>)
        },
        reject: (failure) => {
          signal?.removeEventListener('abort', onAbort)
          const cause = failure.code === 'ABORTED' ? signal?.reason : undefined
          reject(failureError(failure, caller.stack, cause))
        },
      })
      if (signal?.aborted === true) {
        this.#settle(token, { code: 'ABORTED', message: 'the signal was aborted before the call' })
        return
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#step({ type: 'call', token, call })
    })
  }

  /** Fails what is pending with CLOSED and closes every connection. */
  async close(): Promise<void> {
    this.#step({ type: 'shut-down' })
    clearInterval(this.#ticker)
    clearInterval(this.#renewalTicker)
    await this.#transport.close()
  }

  #step(input: ClientInput): void {
    // An event listener may make a call while effects are executed; it waits until they are done, so that order holds.
    this.#inputs.push(input)
    if (this.#isStepping) return
    this.#isStepping = true
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift())
        for (const effect of this.#machine.step(performance.now(), next)) this.#executeEffects(effect)
    } finally {
      this.#isStepping = false
    }
    this.#keepTicking()
  }

  #executeEffects(effect: ClientEffect): void {
    switch (effect.type) {
      case 'dial':
        return this.#transport.setDialed(effect.addresses)
      case 'send':
        return this.#transport.send(effect.link, effect.message)
      case 'withdraw':
        return this.#transport.withdraw(effect.link, effect.request)
      case 'close-link':
        return this.#transport.closeLink(effect.link, effect.reason)
      case 'settled':
        return this.#settle(effect.token, effect.outcome.ok ? effect.outcome.result : effect.outcome.failure)
      case 'event':
        return this.#onEvent(effect.event)
    }
  }

  #settle(token: CallToken, outcome: ClientResult | ClientFailure): void {
    const pending = this.#pending.get(token)
    if (pending === undefined) return
    this.#pending.delete(token)
    const code = 'code' in outcome ? outcome.code : 'OK'
    this.#metrics.onCall(pending.what, code, performance.now() - pending.startedAt)
    if ('code' in outcome) pending.reject(outcome)
    else pending.resolve(outcome)
  }

  /** Ticks while the machine waits for time to pass: a client without volumes costs nothing, an idle one next to nothing. */
  #keepTicking(): void {
    this.#ticker = this.#kept(this.#ticker, this.#machine.isBusy, TIMERS.tickMs)
    this.#renewalTicker = this.#kept(this.#renewalTicker, this.#machine.renews, RENEWAL_TICK_MS)
  }

  #kept(ticker: NodeJS.Timeout | undefined, isNeeded: boolean, everyMs: number): NodeJS.Timeout | undefined {
    if (isNeeded) return ticker ?? setInterval(() => this.#step({ type: 'tick' }), everyMs)
    clearInterval(ticker)
    return undefined
  }
}
