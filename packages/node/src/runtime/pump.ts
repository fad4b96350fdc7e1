import type { Millis } from '@ashlar/proto'
import type { Effect, Input } from '../core/machine.ts'

/** A machine as the pump drives it. */
export interface PumpedMachine {
  step(now: Millis, input: Input): readonly Effect[]
}

export interface PumpOptions {
  readonly machine: PumpedMachine
  /** Monotonic milliseconds. */
  readonly clock: () => Millis
  /** Called before the first queued input is stepped, so that `clock` counts time in which the machine was suspended. */
  readonly checkClock: () => void
  /** Executes one effect; called in the order in which the machine returned them. Must not call `feed` synchronously. */
  readonly execute: (effect: Effect) => void
  /** Called once a turn of the event loop, after all of its inputs were stepped: gathered messages may be sent now. */
  readonly flush: () => void
  /** A machine threw: a broken invariant. The owner ends the process. */
  readonly onBroken: (error: unknown) => void
}

/**
 * The only loop of a node: queue -> step -> effects, with completions coming back through the queue. It decides nothing.
 * Inputs that arrive in one turn of the event loop are stepped together, so that their effects share frames and batches.
 */
export class Pump {
  private readonly options: PumpOptions
  private readonly queue: Input[] = []
  private scheduled = false
  private flushing = false
  private stopped = false

  constructor(options: PumpOptions) {
    this.options = options
  }

  /** Queues an input; it is stepped before the next timer or socket event is handled. */
  feed(input: Input): void {
    if (this.stopped) return
    this.queue.push(input)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => this.drain())
  }

  private drain(): void {
    this.scheduled = false
    const { machine, clock, checkClock, execute, onBroken } = this.options
    try {
      checkClock()
      for (let at = 0; at < this.queue.length && !this.stopped; at++) {
        for (const effect of machine.step(clock(), this.queue[at] as Input)) {
          if (this.stopped) return
          execute(effect)
        }
      }
      this.queue.length = 0
    } catch (error) {
      this.stopped = true
      return onBroken(error)
    }
    if (this.flushing) return
    this.flushing = true
    // Deferred, so that responses to what other sockets deliver in this turn share the frames.
    setImmediate(() => {
      this.flushing = false
      if (!this.stopped) this.options.flush()
    })
  }

  /** Steps one last input, sends what it brought, and ignores every later input. Also of a machine that threw. */
  finish(input: Input): void {
    this.stop()
    const { machine, clock, execute, flush } = this.options
    try {
      for (const effect of machine.step(clock(), input)) execute(effect)
      flush()
    } catch {
      // What it reports is for people only: the process ends with the reason in its log.
    }
  }

  /** Drops the queue and ignores every later input. */
  stop(): void {
    this.stopped = true
    this.queue.length = 0
  }
}
