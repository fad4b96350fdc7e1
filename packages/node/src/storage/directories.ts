import { open as openFile } from 'node:fs/promises'

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
