import { type Bytes, MIB } from '@ashlar/proto'
import type { IoOptions } from './options.ts'

/** What a stream needs of a volume. */
export interface StreamedVolume {
  read(offset: number, length: number, options?: IoOptions): Promise<Uint8Array>
  write(offset: number, bytes: Uint8Array, options?: IoOptions): Promise<void>
  flush(options?: IoOptions): Promise<void>
}

/** Streams move chunks of this size, cut at its multiples: one piece each on the way to a primary. */
const CHUNK_BYTES = MIB
/** Chunks on their way at once. */
const CHUNKS_AHEAD = 4

/** Bytes from `offset` to the next multiple of the chunk size, or to `end`. */
function chunkEnd(offset: Bytes, end: Bytes): Bytes {
  return Math.min(end, offset - (offset % CHUNK_BYTES) + CHUNK_BYTES)
}

/** A stream of the bytes from `start` to `end` that reads a few chunks ahead of its reader. */
export function readableOf(volume: StreamedVolume, start: Bytes, end: Bytes): ReadableStream<Uint8Array> {
  const stop = new AbortController()
  const ahead: Promise<Uint8Array>[] = []
  let offset = start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (ahead.length < CHUNKS_AHEAD && offset < end) {
          const to = chunkEnd(offset, end)
          const chunk = volume.read(offset, to - offset, { signal: stop.signal })
          // It is awaited in its turn; until then a failure must not count as an unhandled rejection.
          chunk.catch(() => {})
          ahead.push(chunk)
          offset = to
        }
        const next = ahead.shift()
        if (next === undefined) controller.close()
        else controller.enqueue(await next)
      },
      cancel(reason) {
        stop.abort(reason)
      },
    },
    { highWaterMark: 1 },
  )
}

/** A stream that writes from `start` on, in whole chunks where it can, a few of them at once. */
export function writableOf(volume: StreamedVolume, start: Bytes): WritableStream<Uint8Array> {
  const writer = new ChunkWriter(volume, start)
  return new WritableStream<Uint8Array>({
    write: (bytes) => writer.add(bytes),
    close: () => writer.finish(),
    abort: (reason) => writer.abandon(reason),
  })
}

/** Gathers bytes into chunks and keeps a bounded number of writes on their way. */
class ChunkWriter {
  readonly #volume: StreamedVolume
  readonly #stop = new AbortController()
  /** Writes that have not settled; each settles to its failure or to undefined. */
  readonly #inFlight: Set<Promise<unknown>> = new Set()
  #offset: Bytes
  #chunk = new Uint8Array(0)
  #filled = 0
  #failure: { readonly error: unknown } | undefined

  constructor(volume: StreamedVolume, start: Bytes) {
    this.#volume = volume
    this.#offset = start
  }

  /** Copies the bytes; waits while enough is on its way. Rejects with the failure of an earlier chunk. */
  async add(bytes: Uint8Array): Promise<void> {
    let taken = 0
    while (taken < bytes.length) {
      if (this.#filled === 0)
        this.#chunk = new Uint8Array(chunkEnd(this.#offset, Number.MAX_SAFE_INTEGER) - this.#offset)
      const part = bytes.subarray(taken, taken + this.#chunk.length - this.#filled)
      this.#chunk.set(part, this.#filled)
      this.#filled += part.length
      taken += part.length
      if (this.#filled === this.#chunk.length) await this.#send()
    }
  }

  async finish(): Promise<void> {
    if (this.#filled > 0) await this.#send()
    await Promise.all(this.#inFlight)
    this.#throwFailure()
    await this.#volume.flush()
  }

  async abandon(reason: unknown): Promise<void> {
    this.#stop.abort(reason)
    await Promise.all(this.#inFlight)
  }

  async #send(): Promise<void> {
    const bytes = this.#chunk.subarray(0, this.#filled)
    const write = this.#volume.write(this.#offset, bytes, { signal: this.#stop.signal }).catch((error: unknown) => {
      this.#failure ??= { error }
    })
    const tracked: Promise<unknown> = write.finally(() => this.#inFlight.delete(tracked))
    this.#inFlight.add(tracked)
    this.#offset += this.#filled
    this.#filled = 0
    if (this.#inFlight.size >= CHUNKS_AHEAD) await Promise.race(this.#inFlight)
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
