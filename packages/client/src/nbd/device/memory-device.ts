import { AshlarError, isPowerOfTwo, KIB, MIB } from '@ashlar/proto'
import { checkOpen, checkRange, checkWritable } from './checks.ts'
import type {
  AllocationRun,
  BlockDevice,
  DeviceOptions,
  DeviceReadOptions,
  DeviceZeroOptions,
  ReadPart,
} from './device.ts'

export interface MemoryDeviceOptions {
  readonly sizeBytes: number
  /** Unit of allocation, a power of two of at most 1 MiB; 4 KiB unless given. */
  readonly blockSizeBytes?: number
  readonly readOnly?: boolean
}

/** State of a block: nothing stored, bytes stored, or zeroes that stay allocated. */
const HOLE = 0
const DATA = 1
const ZERO = 2
/** Memory is taken in pieces of this size. */
const CHUNK_BYTES = MIB
/** Runs that one call of `allocation` gives at most. */
const MAX_RUNS = 4096

interface Chunk {
  /** Bytes of a block that is not DATA are zero. */
  readonly bytes: Uint8Array
  readonly states: Uint8Array
}

/** A sparse device in memory. Its content is lost when the process ends; writes need no flush. */
export class MemoryDevice implements BlockDevice {
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  readonly readOnly: boolean
  readonly fastZero = true
  readonly #chunks = new Map<number, Chunk>()
  #closed = false

