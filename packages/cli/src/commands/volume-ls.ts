import { formatBytes, type VolumeResponse } from '@ashlar/node/config'
import { counted } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import type { Io } from '../io.ts'
import { type Column, printList } from '../output.ts'
import type { Verb } from '../verb.ts'

const COLUMNS: readonly Column<VolumeResponse>[] = [
  { title: 'NAME', value: (volume) => volume.name },
  { title: 'SIZE', value: (volume) => formatBytes(volume.sizeBytes) },
  { title: 'REPLICAS', value: (volume) => volume.replicas },
  { title: 'STATE', value: stateOf },
  { title: 'ATTACHED', value: (volume) => volume.holders.map(({ client }) => client).join(', ') || '-' },
  { title: 'BLOCK', value: (volume) => formatBytes(volume.blockSizeBytes), wide: true },
  { title: 'EXTENT', value: (volume) => formatBytes(volume.extentSizeBytes), wide: true },
  { title: 'EXTENTS', value: extentsOf, wide: true },
  { title: 'MIN-IN-SYNC', value: (volume) => volume.minInSync, wide: true },
  { title: 'BLOCKS BEHIND', value: (volume) => volume.behindBlocks, wide: true },
]

export function volumeLs({ io }: Verb): Command {
  const command = new Command('ls').description('volumes and their state')
  addClusterOptions(command)
  examples(command, ['ashlar volume ls', 'ashlar volume ls -o wide', 'ashlar volume ls -o name'])
  return command.action(async () => {
    const { api, format } = sessionOf(io, command)
    const empty = 'there are no volumes yet: ashlar volume create NAME --size 10Gi'
    const volumes = await api.volumes()
    warnIfOld(io, volumes)
    printList(io, format, volumes, { columns: COLUMNS, name: (volume) => volume.name, empty })
  })
}

/** On standard error, so that a list for programs stays whole. */
function warnIfOld(io: Io, volumes: readonly VolumeResponse[]): void {
  const reasons = volumes.find(({ state }) => state === 'unknown')?.reasons ?? []
  if (reasons[0] !== undefined) io.error(`${reasons[0]}\nsee what to do: ashlar explain cluster\n`)
}

function stateOf(volume: VolumeResponse): string {
  const { extents, state } = volume
  return state === 'healthy' ? state : `${state} (${extents[state]}/${counted(extentsOf(volume), 'extent')})`
}

export function extentsOf({ extents }: VolumeResponse): number {
  return extents.healthy + extents.recovering + extents.degraded + extents.unavailable + (extents.unknown ?? 0)
}
