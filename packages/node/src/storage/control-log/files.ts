import { constants } from 'node:fs'
import { type FileHandle, open as openFile, readFile } from 'node:fs/promises'

/** Writes all of `bytes` at `position`; a short write is continued. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}

/** The content of a file, or undefined when there is none. Failure to read is a rejection. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** Opens a file for reading and writing, made when it is not there. */
export async function openOrMake(path: string): Promise<FileHandle> {
  return await openFile(path, constants.O_RDWR | constants.O_CREAT)
}
