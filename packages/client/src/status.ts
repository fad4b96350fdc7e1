import type { ClientEvent } from './core/machine.ts'

/** What `status()` tells: connections, the map, requests that wait, volumes that are lost. */
export type StatusEvent = ClientEvent

/** Events that one slow reader may be behind; the oldest are dropped beyond it. */
const MAX_BEHIND = 1024

interface Reader {
  readonly events: StatusEvent[]
  /** Wakes the reader that waits for an event or for the end. */
  wake: (() => void) | undefined
}

/** Hands every event to every reader of `status()`; a reader sees what happens after it began. */
export class StatusFeed {
  readonly #readers: Set<Reader> = new Set()
  #ended = false

  publish(event: StatusEvent): void {
    for (const reader of this.#readers) {
      reader.events.push(event)
      if (reader.events.length > MAX_BEHIND) reader.events.shift()
      reader.wake?.()
    }
  }

  /** Ends every reader after the events that it has not seen yet. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.wake?.()
  }

  /** Events from now on. Reading starts here, not with the first `next()`; leaving the loop ends it. */
  subscribe(): AsyncIterable<StatusEvent> {
    const reader: Reader = { events: [], wake: undefined }
    if (!this.#ended) this.#readers.add(reader)
    const iterator = this.#read(reader)
    return { [Symbol.asyncIterator]: () => iterator }
  }

  async *#read(reader: Reader): AsyncGenerator<StatusEvent, void, undefined> {
    try {
      for (;;) {
        const event = reader.events.shift()
        if (event !== undefined) yield event
        else if (this.#ended) return
        else
          await new Promise<void>((resolve) => {
            reader.wake = resolve
          })
      }
    } finally {
      this.#readers.delete(reader)
    }
  }
}
