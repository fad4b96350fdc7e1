import { asCount, type CreateVolumeRequest, parseBytes } from '@ashlar/node/config'
import { LIMITS } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { parsed } from '../flags.ts'
import { printOne } from '../output.ts'
import type { Verb } from '../verb.ts'
import { describeVolume } from './volume-describe.ts'

interface Options {
  readonly size: string
  readonly replicas?: string
  readonly blockSize?: string
  readonly extentSize?: string
  readonly minInSync?: string
}

export function volumeCreate({ io }: Verb): Command {
  const command = new Command('create')
    .description('create a volume; it is thin: blocks that were never written take no space')
    .argument('<name>', 'name of the new volume')
    .requiredOption('--size <size>', 'capacity, a multiple of the block size: 512Mi, 10Gi')
    .option(
      '--replicas <count>',
      `copies of each block, 1 to ${LIMITS.maxReplicas}, each on another node (default: ${LIMITS.defaultReplicas})`,
    )
    .option('--block-size <size>', 'smallest unit that is stored, 4Ki to 1Mi (default: 4Ki)')
    .option('--extent-size <size>', 'unit of placement and recovery, 16Mi to 4Gi (default: 256Mi)')
    .option('--min-in-sync <count>', 'replicas that must be in sync for writes (default: half, rounded up)')
  addClusterOptions(command)
  examples(command, [
    'ashlar volume create disk --size 10Gi',
    'ashlar volume create scratch --size 1Gi --replicas 2 --block-size 64Ki',
  ])
  return command.action(async (name: string, options: Options) => {
    const { api, format } = sessionOf(io, command)
    const volume = await api.createVolume(requestOf(name, options))
    printOne(io, format, volume, { name: volume.name, describe: () => describeVolume(volume) })
  })
}

function requestOf(name: string, options: Options): CreateVolumeRequest {
  const { size, replicas, blockSize, extentSize, minInSync } = options
  return {
    name,
    sizeBytes: parsed('--size', size, parseBytes),
    ...(blockSize === undefined ? {} : { blockSizeBytes: parsed('--block-size', blockSize, parseBytes) }),
    ...(extentSize === undefined ? {} : { extentSizeBytes: parsed('--extent-size', extentSize, parseBytes) }),
    ...(replicas === undefined ? {} : { replicas: parsed('--replicas', replicas, asCount.parse) }),
    ...(minInSync === undefined ? {} : { minInSync: parsed('--min-in-sync', minInSync, asCount.parse) }),
  }
}
