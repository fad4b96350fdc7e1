import { AshlarError } from '@ashlar/proto'
import { InFlight } from './in-flight.ts'

/** The part of a volume that an import writes to. */
export interface ImportTarget {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  write(offset: number, bytes: Uint8Array): Promise<void>
  trim(offset: number, length: number): Promise<void>
  flush(): Promise<void>
}

/** Bytes that are cut and looked at together: the size of one operation of a volume. */
export const CHUNK_BYTES = 2 ** 20
/** Chunks on their way at once. */
const CHUNKS_IN_FLIGHT = 8
/** Longest run of zeroes that is trimmed by one call. */
const MAX_TRIM_BYTES = 2 ** 30

/**
 * Writes a raw image to the start of a volume. Blocks of zeroes are trimmed instead of written, so that they take no room
 * and old bytes do not shine through; what lies behind the end of the image stays as it is. Resolves once all of it is on
 * stable storage, to the bytes of the image. Throws OUT_OF_RANGE when the image is larger than the volume.
 */
export async function importImage(
  image: AsyncIterable<Uint8Array>,
  target: ImportTarget,
  onProgress: (bytes: number, hole: boolean) => void,
): Promise<number> {
  const inFlight = new InFlight(CHUNKS_IN_FLIGHT)
  let offset = 0
  let zeroes = 0
  const trimZeroes = async (): Promise<void> => {
    const [from, length] = [offset - zeroes, zeroes]
    zeroes = 0
    if (length === 0) return
    await inFlight.add(async () => {
      await target.trim(from, length)
      onProgress(length, true)
    })
  }
  try {
    for await (const chunk of chunksOf(image)) {
      if (offset + chunk.length > target.sizeBytes) throw tooLarge(target)
      for (const run of zeroRuns(chunk, target.blockSizeBytes)) {
        if (run.zero) {
          zeroes += run.bytes.length
          offset += run.bytes.length
          if (zeroes >= MAX_TRIM_BYTES) await trimZeroes()
          continue
        }
        await trimZeroes()
        const at = offset
        offset += run.bytes.length
        await inFlight.add(async () => {
          await target.write(at, run.bytes)
          onProgress(run.bytes.length, false)
        })
      }
    }
    await trimZeroes()
  } finally {
    // Also after a failure: a write that is on its way must not outlive the volume that it was begun on.
    await inFlight.settled()
  }
  await target.flush()
  return offset
}

function tooLarge({ name, sizeBytes }: ImportTarget): AshlarError {
  return new AshlarError('OUT_OF_RANGE', `the image is larger than volume ${name} with its ${sizeBytes} bytes`, {
    hint: 'create a larger volume',
  })
}

/** The same bytes in chunks of CHUNK_BYTES, the last one shorter; each chunk is memory of its own. */
export async function* chunksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(CHUNK_BYTES)
  let filled = 0
  for await (const bytes of source) {
    for (let taken = 0; taken < bytes.length; ) {
      const part = bytes.subarray(taken, taken + CHUNK_BYTES - filled)
      chunk.set(part, filled)
      filled += part.length
      taken += part.length
      if (filled < CHUNK_BYTES) continue
      yield chunk
      chunk = new Uint8Array(CHUNK_BYTES)
      filled = 0
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled)
}

/** Cuts bytes into runs of whole blocks that are all zeroes, and of others. A short block at the end counts as a block. */
export function zeroRuns(bytes: Uint8Array, blockSizeBytes: number): { zero: boolean; bytes: Uint8Array }[] {
  const runs: { zero: boolean; from: number; to: number }[] = []
  for (let from = 0; from < bytes.length; from += blockSizeBytes) {
    const to = Math.min(from + blockSizeBytes, bytes.length)
    const zero = isZero(bytes.subarray(from, to))
    const last = runs.at(-1)
    if (last !== undefined && last.zero === zero) last.to = to
    else runs.push({ zero, from, to })
  }
  return runs.map(({ zero, from, to }) => ({ zero, bytes: bytes.subarray(from, to) }))
}

const ZEROES = Buffer.alloc(2 ** 20)

/** True when all bytes (at most 1 MiB) are 0. */
export function isZero(bytes: Uint8Array): boolean {
  return ZEROES.compare(bytes, 0, bytes.length, 0, bytes.length) === 0
}
