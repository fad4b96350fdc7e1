import { BLOCK_DATA, type BlockKind } from '@ashlar/proto'
import { CHUNK_BYTES } from './import.ts'
import { InFlight } from './in-flight.ts'

/** The part of a volume that an export reads from. */
export interface ExportSource {
  readonly sizeBytes: number
  read(offset: number, length: number): Promise<Uint8Array>
  /** Runs of bytes by the kind of their blocks, that sum up to `length`. */
  allocation(offset: number, length: number): Promise<readonly { readonly length: number; readonly kind: BlockKind }[]>
}

/** Where an image with holes goes: a file that reads as zeroes where nothing was put. */
export interface HoleyTarget {
  put(offset: number, bytes: Uint8Array): Promise<void>
}

const CHUNKS_IN_FLIGHT = 8
/** Bytes whose allocation is asked for at once. */
const ALLOCATION_BYTES = 256 * 2 ** 20

/** A range of a volume that holds data, or one that reads as zeroes. */
export interface Run {
  readonly offset: number
  readonly length: number
  readonly hole: boolean
}

/** The whole volume as runs, in order; runs of data are at most CHUNK_BYTES long. */
export async function* runsOf(source: ExportSource): AsyncGenerator<Run> {
  for (let from = 0; from < source.sizeBytes; from += ALLOCATION_BYTES) {
    const length = Math.min(ALLOCATION_BYTES, source.sizeBytes - from)
    let offset = from
    for (const run of await source.allocation(from, length)) {
      if (run.kind !== BLOCK_DATA) yield { offset, length: run.length, hole: true }
      else yield* chunked(offset, run.length)
      offset += run.length
    }
  }
}

function* chunked(offset: number, length: number): Generator<Run> {
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    yield { offset: offset + at, length: Math.min(CHUNK_BYTES, length - at), hole: false }
  }
}

/** Copies what holds data, and leaves holes where nothing does. */
export async function exportWithHoles(
  source: ExportSource,
  target: HoleyTarget,
  onProgress: (bytes: number, hole: boolean) => void,
): Promise<void> {
  const inFlight = new InFlight(CHUNKS_IN_FLIGHT)
  try {
    for await (const { offset, length, hole } of runsOf(source)) {
      if (hole) onProgress(length, true)
      else {
        await inFlight.add(async () => {
          await target.put(offset, await source.read(offset, length))
          onProgress(length, false)
        })
      }
    }
  } finally {
    await inFlight.settled()
  }
}

const ZEROES = new Uint8Array(CHUNK_BYTES)

/** The whole image in order, holes as zeroes, reading a few chunks ahead: for a pipe. */
export async function* exportInOrder(
  source: ExportSource,
  onProgress: (bytes: number, hole: boolean) => void,
): AsyncGenerator<Uint8Array> {
  const ahead: { readonly run: Run; readonly bytes: Promise<Uint8Array> | undefined }[] = []
  const take = async function* (down: number): AsyncGenerator<Uint8Array> {
    for (let next = ahead[0]; next !== undefined && ahead.length > down; next = ahead[0]) {
      ahead.shift()
      if (next.bytes === undefined) yield* zeroes(next.run.length)
      else yield await next.bytes
      onProgress(next.run.length, next.run.hole)
    }
  }
  for await (const run of runsOf(source)) {
    const bytes = run.hole ? undefined : source.read(run.offset, run.length)
    // It is awaited in its turn; until then a failure must not count as an unhandled rejection.
    bytes?.catch(() => undefined)
    ahead.push({ run, bytes })
    yield* take(CHUNKS_IN_FLIGHT - 1)
  }
  yield* take(0)
}

function* zeroes(length: number): Generator<Uint8Array> {
  for (let at = 0; at < length; at += CHUNK_BYTES) yield ZEROES.subarray(0, Math.min(CHUNK_BYTES, length - at))
}
