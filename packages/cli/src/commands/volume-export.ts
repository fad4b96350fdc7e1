import { open, rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { type ExportSource, exportInOrder, exportWithHoles } from '../images/export.ts'
import { Progress } from '../images/progress.ts'
import type { Verb } from '../verb.ts'
import { fileFailure } from './volume-import.ts'

export function volumeExport({ io }: Verb): Command {
  const command = new Command('export')
    .description('copy a volume to a raw image with holes; a client that has the volume open keeps it')
    .argument('<name>', 'name of the volume')
    .argument('<file>', 'the image to write; - for standard output')
    .option('--peers <a,b,c>', 'peer addresses of nodes; by default, the API supplies them')
  addClusterOptions(command)
  examples(command, ['ashlar volume export demo disk.img', 'ashlar volume export demo - | xz > disk.raw.xz'])
  return command.action(async (name: string, file: string, options: { peers?: string }) => {
    const { connectCluster } = await import('../cluster-client.ts')
    await using client = await connectCluster(sessionOf(io, command), { peers: options.peers })
    await using volume = await client.openVolume(name, { mode: 'read-only' })
    const progress = new Progress(io, 'exported', volume.sizeBytes)
    const onProgress = (bytes: number, hole: boolean): void => progress.add(bytes, hole)
    if (file === '-') await pipeline(exportInOrder(volume, onProgress), process.stdout, { end: false })
    else await exportToFile(volume, file, onProgress)
    progress.finish(`of ${name}`)
  })
}

type OnProgress = (bytes: number, hole: boolean) => void

async function exportToFile(volume: ExportSource, file: string, onProgress: OnProgress): Promise<void> {
  try {
    if (await isDevice(file)) await writeToDevice(volume, file, onProgress)
    else await writeImage(volume, file, onProgress)
  } catch (error) {
    throw fileFailure(file, error)
  }
}

/** A new file gets the name only once it is complete and on disk: an interrupted copy never looks like an image. */
async function writeImage(volume: ExportSource, file: string, onProgress: OnProgress): Promise<void> {
  const partial = `${file}.partial-${process.pid}`
  const handle = await open(partial, 'wx')
  try {
    await handle.truncate(volume.sizeBytes)
    await exportWithHoles(volume, { put: (offset, bytes) => writeAll(handle, bytes, offset) }, onProgress)
    await handle.sync()
    await handle.close()
    await rename(partial, file)
  } catch (error) {
    await handle.close()
    await rm(partial, { force: true })
    throw error
  }
}

/** A device or a pipe has no holes, and cannot be replaced by another file. */
async function writeToDevice(volume: ExportSource, file: string, onProgress: OnProgress): Promise<void> {
  const handle = await open(file, 'w')
  try {
    await pipeline(exportInOrder(volume, onProgress), handle.createWriteStream())
  } finally {
    await handle.close()
  }
}

async function writeAll(
  handle: { write(bytes: Uint8Array, at: number, length: number, offset: number): Promise<{ bytesWritten: number }> },
  bytes: Uint8Array,
  offset: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
  }
}

async function isDevice(file: string): Promise<boolean> {
  try {
    const stats = await stat(file)
    if (stats.isDirectory()) throw new AshlarError('USAGE', `${file} is a directory`)
    return !stats.isFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
