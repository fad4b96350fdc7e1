import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { openOrMake, readIfThere, writeAll } from './files.ts'

/**
 * The file `synced`: the last index that was on stable storage, as a u64 and its crc32. It is written after each sync and
 * not synced itself, so that it is never ahead of the records; it distinguishes an acknowledged record that rotted at the very
 * end from a record that was being written when the power went.
 */
export const SYNCED_NAME = 'synced'
const SYNCED_BYTES = 12

export class SyncedHint {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** The index in the file; 0 when it is missing or damaged. */
  static async read(directory: string): Promise<number> {
    const bytes = (await readIfThere(join(directory, SYNCED_NAME))) ?? Buffer.alloc(0)
    if (bytes.length !== SYNCED_BYTES || crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) return 0
    return Number(bytes.readBigUInt64BE(0))
  }

  static async open(directory: string): Promise<SyncedHint> {
    return new SyncedHint(await openOrMake(join(directory, SYNCED_NAME)))
  }

  async write(index: number): Promise<void> {
    const bytes = Buffer.alloc(SYNCED_BYTES)
    bytes.writeBigUInt64BE(BigInt(index), 0)
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8)
    await writeAll(this.#handle, bytes, 0)
  }

  /** Before records are dropped: synced, because a hint that is ahead of the records looks like records that were lost. */
  async lower(index: number): Promise<void> {
    await this.write(index)
    await this.#handle.datasync()
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
