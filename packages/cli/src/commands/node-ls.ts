import type { NodeResponse } from '@ashlar/node/config'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { aboutBytes, type Column, printList } from '../output.ts'
import type { Verb } from '../verb.ts'

const COLUMNS: readonly Column<NodeResponse>[] = [
  { title: 'NODE', value: (node) => node.id },
  { title: 'STATE', value: (node) => node.state },
  { title: 'PRIMARIES', value: (node) => node.primaries },
  { title: 'REPLICAS', value: (node) => node.replicas },
  { title: 'IN-SYNC', value: (node) => node.inSync },
  { title: 'SPACE', value: (node) => node.space?.level ?? 'unknown' },
  { title: 'FREE', value: (node) => (node.space == null ? 'unknown' : aboutBytes(node.space.freeBytes)), wide: true },
  { title: 'API', value: (node) => node.api },
  { title: 'ADDRESS', value: (node) => node.address, wide: true },
  { title: 'TRUST', value: (node) => node.trust, wide: true },
  { title: 'STARTS', value: (node) => node.startCounter, wide: true },
  { title: 'STORE', value: (node) => node.store, wide: true },
]

export function nodeLs({ io }: Verb): Command {
  const command = new Command('ls').description('nodes, their state, and what each holds')
  addClusterOptions(command)
  examples(command, ['ashlar node ls', 'ashlar node ls -o wide', 'ashlar node ls -o json'])
  return command.action(async () => {
    const { api, format } = sessionOf(io, command)
    const listing = { columns: COLUMNS, name: (node: NodeResponse) => node.id, empty: 'the cluster has no nodes yet' }
    printList(io, format, await api.nodes(), listing)
  })
}
