import type { ExtentResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { type Column, printList } from '../output.ts'
import type { Verb } from '../verb.ts'

const COLUMNS: readonly Column<ExtentResponse>[] = [
  { title: 'EXTENT', value: (extent) => extent.extent },
  { title: 'STATE', value: (extent) => extent.state },
  { title: 'PRIMARY', value: (extent) => extent.primary },
  { title: 'EPOCH', value: (extent) => extent.epoch },
  { title: 'REPLICAS', value: (extent) => extent.replicas.map(describeReplica).join(' ') },
  { title: 'ID', value: (extent) => extent.id, wide: true },
  { title: 'WHY', value: (extent) => extent.reason, wide: true },
]

export function extentLs({ io }: Verb): Command {
  const command = new Command('ls')
    .description('extents of a volume with primary, epoch, and the standing of each replica')
    .argument('<volume>', 'name of the volume')
  addClusterOptions(command)
  examples(command, ['ashlar extent ls demo', 'ashlar extent ls demo -o wide', 'ashlar extent ls demo -o json'])
  return command.action(async (volume: string) => {
    const { api, format } = sessionOf(io, command)
    printList(io, format, await api.extents(volume), {
      columns: COLUMNS,
      name: ({ extent }) => `${volume}/${extent}`,
      empty: `volume ${volume} has no extents`,
    })
  })
}

/** `n1:in-sync`, `n3:joining(-120)`: with the number of blocks that it still needs, where the primary reports it. */
function describeReplica({ node, standing, behindBlocks }: ExtentResponse['replicas'][number]): string {
  if (standing === 'in-sync' || behindBlocks === null) return `${node}:${standing}`
  return `${node}:${standing}(-${behindBlocks})`
}
