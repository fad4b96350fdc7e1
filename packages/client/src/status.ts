import type { ClientEvent } from './core/machine.ts'

/** Events of `status()`: connections, the map, requests that wait, volumes that are lost. */
export type StatusEvent = ClientEvent

/** Events that one slow reader may be behind; the oldest are dropped beyond it. */
const MAX_BEHIND = 1024

type Result = IteratorResult<StatusEvent, undefined>
const DONE: Result = { done: true, value: undefined }

/** Passes every event to every reader of `status()`; a reader gets the events after its start. */
export class StatusFeed {
  readonly #readers: Set<StatusReader> = new Set()
  #ended = false

  publish(event: StatusEvent): void {
    for (const reader of this.#readers) reader.add(event)
  }

  /** Ends every reader after the events that it has not seen yet. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
    this.#readers.clear()
  }

  /** Events from now on. Reading starts here, not with the first `next()`; leaving the loop, or `return()`, ends it. */
  subscribe(): AsyncIterable<StatusEvent> {
    const reader = new StatusReader(() => this.#readers.delete(reader))
    if (this.#ended) reader.end()
    else this.#readers.add(reader)
    return reader
  }
}

/** One reader. Not a generator: `return()` of one that waits, or was never read, would not run its cleaning up. */
class StatusReader implements AsyncIterableIterator<StatusEvent, undefined> {
  readonly #onLeft: () => void
  readonly #events: StatusEvent[] = []
  /** Calls of `next` that wait for an event or for the end, oldest first. */
  readonly #waiting: ((result: Result) => void)[] = []
  #ended = false

  constructor(onLeft: () => void) {
    this.#onLeft = onLeft
  }

  add(event: StatusEvent): void {
    const resolve = this.#waiting.shift()
    if (resolve !== undefined) {
      resolve({ done: false, value: event })
      return
    }
    this.#events.push(event)
    if (this.#events.length > MAX_BEHIND) this.#events.shift()
  }

  end(): void {
    this.#ended = true
    for (const resolve of this.#waiting.splice(0)) resolve(DONE)
  }

  next(): Promise<Result> {
    const value = this.#events.shift()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<Result> {
    this.#events.length = 0
    this.end()
    this.#onLeft()
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