  constructor(options: MemoryDeviceOptions) {
    const { sizeBytes, blockSizeBytes = 4 * KIB, readOnly = false } = options
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new AshlarError('USAGE', `sizeBytes is ${sizeBytes}; give a whole number of bytes above 0`)
    }
    if (!isPowerOfTwo(blockSizeBytes) || blockSizeBytes > CHUNK_BYTES) {
      throw new AshlarError('USAGE', `blockSizeBytes is ${blockSizeBytes}; give a power of two up to ${CHUNK_BYTES}`)
    }
    this.sizeBytes = sizeBytes
    this.blockSizeBytes = blockSizeBytes
    this.readOnly = readOnly
  }

  async read(offset: number, length: number, options?: DeviceReadOptions): Promise<readonly ReadPart[]> {
    this.#check(offset, length, options)
    const parts: ReadPart[] = []
    for (const piece of pieces(offset, length)) {
      const chunk = this.#chunks.get(piece.chunk)
      if (chunk === undefined) addZeroes(parts, piece.length)
      else this.#readChunk(chunk, piece, parts, options?.allocate ?? Buffer.allocUnsafeSlow)
    }
    return parts
  }

  async write(offset: number, bytes: Uint8Array, options?: DeviceOptions): Promise<void> {
    this.#checkWrite(offset, bytes.length, options)
    let done = 0
    for (const piece of pieces(offset, bytes.length)) {
      const chunk = this.#chunk(piece.chunk)
      chunk.bytes.set(bytes.subarray(done, done + piece.length), piece.from)
      chunk.states.fill(DATA, this.#blockOf(piece.from), this.#blockOf(piece.from + piece.length - 1) + 1)
      done += piece.length
    }
  }

  async flush(options?: DeviceOptions): Promise<void> {
    checkOpen(this.#closed)
    checkNotAborted(options)
  }

  async trim(offset: number, length: number, options?: DeviceOptions): Promise<void> {
    this.#checkWrite(offset, length, options)
    for (const piece of pieces(offset, length)) {
      const chunk = this.#chunks.get(piece.chunk)
      if (chunk === undefined) continue
      const first = Math.ceil(piece.from / this.blockSizeBytes)
      const end = Math.floor((piece.from + piece.length) / this.blockSizeBytes)
      if (first >= end) continue
      if (end - first === chunk.states.length) this.#chunks.delete(piece.chunk)
      else this.#clear(chunk, first * this.blockSizeBytes, end * this.blockSizeBytes, HOLE)
    }
  }

  async writeZeroes(offset: number, length: number, options?: DeviceZeroOptions): Promise<void> {
    this.#checkWrite(offset, length, options)
    const state = options?.noHole === true ? ZERO : HOLE
    for (const piece of pieces(offset, length)) {
      if (state === HOLE && piece.length === CHUNK_BYTES) this.#chunks.delete(piece.chunk)
      else if (state === ZERO || this.#chunks.has(piece.chunk)) {
        this.#clear(this.#chunk(piece.chunk), piece.from, piece.from + piece.length, state)
      }
    }
  }

  async allocation(offset: number, length: number, options?: DeviceOptions): Promise<readonly AllocationRun[]> {
    this.#check(offset, length, options)
    const runs: { length: number; state: number }[] = []
    const add = (state: number, runBytes: number): void => {
      const last = runs.at(-1)
      if (last?.state === state) last.length += runBytes
      else runs.push({ length: runBytes, state })
    }
    for (const piece of pieces(offset, length)) {
      if (runs.length >= MAX_RUNS) break
      const chunk = this.#chunks.get(piece.chunk)
      if (chunk === undefined) add(HOLE, piece.length)
      else for (const run of this.#runs(chunk, piece.from, piece.length)) add(run.state, run.length)
    }
    return runs.map((run) => ({ length: run.length, hole: run.state === HOLE, zero: run.state !== DATA }))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#chunks.clear()
  }

  #readChunk(chunk: Chunk, piece: Piece, parts: ReadPart[], allocate: (length: number) => Uint8Array): void {
    for (const run of this.#runs(chunk, piece.from, piece.length)) {
      if (run.state === DATA) parts.push(copyOf(chunk.bytes, run.from, allocate(run.length)))
      else addZeroes(parts, run.length)
    }
  }

  /** Runs of blocks of one state, cut to the range. */
  #runs(chunk: Chunk, from: number, length: number): { from: number; length: number; state: number }[] {
    const end = from + length
    const runs: { from: number; length: number; state: number }[] = []
    let at = from
    while (at < end) {
      let block = this.#blockOf(at)
      const state = chunk.states[block] as number
      do block++
      while (block * this.blockSizeBytes < end && chunk.states[block] === state)
      const runEnd = Math.min(end, block * this.blockSizeBytes)
      runs.push({ from: at, length: runEnd - at, state })
      at = runEnd
    }
    return runs
  }

  /** Zeroes a range of a chunk. Blocks that lie in it whole get the state; one that is cut stays DATA if it was. */
  #clear(chunk: Chunk, from: number, end: number, state: number): void {
    chunk.bytes.fill(0, from, end)
    const size = this.blockSizeBytes
    for (let block = this.#blockOf(from); block * size < end; block++) {
      const whole = block * size >= from && (block + 1) * size <= end
      if (whole || (chunk.states[block] === HOLE && state === ZERO)) chunk.states[block] = state
    }
  }

  #chunk(index: number): Chunk {
    let chunk = this.#chunks.get(index)
    if (chunk === undefined) {
      chunk = { bytes: new Uint8Array(CHUNK_BYTES), states: new Uint8Array(CHUNK_BYTES / this.blockSizeBytes) }
      this.#chunks.set(index, chunk)
    }
    return chunk
  }

  #blockOf(position: number): number {
    return Math.floor(position / this.blockSizeBytes)
  }

  #check(offset: number, length: number, options: DeviceOptions | undefined): void {
    checkOpen(this.#closed)
    checkNotAborted(options)
    checkRange(this.sizeBytes, offset, length)
  }

  #checkWrite(offset: number, length: number, options: DeviceOptions | undefined): void {
    checkWritable(this.readOnly)
    this.#check(offset, length, options)
  }
}

interface Piece {
  readonly chunk: number
  readonly from: number
  readonly length: number
}

/** Cuts a range at the edges of chunks. */
function pieces(offset: number, length: number): Piece[] {
  const found: Piece[] = []
  for (let at = offset; at < offset + length; ) {
    const from = at % CHUNK_BYTES
    const size = Math.min(CHUNK_BYTES - from, offset + length - at)
    found.push({ chunk: Math.floor(at / CHUNK_BYTES), from, length: size })
    at += size
  }
  return found
}

function copyOf(bytes: Uint8Array, from: number, target: Uint8Array): Uint8Array {
  target.set(bytes.subarray(from, from + target.length))
  return target
}

function addZeroes(parts: ReadPart[], length: number): void {
  const last = parts.at(-1)
  if (last === undefined || last instanceof Uint8Array) parts.push({ zeroBytes: length })
  else parts[parts.length - 1] = { zeroBytes: last.zeroBytes + length }
}

function checkNotAborted(options: DeviceOptions | undefined): void {
  if (options?.signal?.aborted)
    throw new AshlarError('ABORTED', 'the call was aborted', { cause: options.signal.reason })
}
