import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { formatBytes, parseList } from '@ashlar/node/config'
import type { ImageTarget, ReplicaExport } from '@ashlar/node/internal'
import { AshlarError, counted, ERRORS } from '@ashlar/proto'
import { Command } from 'commander'
import { addCommonOptions, examples, mergedOptions } from '../common.ts'
import { formatFields, parseFormat, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'
import { fileFailure } from './volume-import.ts'

/** Exit code of an image that may lack something. */
const UNPROVEN = ERRORS.UNHEALTHY.exit
/** Lines that name an extent or a block, at most. */
const NAMED = 20

export function replicaExport({ io, exit }: Verb): Command {
  const command = new Command('export')
    .description(
      `make a raw image of a volume from data directories, with no node running; exits ${UNPROVEN} if the image may lack something`,
    )
    .argument('<volume>', 'name of the volume')
    .argument('<file>', 'the image to write; it must not exist yet')
    .requiredOption('--from <dirs>', 'data directories of all remaining nodes, with commas; none of them is changed')
  addCommonOptions(command)
  examples(command, [
    'ashlar replica export demo demo.img --from /var/lib/ashlar/n1,/var/lib/ashlar/n2,/var/lib/ashlar/n3',
    'ashlar replica export demo demo.img --from /mnt/rescued -o json',
  ])
  return command.action(async (volume: string, file: string, { from }: { from: string }) => {
    const directories = parseList(from)
    const format = parseFormat(String(mergedOptions(command)['output'] ?? 'table'))
    if (directories.length === 0) throw new AshlarError('USAGE', '--from names no directory')
    // Imported late: it is slow to load, and most commands open no store.
    const { exportReplicas } = await import('@ashlar/node/internal')
    const report = await intoNewFile(file, (target) => exportReplicas(directories, volume, target))
    printOne(io, format, report, { name: volume, describe: () => describeExport(report) })
    if (!report.certain) exit(UNPROVEN)
  })
}

/** The file gets its name only once it is complete and on disk. */
async function intoNewFile(
  file: string,
  work: (target: ImageTarget) => Promise<ReplicaExport>,
): Promise<ReplicaExport> {
  if (await exists(file)) {
    throw new AshlarError('CONFLICT', `${file} exists`, {
      hint: 'name a new file: an existing one is never overwritten',
    })
  }
  const partial = `${file}.partial-${process.pid}`
  let handle: FileHandle | undefined
  try {
    handle = await open(partial, 'wx')
    const image = handle
    const report = await work({
      resize: (sizeBytes) => image.truncate(sizeBytes),
      write: (offset, bytes) => writeAll(image, bytes, offset),
    })
    await handle.sync()
    await handle.close()
    await rename(partial, file)
    return report
  } catch (error) {
    await handle?.close()
    if (handle !== undefined) await rm(partial, { force: true })
    throw error instanceof AshlarError ? error : fileFailure(file, error)
  }
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  )
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
  }
}

function describeExport({ volume, sizeBytes, certain, stores, extents, blocks }: ReplicaExport): string {
  const { uncertain, missing } = extents
  return formatFields([
    ['Volume', `${volume}, ${formatBytes(sizeBytes)} up to the last extent in these directories`],
    ['Proven', certain ? 'every block is what a client could have read last' : 'not everything: see below'],
    ['Stores', stores.map(describeStore)],
    ['Certain', counted(extents.certain, 'extent')],
    [
      'Uncertain',
      uncertain.length === 0
        ? 'no extent'
        : some(uncertain.map(({ extent, because }) => `extent ${extent}: ${because.join('; ')}`)),
    ],
    [
      'Missing',
      missing.length === 0 ? 'no extent' : some(missing.map((it) => `extent ${it} is zeroes: no store holds it`)),
    ],
    ['Blocks', `${blocks.written} with data, ${blocks.fromOneStore} of them on one store only`],
    [
      'Newer',
      `${counted(blocks.newerElsewhere, 'block has', 'blocks have')} a higher version on a store that is not in sync: writes that were never acknowledged, if everything else is certain`,
    ],
    ['Lost', blocks.lost === 0 ? 'no block' : lostLines(blocks)],
    ['Not covered', 'extents after the last known one'],
  ])
}

function describeStore({ directory, store, replicas, evidence }: ReplicaExport['stores'][number]): string {
  if (store === null) return `${directory} could not be read: ${evidence.join('; ')}`
  const suspicion = evidence.length === 0 ? '' : `; suspect: ${evidence.join('; ')}`
  return `${store} in ${directory}, ${counted(replicas, 'replica')}${suspicion}`
}

function lostLines({ lost, lostBlocks }: ReplicaExport['blocks']): string[] {
  const lines = lostBlocks.map(
    ({ extent, block, older }) =>
      `block ${block} of extent ${extent}: every copy is damaged, the image has ${older ? 'an older version' : 'zeroes'}`,
  )
  return [counted(lost, 'block'), ...some(lines)]
}

function some(lines: readonly string[]): string[] {
  return lines.length <= NAMED
    ? [...lines]
    : [...lines.slice(0, NAMED), `and ${lines.length - NAMED} more: see -o json`]
}
