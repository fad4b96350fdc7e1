import { formatBytes, type VolumeResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'
import { holderLine } from './holder-text.ts'

export function volumeDescribe({ io }: Verb): Command {
  const command = new Command('describe').description('one volume').argument('<name>', 'name of the volume')
  addClusterOptions(command)
  examples(command, ['ashlar volume describe demo', 'ashlar volume describe demo -o json'])
  return command.action(async (name: string) => {
    const { api, format } = sessionOf(io, command)
    const volume = await api.volume(name)
    printOne(io, format, volume, { name: volume.name, describe: () => describeVolume(volume) })
  })
}

function describeForced({ extent, node, epoch, acknowledged, reconciled }: VolumeResponse['forced'][number]): string {
  const known = acknowledged ? 'acknowledged' : 'not acknowledged yet'
  const how = reconciled ? 'reconciled suspect stores' : 'was made primary by force'
  return `extent ${extent}: ${node} ${how} in epoch ${epoch}, ${known}`
}

/** A volume as text. */
export function describeVolume(volume: VolumeResponse): string {
  const { healthy, recovering, degraded, unavailable, unknown = 0 } = volume.extents
  const holders = volume.holders.map((holder) => `${holderLine(holder)}, session ${holder.session}`)
  return formatFields([
    ['Volume', volume.name],
    ['State', volume.state],
    ...(volume.reasons.length === 0 ? [] : [['Problem', volume.reasons] as const]),
    ['Size', `${formatBytes(volume.sizeBytes)} in blocks of ${formatBytes(volume.blockSizeBytes)}`],
    ['Replicas', `${volume.replicas}, of which ${volume.minInSync} must be in sync for writes`],
    [
      'Extents',
      `of ${formatBytes(volume.extentSizeBytes)}: ${healthy} healthy, ${recovering} recovering, ` +
        `${degraded} degraded, ${unavailable} unavailable${unknown === 0 ? '' : `, ${unknown} unknown`}`,
    ],
    ['Blocks behind', volume.behindBlocks],
    ...(volume.forced.length === 0 ? [] : [['Forced', volume.forced.map(describeForced)] as const]),
    ['Attached', holders.length === 0 ? 'none' : holders],
  ])
}
