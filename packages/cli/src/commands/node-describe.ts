import type { NodeDetailsResponse } from '@ashlar/node/config'
import { times } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { aboutBytes, formatFields, formatTable, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

export function nodeDescribe({ io }: Verb): Command {
  const command = new Command('describe')
    .description('one node: what it reports of itself, and what it holds of each volume')
    .argument('<id>', 'name of the node, or id of its store')
  addClusterOptions(command)
  examples(command, ['ashlar node describe n1', 'ashlar node describe n1 -o yaml'])
  return command.action(async (id: string) => {
    const { api, format } = sessionOf(io, command)
    const node = await api.node(id)
    printOne(io, format, node, { name: node.id, describe: () => describeNode(node) })
  })
}

function describeNode(node: NodeDetailsResponse): string {
  const ready = node.ready === null ? 'unknown' : node.ready ? 'yes' : 'no'
  const fields = formatFields([
    ['Node', node.id],
    ['State', node.state],
    ['Ready', node.reason === '' ? ready : `${ready}: ${node.reason}`],
    ...(node.whyDown == null
      ? []
      : ([
          ['Down because', node.whyDown.because.length === 0 ? 'its peers saw nothing of it' : node.whyDown.because],
          ['To do', node.whyDown.todo.length === 0 ? 'nothing' : node.whyDown.todo],
        ] as const)),
    ['Store', `${node.store}, ${node.trust}, opened ${times(node.startCounter)}`],
    ['Address', node.address === '' ? 'none: another store took it over' : node.address],
    ['API', node.api],
    ['Labels', labelsOf(node)],
    ['Space', spaceOf(node)],
    ['Process', node.pid === null ? 'unknown' : `${node.pid}, version ${node.version}, data in ${node.dataDir}`],
  ])
  if (node.volumes.length === 0) return `${fields}It holds no replicas.\n`
  const table = formatTable(node.volumes, [
    { title: 'VOLUME', value: (volume) => volume.name },
    { title: 'PRIMARIES', value: (volume) => volume.primaries },
    { title: 'REPLICAS', value: (volume) => volume.replicas },
    { title: 'IN-SYNC', value: (volume) => volume.inSync },
    { title: 'BLOCKS BEHIND', value: (volume) => volume.behindBlocks ?? 'unknown' },
  ])
  return `${fields}\n${table}`
}

function spaceOf({ space }: NodeDetailsResponse): string {
  if (space == null) return 'unknown'
  const { placement, writes, last } = space.reserves
  const reserves = `${aboutBytes(placement)} for placement, ${aboutBytes(writes)} for writes, ${aboutBytes(last)} last`
  return `${space.level} since ${space.since}: ${aboutBytes(space.freeBytes)} free; reserves: ${reserves}`
}

function labelsOf({ labels }: NodeDetailsResponse): string {
  if (labels === null) return 'unknown'
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length === 0 ? 'none' : pairs.join(', ')
}
