import { open as openFile, statfs } from 'node:fs/promises'
import type { DiskSpace } from '../driver.ts'

/** Space on the file system of a directory, as available to a process without privileges. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Makes creations, renames and deletions in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await syncFile(directory)
}

/** Makes the content and size of a file durable. */
export async function syncFile(path: string): Promise<void> {
  const handle = await openFile(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
