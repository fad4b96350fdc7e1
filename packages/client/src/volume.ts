import { type Bytes, splitBlocks, type VolumeRecord } from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'
import type { AllocationRun, DiscardKind, VolumeHandle } from './core/machine.ts'
import { checkBytes, checkRange, checkSignal, type Entry, type IoOptions } from './options.ts'
import type { ClientPump } from './pump.ts'
import { readableOf, writableOf } from './volume-streams.ts'

/**
 * One open volume: an array of bytes. Offsets and lengths are bytes, inside the volume (OUT_OF_RANGE), of any
 * alignment; multiples of `blockSizeBytes` are fastest.
 *
 * Calls that overlap take effect in some order; a call made after another's promise resolved sees its effect. A write
 * that resolved is on stable storage on every in-sync replica. A write that reaches its deadline is cancelled. If the
 * cluster does not confirm the cancellation in time, or the caller aborts a write in flight, the details of the error
 * have `indeterminate: true`: the write may still take effect, and later writes to its range wait until it no longer
 * can. After FENCED, every call fails with FENCED.
 */
export interface Volume extends AsyncDisposable {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  /** The bytes belong to the caller. Never written ranges read as zeroes. */
  read(offset: number, length: number, options?: IoOptions): Promise<Uint8Array>
  /** Fills all of `target`, which must not be used until the promise settles. */
  readInto(offset: number, target: Uint8Array, options?: IoOptions): Promise<void>
  /**
   * Keeps `bytes` and never changes them until the promise settles; the caller must not change them until then. Each
   * block is atomic, the whole is not. `fua` asks for stable storage, which every resolved write has anyway.
   */
  write(offset: number, bytes: Uint8Array, options?: IoOptions & { readonly fua?: boolean }): Promise<void>
  /** Resolves when every earlier write has its response: what resolved is on stable storage. */
  flush(options?: IoOptions): Promise<void>
  /** The range reads as zeroes afterwards, and whole blocks of it occupy nothing. */
  trim(offset: number, length: number, options?: IoOptions): Promise<void>
  /** The range reads as zeroes afterwards. `noHole` keeps it accounted as allocated. */
  writeZeroes(offset: number, length: number, options?: IoOptions & { readonly noHole?: boolean }): Promise<void>
  /** The bytes from `start` (default 0) up to `end` (default the size), read ahead by up to 4 MiB. */
  readable(range?: { readonly start?: number; readonly end?: number }): ReadableStream<Uint8Array>
  /** Writes chunks from `start` (default 0) on; closing it waits for the last byte and flushes. */
  writable(range?: { readonly start?: number }): WritableStream<Uint8Array>
  /** Waits for earlier calls and detaches the volume; later calls fail with CLOSED. */
  close(): Promise<void>
}

/** The volume with what the public interface leaves out, for the NBD server and tools. */
export class OpenedVolume implements Volume {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  readonly readOnly: boolean
  readonly handle: VolumeHandle
  readonly #pump: ClientPump
  readonly #onClosed: (volume: OpenedVolume) => void
  readonly #keepsStacks: boolean
  #closing: Promise<void> | undefined

  constructor(
    pump: ClientPump,
    handle: VolumeHandle,
    record: Pick<VolumeRecord, 'name' | 'sizeBytes' | 'blockSizeBytes'>,
    readOnly: boolean,
    onClosed: (volume: OpenedVolume) => void,
    keepsStacks = true,
  ) {
    this.#pump = pump
    this.#onClosed = onClosed
    this.handle = handle
    this.readOnly = readOnly
    this.name = record.name
    this.sizeBytes = record.sizeBytes
    this.blockSizeBytes = record.blockSizeBytes
    this.#keepsStacks = keepsStacks
  }

