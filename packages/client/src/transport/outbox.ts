import type { AnyMessage, Bytes } from '@ashlar/proto'
import { messageBytes } from '@ashlar/proto/codec'

/**
 * Messages that wait for their connection, first in, first out, and their size. They wait as they are: encoding copies a
 * payload, so it is done only when the connection takes it.
 */
export class Outbox {
  #messages: AnyMessage[] = []
  /** Messages before this index were taken. */
  #head = 0
  #bytes = 0

  get bytes(): Bytes {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#head === this.#messages.length
  }

  add(message: AnyMessage): void {
    this.#messages.push(message)
    this.#bytes += messageBytes(message)
  }

  /** The messages of the next frame: at least one, more while they stay within both bounds. Empty when nothing waits. */
  take(maxBytes: Bytes, maxMessages: number): AnyMessage[] {
    const taken: AnyMessage[] = []
    let bytes = 0
    while (this.#head < this.#messages.length && taken.length < maxMessages) {
      const message = this.#messages[this.#head]
      if (message === undefined) break
      const size = messageBytes(message)
      if (taken.length > 0 && bytes + size > maxBytes) break
      bytes += size
      taken.push(message)
      this.#head++
    }
    this.#bytes -= bytes
    if (this.#head === this.#messages.length || this.#head > 1024) {
      this.#messages = this.#messages.slice(this.#head)
      this.#head = 0
    }
    return taken
  }
}
