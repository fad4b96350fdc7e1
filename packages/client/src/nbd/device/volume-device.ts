import { type AshlarError, BLOCK_DATA, BLOCK_ZERO, type BlockKind } from '@ashlar/proto'
import { checkRange, checkWritable } from './checks.ts'
import type {
  AllocationRun,
  BlockDevice,
  DeviceOptions,
  DeviceReadOptions,
  DeviceWriteOptions,
  DeviceZeroOptions,
  ReadPart,
} from './device.ts'
import { splitZeroes } from './zeroes.ts'

/** What is needed of a volume of the client library. The optional parts are there in volumes that `connect` opened. */
export interface VolumeSource {
  readonly name: string
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  readonly readOnly?: boolean
  /** Distinguishes this opening of the volume from others. */
  readonly handle?: number
  read(offset: number, length: number, options?: DeviceOptions): Promise<Uint8Array>
  /** Fills all of `target`. */
  readInto?(offset: number, target: Uint8Array, options?: DeviceOptions): Promise<void>
  write(offset: number, bytes: Uint8Array, options?: DeviceWriteOptions): Promise<void>
  flush(options?: DeviceOptions): Promise<void>
  trim(offset: number, length: number, options?: DeviceOptions): Promise<void>
  writeZeroes(offset: number, length: number, options?: DeviceZeroOptions): Promise<void>
  /** Runs by the kind of their blocks, that cover the range. */
  allocation?(
    offset: number,
    length: number,
    options?: DeviceOptions,
  ): Promise<readonly { readonly length: number; readonly kind: BlockKind }[]>
  /** The same volume, whose calls keep no stack for their errors. */
  withoutStacks?(): VolumeSource
  close(): Promise<void>
}

export interface VolumeDeviceOptions {
  /** Subscribes to the loss of the volume; without it only a failed call shows the loss. */
  readonly onLost?: (listener: (error: AshlarError) => void) => void
}

/**
 * A volume as a block device. Blocks that read as zero become runs of zeroes, so that they do not travel to the client;
 * what is not known to be a hole counts as data.
 */
export class VolumeDevice implements BlockDevice {
  readonly sizeBytes: number
  readonly blockSizeBytes: number
  readonly readOnly: boolean
  /** Zeroed blocks keep a version without bytes. */
  readonly fastZero = true
  /** As it was given, to close it. */
  readonly #volume: VolumeSource
  readonly #calls: VolumeSource
  readonly #options: VolumeDeviceOptions

  constructor(volume: VolumeSource, options: VolumeDeviceOptions = {}) {
    this.sizeBytes = volume.sizeBytes
    this.blockSizeBytes = volume.blockSizeBytes
    this.readOnly = volume.readOnly ?? false
    this.#volume = volume
    // A request of an NBD client has no caller in this process whose stack would help.
    this.#calls = volume.withoutStacks?.() ?? volume
    this.#options = options
  }

  async read(offset: number, length: number, options?: DeviceReadOptions): Promise<readonly ReadPart[]> {
    checkRange(this.sizeBytes, offset, length)
    if (options?.allocate !== undefined && this.#calls.readInto !== undefined) {
      const bytes = options.allocate(length)
      await this.#calls.readInto(offset, bytes, options)
      return splitZeroes(bytes, offset)
    }
    return splitZeroes(await this.#calls.read(offset, length, options), offset)
  }

  async write(offset: number, bytes: Uint8Array, options?: DeviceWriteOptions): Promise<void> {
    this.#checkChange(offset, bytes.length)
    await this.#calls.write(offset, bytes, options)
  }

  flush(options?: DeviceOptions): Promise<void> {
    return this.#calls.flush(options)
  }

  async trim(offset: number, length: number, options?: DeviceWriteOptions): Promise<void> {
    this.#checkChange(offset, length)
    await this.#calls.trim(offset, length, options)
  }

  async writeZeroes(offset: number, length: number, options?: DeviceZeroOptions): Promise<void> {
    this.#checkChange(offset, length)
    await this.#calls.writeZeroes(offset, length, options)
  }

  async allocation(offset: number, length: number, options?: DeviceOptions): Promise<readonly AllocationRun[]> {
    checkRange(this.sizeBytes, offset, length)
    if (this.#calls.allocation === undefined) return [{ length, hole: false, zero: false }]
    const runs = await this.#calls.allocation(offset, length, options)
    return runs.map((run) => ({
      length: run.length,
      hole: run.kind !== BLOCK_DATA && run.kind !== BLOCK_ZERO,
      zero: run.kind !== BLOCK_DATA,
    }))
  }

  onLost(listener: (error: AshlarError) => void): void {
    this.#options.onLost?.(listener)
  }

  close(): Promise<void> {
    return this.#volume.close()
  }

  #checkChange(offset: number, length: number): void {
    checkWritable(this.readOnly)
    checkRange(this.sizeBytes, offset, length)
  }
}