  /**
   * The same opening for a caller that has no stack worth keeping, such as a server that calls for its clients: a stack
   * costs microseconds at every call, and only errors show it. Closing is left to the volume that this was made of.
   */
  withoutStacks(): OpenedVolume {
    return new OpenedVolume(this.#pump, this.handle, this, this.readOnly, () => this.#onClosed(this), false)
  }

  async read(offset: number, length: number, options: IoOptions = {}): Promise<Uint8Array> {
    checkRange(offset, length, this.read)
    checkSignal(options.signal, this.read)
    const call = { do: 'read', volume: this.handle, offset, length } as const
    return (await this.#pump.call(call, 'bytes', this.#caller(this.read), options.signal)).bytes
  }

  async readInto(offset: number, target: Uint8Array, options: IoOptions = {}): Promise<void> {
    checkBytes('target', target, this.readInto)
    checkRange(offset, target.length, this.readInto)
    checkSignal(options.signal, this.readInto)
    const call = { do: 'read', volume: this.handle, offset, length: target.length, target } as const
    await this.#pump.call(call, 'bytes', this.#caller(this.readInto), options.signal)
  }

  async write(offset: number, bytes: Uint8Array, options: IoOptions & { readonly fua?: boolean } = {}): Promise<void> {
    checkBytes('bytes', bytes, this.write)
    checkRange(offset, bytes.length, this.write)
    checkSignal(options.signal, this.write)
    const checksums = partChecksums(this.blockSizeBytes, offset, bytes)
    const call = { do: 'write', volume: this.handle, offset, bytes, checksums } as const
    await this.#pump.call(call, 'done', this.#caller(this.write), options.signal)
  }

  async flush(options: IoOptions = {}): Promise<void> {
    checkSignal(options.signal, this.flush)
    await this.#pump.call({ do: 'flush', volume: this.handle }, 'done', this.#caller(this.flush), options.signal)
  }

  async trim(offset: number, length: number, options: IoOptions = {}): Promise<void> {
    await this.#discard(offset, length, 'trim', this.trim, options)
  }

  async writeZeroes(
    offset: number,
    length: number,
    options: IoOptions & { readonly noHole?: boolean } = {},
  ): Promise<void> {
    await this.#discard(offset, length, options.noHole === true ? 'zero' : 'trim', this.writeZeroes, options)
  }

  /** Runs of bytes by the kind of their blocks, in order, that sum up to `length`; neighbours differ in kind. */
  async allocation(offset: number, length: number, options: IoOptions = {}): Promise<readonly AllocationRun[]> {
    checkRange(offset, length, this.allocation)
    checkSignal(options.signal, this.allocation)
    const call = { do: 'query-allocation', volume: this.handle, offset, length } as const
    return (await this.#pump.call(call, 'allocation', this.#caller(this.allocation), options.signal)).runs
  }

  readable(range: { readonly start?: number; readonly end?: number } = {}): ReadableStream<Uint8Array> {
    const { start = 0, end = this.sizeBytes } = range
    checkRange(start, end - start, this.readable)
    return readableOf(this, start, end)
  }

  writable(range: { readonly start?: number } = {}): WritableStream<Uint8Array> {
    const { start = 0 } = range
    checkRange(start, 0, this.writable)
    return writableOf(this, start)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The function above which the stack of a call begins, if stacks are kept. */
  #caller(entry: Entry): Entry | undefined {
    return this.#keepsStacks ? entry : undefined
  }

  async #close(): Promise<void> {
    try {
      await this.#pump.call({ do: 'close', volume: this.handle }, 'done', this.close, undefined)
    } finally {
      this.#onClosed(this)
    }
  }

  async #discard(offset: Bytes, length: Bytes, kind: DiscardKind, entry: Entry, options: IoOptions): Promise<void> {
    checkRange(offset, length, entry)
    checkSignal(options.signal, entry)
    await this.#pump.call(
      { do: 'discard', volume: this.handle, offset, length, kind },
      'done',
      this.#caller(entry),
      options.signal,
    )
  }
}

/** The checksum of each part of a write that lies in one block, in order. */
function partChecksums(blockSizeBytes: Bytes, offset: Bytes, bytes: Uint8Array): number[] {
  return splitBlocks(blockSizeBytes, offset, bytes.length).map((part) =>
    checksum(bytes.subarray(part.at, part.at + part.length)),
  )
}
