import { execFile } from 'node:child_process'
import { open as openFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { type Bytes, MIB } from '@ashlar/proto'
import { diskSpace, syncFile } from '../files/directories.ts'
import type { LevelDbOptions } from '../leveldb/options.ts'

/** LevelDB turns its log into tables when it opens and so needs free space to do it (finding 6). On small disks, less. */
export function defaultBallastBytes(options: LevelDbOptions, totalBytes: Bytes): Bytes {
  return Math.floor(2 * options.writeBufferBytes + Math.min(64 * MIB, totalBytes / 20))
}

const STEP_BYTES = 4 * MIB

/** The ballast: a file that takes up space, deleted only to open the store again after the disk was full. */
export class Ballast {
  readonly #path: string
  readonly #bytes: Bytes
  #heldBytes: Bytes

  private constructor(path: string, bytes: Bytes, heldBytes: Bytes) {
    this.#path = path
    this.#bytes = bytes
    this.#heldBytes = heldBytes
  }

  /** The ballast of `bytes` at a path, whether the file is there yet or not. 0: none is kept. */
  static async at(path: string, bytes: Bytes): Promise<Ballast> {
    const present = await stat(path).catch(() => undefined)
    return new Ballast(path, bytes, present?.size ?? 0)
  }

  /** Bytes that it should hold and does not. */
  get lackingBytes(): Bytes {
    return Math.max(0, this.#bytes - this.#heldBytes)
  }

  /** Makes the file, or makes it as large as it should be, if that leaves `spareBytes` free: it is for full disks, not for filling them. */
  async ensure(spareBytes: Bytes): Promise<void> {
    if (this.lackingBytes === 0) return
    const { freeBytes } = await diskSpace(dirname(this.#path))
    if (freeBytes < this.lackingBytes + spareBytes) return
    try {
      if (!(await allocate(this.#path, this.#bytes))) await fillWithZeroes(this.#path, this.#bytes)
      await syncFile(this.#path)
      this.#heldBytes = this.#bytes
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      // Another process took the space meanwhile: the store works without ballast, and tries again later.
      await this.release()
    }
  }

  /** Deletes the file. Returns whether there was one. */
  async release(): Promise<boolean> {
    const held = this.#heldBytes > 0
    await rm(this.#path, { force: true })
    this.#heldBytes = 0
    return held
  }
}

/** Reserves the space without writing it, where the system has the tool and the file system can. */
async function allocate(path: string, bytes: Bytes): Promise<boolean> {
  try {
    await promisify(execFile)('fallocate', ['-l', String(bytes), path])
    return true
  } catch {
    // Not there or not supported: the file is written instead.
    return false
  }
}

async function fillWithZeroes(path: string, bytes: Bytes): Promise<void> {
  const step = new Uint8Array(STEP_BYTES)
  const handle = await openFile(path, 'w')
  try {
    for (let written = 0; written < bytes; written += STEP_BYTES) {
      await handle.write(step, 0, Math.min(STEP_BYTES, bytes - written), written)
    }
  } finally {
    await handle.close()
  }
}
