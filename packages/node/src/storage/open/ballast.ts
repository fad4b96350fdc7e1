import { execFile } from 'node:child_process'
import { open as openFile, rm, stat, statfs } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type Bytes, MIB } from '@ashlar/proto'
import { syncFile } from '../directories.ts'
import type { LevelDbOptions } from '../leveldb/options.ts'

/**
 * The ballast: a file that takes up room, deleted only to open the store again after the disk was full. LevelDB turns
 * its log into tables when it opens and so needs free space to do it (finding 6).
 */
export function defaultBallastBytes(options: LevelDbOptions): Bytes {
  return 2 * options.writeBufferBytes + 64 * MIB
}

/** Free space must be this many times the ballast before it is made: it is for full disks, not for filling them. */
const ROOM_FACTOR = 3
const STEP_BYTES = 4 * MIB

/** Makes the ballast if it is missing or too small and there is room for it. Says whether it is there. */
export async function ensureBallast(path: string, directory: string, bytes: Bytes): Promise<boolean> {
  if (bytes === 0) return true
  const present = await stat(path).catch(() => undefined)
  if (present !== undefined && present.size >= bytes) return true
  const { bavail, bsize } = await statfs(directory)
  if (bavail * bsize < ROOM_FACTOR * bytes) return false
  try {
    if (!(await allocate(path, bytes))) await fillWithZeroes(path, bytes)
    await syncFile(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    // The room went to someone else in the meantime: the store works without, and the next opening tries again.
    await rm(path, { force: true })
    return false
  }
}

export async function deleteBallast(path: string): Promise<boolean> {
  const present = await stat(path).catch(() => undefined)
  if (present === undefined) return false
  await rm(path)
  return true
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
