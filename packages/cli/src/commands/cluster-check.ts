import { AshlarError, ERRORS } from '@ashlar/proto'
import { Command } from 'commander'
import { type DeepReport, deepCheck } from '../check/deep.ts'
import { addCommonOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface CheckResult {
  readonly state: string
  readonly problems: readonly string[]
  readonly deep?: DeepReport
}

/** Exit code of a check that found a problem. */
const UNHEALTHY = ERRORS.UNHEALTHY.exit

export function clusterCheck({ io, exit }: Verb): Command {
  const command = new Command('check')
    .description(`check the health of the cluster; exits ${UNHEALTHY} if it is not healthy`)
    .option('--deep', 'read and verify every block of every in-sync replica, and compare the replicas')
    .option('--volume <name>', 'compare the replicas of this volume only')
  addCommonOptions(command)
  examples(command, [
    'ashlar cluster check',
    'ashlar cluster check --deep',
    'ashlar cluster check --deep --volume demo -o json',
    'ashlar cluster check && echo healthy',
  ])
  return command.action(async (options: { deep?: boolean; volume?: string }) => {
    if (options.volume !== undefined && options.deep !== true) {
      throw new AshlarError('USAGE', '--volume needs --deep: without it no volume is read')
    }
    const { api, format } = sessionOf(io, command)
    const cluster = await api.cluster()
    const { notResponding = [] } = cluster
    const deep = options.deep === true ? await deepCheck(api, io, options.volume) : undefined
    const problems = [
      ...(cluster.state === 'healthy' ? [] : [`the cluster is ${cluster.state}`, ...cluster.reasons]),
      ...notResponding.map((node) => `${node} did not respond`),
      ...(deep?.problems ?? []),
    ]
    const result: CheckResult = { state: cluster.state, problems, ...(deep === undefined ? {} : { deep }) }
    printOne(io, format, result, { name: cluster.state, describe: () => describeCheck(result) })
    if (problems.length > 0) exit(UNHEALTHY)
  })
}

function describeCheck({ state, problems, deep }: CheckResult): string {
  const fields: (readonly [string, string | readonly string[]])[] = [['State', state]]
  if (deep !== undefined) {
    fields.push(['Compared', `${deep.blocks} blocks on ${deep.replicas} replicas of ${deep.extents} extents`])
    if (deep.outOfSync > 0) fields.push(['Not compared', `${deep.outOfSync} replicas that are not in sync`])
    if (deep.changing > 0) fields.push(['Changing', `${deep.changing} blocks were written too often to be compared`])
  }
  fields.push(['Problems', problems.length === 0 ? 'none' : problems])
  return formatFields(fields)
}
