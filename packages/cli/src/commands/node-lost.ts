import type { LoseReport } from '@ashlar/node/config'
import { AshlarError, counted } from '@ashlar/proto'
import { Command } from 'commander'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

export function nodeLost({ io }: Verb): Command {
  const command = new Command('lost')
    .description('declare a node permanently lost: its replicas are assigned to other nodes')
    .argument('<id>', 'name of the node, or id of its store')
    .option('-y, --yes', 'do it; without this it only reports what it costs')
  addClusterOptions(command)
  examples(command, ['ashlar node lost n3', 'ashlar node lost n3 --yes'])
  return command.action(async (id: string, { yes }: { yes?: true }) => {
    const { api, format } = sessionOf(io, command)
    if (yes !== true) {
      const report = await api.loseReport(id)
      printOne(io, format, report, { name: report.node, describe: () => describeReport(report) })
      throw new AshlarError('CONFLICT', `${report.node} was not changed`, {
        hint: report.possible ? 'add --yes to do it' : report.because.join('; '),
      })
    }
    const report = await api.loseNode(id)
    printOne(io, format, report, {
      name: report.node,
      describe: () =>
        `${report.node} is declared lost: ${counted(report.replicas, 'replica is', 'replicas are')} assigned to other nodes, ` +
        `${counted(report.onlyHere.length, 'extent has', 'extents have')} no other full copy.\n`,
    })
  })
}

function describeReport({ node, store, because, costs, onlyHere }: LoseReport): string {
  return formatFields([
    ['Node', `${node}, store ${store}`],
    ['Because', because],
    ['It costs', costs.length === 0 ? 'nothing: it will be refused' : costs],
    ['Only there', onlyHere.length === 0 ? 'no extent' : counted(onlyHere.length, 'extent')],
  ])
}
