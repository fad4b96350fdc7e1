import { MIB } from '@ashlar/proto'
import type { Budget } from './budget.ts'
import type { ByteStream } from './byte-stream.ts'
import type { PooledBuffer } from './transfer-memory.ts'

/** Bytes given to the socket at once: the step in which progress of a slow reader is seen. */
const BATCH_BYTES = MIB

/**
 * Replies on their way out. Those of one turn of the event loop become one system call, large data is passed on
 * uncopied, and the kernel has taken a batch before the next one is handed over, so that what the client has not taken
 * is known.
 */
export class Outgoing {
  readonly #socket: ByteStream
  readonly #budget: Budget
  readonly #onProgress: () => void
  #parts: Uint8Array[] = []
  #next = 0
  #bytes = 0
  /** Bytes since the connection began. */
  #pushedBytes = 0
  /** Buffers in the order in which their bytes end, counted like `#pushedBytes`. */
  #lent: { readonly end: number; readonly buffers: readonly PooledBuffer[] }[] = []
  /** The socket has a batch, or gets one at the end of this turn. */
  #busy = false
  #ending = false
  #cut = false
  /** Moment at which the kernel last took bytes, or at which there were none to take. */
  #progressAt: number

  constructor(socket: ByteStream, budget: Budget, onProgress: () => void) {
    this.#socket = socket
    this.#budget = budget
    this.#onProgress = onProgress
    this.#progressAt = performance.now()
  }

  /** Bytes that the kernel has not taken. */
  get bytes(): number {
    return this.#bytes
  }

  /** For how long the client has taken nothing of what is there for it. */
  stalledMs(now: number): number {
    return this.#bytes === 0 ? 0 : now - this.#progressAt
  }

  /**
   * `buffers` hold the memory of `parts`. They return to the pool once the kernel has taken the bytes; not if the
   * connection ends first.
   */
  push(parts: readonly Uint8Array[], buffers: readonly PooledBuffer[] = []): void {
    if (this.#ending || this.#socket.destroyed) return
    if (this.#bytes === 0) this.#progressAt = performance.now()
    let added = 0
    for (const part of parts) {
      this.#parts.push(part)
      added += part.length
    }
    if (added === 0) return
    this.#bytes += added
    this.#pushedBytes += added
    if (buffers.length > 0) this.#lent.push({ end: this.#pushedBytes, buffers })
    this.#budget.add(added)
    if (this.#busy) return
    this.#busy = true
    setImmediate(() => {
      if (!this.#socket.destroyed) this.#send()
    })
  }

  /** Ends the connection's sending side once everything pushed before is out; `cut` also stops receiving then. */
  end(cut = false): void {
    this.#ending = true
    this.#cut ||= cut
    if (this.#bytes === 0) this.#endSocket()
  }

  /** The connection is gone: gives up what was not sent. */
  discard(): void {
    this.#budget.give(this.#bytes)
    this.#bytes = 0
    this.#parts = []
    this.#lent = []
    this.#next = 0
    this.#ending = true
  }

  #send(): void {
    let batch = 0
    const socket = this.#socket
    socket.cork()
    while (batch < BATCH_BYTES && this.#next < this.#parts.length) {
      const part = this.#parts[this.#next] as Uint8Array
      const taken = Math.min(part.length, BATCH_BYTES - batch)
      if (taken === part.length) this.#next++
      else this.#parts[this.#next] = part.subarray(taken)
      batch += taken
      const last = batch === BATCH_BYTES || this.#next === this.#parts.length
      const piece = taken === part.length ? part : part.subarray(0, taken)
      if (last) socket.write(piece, (error) => this.#onSent(batch, error))
      else socket.write(piece)
    }
    if (this.#next === this.#parts.length) {
      this.#parts = []
      this.#next = 0
    }
    socket.uncork()
  }

  #onSent(batch: number, error: Error | null | undefined): void {
    this.#busy = false
    // What failed may still be queued somewhere below: its memory is not used again.
    if (error) this.#lent = []
    if (this.#bytes === 0) return
    this.#bytes -= batch
    this.#releaseBuffer(this.#pushedBytes - this.#bytes)
    this.#budget.give(batch)
    this.#progressAt = performance.now()
    if (this.#bytes > 0) {
      this.#busy = true
      this.#send()
    } else if (this.#ending) this.#endSocket()
    this.#onProgress()
  }

  #releaseBuffer(sentBytes: number): void {
    for (let next = this.#lent[0]; next !== undefined && next.end <= sentBytes; next = this.#lent[0]) {
      for (const buffer of next.buffers) buffer.release()
      this.#lent.shift()
    }
  }

  #endSocket(): void {
    const socket = this.#socket
    if (!this.#cut) socket.end()
    else if (socket.destroySoon !== undefined) socket.destroySoon()
    else socket.end(() => socket.destroy())
  }
}
