import { type FileHandle, open } from 'node:fs/promises'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { chunksOf, importImage } from '../images/import.ts'
import { Progress } from '../images/progress.ts'
import type { Verb } from '../verb.ts'

interface Options {
  readonly peers?: string
  readonly force?: boolean
}

interface Image {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly size: number | undefined
  close(): Promise<void>
}

export function volumeImport({ io }: Verb): Command {
  const command = new Command('import')
    .description('write a raw image to the start of a volume; blocks of zeroes take no space')
    .argument('<file>', 'the image; - for standard input')
    .argument('<name>', 'name of a volume that exists and is at least as large')
    .option('--force', 'take the volume over from the client that has it open, which is fenced')
    .option('--peers <a,b,c>', 'peer addresses of nodes; by default, the API supplies them')
  addClusterOptions(command)
  examples(command, ['ashlar volume import disk.img demo', 'xz -dc debian.raw.xz | ashlar volume import - demo'])
  return command.action(async (file: string, name: string, options: Options) => {
    const session = sessionOf(io, command)
    const image = await openImage(file)
    try {
      const { connectCluster } = await import('../cluster-client.ts')
      await using client = await connectCluster(session, { peers: options.peers })
      await using volume = await client.openVolume(name, { ifFree: options.force !== true })
      if (image.size !== undefined && image.size > volume.sizeBytes) {
        throw new AshlarError('OUT_OF_RANGE', `${file} has ${image.size} bytes, volume ${name} ${volume.sizeBytes}`, {
          hint: 'create a larger volume',
        })
      }
      const progress = new Progress(io, 'imported', image.size)
      await importImage(image.bytes, volume, (bytes, hole) => progress.add(bytes, hole))
      progress.finish(`into ${name}`)
    } finally {
      await image.close()
    }
  })
}

async function openImage(file: string): Promise<Image> {
  if (file === '-') return { bytes: chunksOf(process.stdin), size: undefined, close: async () => undefined }
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    const stats = await handle.stat()
    if (stats.isDirectory()) throw new AshlarError('USAGE', `${file} is a directory, not an image`)
    const opened = handle
    const bytes = opened.createReadStream({ highWaterMark: 2 ** 20, autoClose: false })
    return { bytes, size: stats.isFile() ? stats.size : undefined, close: () => opened.close() }
  } catch (error) {
    await handle?.close()
    throw fileFailure(file, error)
  }
}

/** A failure of the file system as an error with the name of the file. */
export function fileFailure(file: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof AshlarError || code === undefined) return error
  if (code === 'ENOENT') return new AshlarError('NOT_FOUND', `${file} does not exist`, { cause: error })
  if (code === 'ENOSPC') return new AshlarError('NO_SPACE', `no space is left for ${file}`, { cause: error })
  const kind = code === 'EACCES' || code === 'EPERM' ? 'READ_ONLY' : 'INTERNAL'
  return new AshlarError(kind, `${file}: ${(error as Error).message}`, { cause: error })
}
