import { AshlarError, counted, ERRORS } from '@ashlar/proto'
import { Command } from 'commander'
import { type DeepReport, deepCheck } from '../check/deep.ts'
import { addClusterOptions, examples, sessionOf } from '../common.ts'
import { formatFields, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface CheckResult {
  /** As `cluster info` has it; where the cluster is healthy and the check found something, what that is. */
  readonly state: string
  readonly problems: readonly string[]
  readonly deep?: DeepReport
}

/** Exit code of a check that found a problem. */
const UNHEALTHY = ERRORS.UNHEALTHY.exit

export function clusterCheck({ io, exit }: Verb): Command {
  const command = new Command('check')
    .description(`check the health of the cluster; exits ${UNHEALTHY} unless it is healthy and no problem was found`)
    .option('--deep', 'read and verify every block of every in-sync replica, and compare the replicas')
    .option('--volume <name>', 'compare the replicas of this volume only')
  addClusterOptions(command)
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
    const before = await api.cluster()
    const deep = options.deep === true ? await deepCheck(api, io, options.volume) : undefined
    // The check itself may have changed it: a node ends that had to repair too much.
    const cluster = deep === undefined ? before : await api.cluster()
    const { notResponding = [] } = cluster
    const problems = [
      ...(cluster.state === 'healthy' ? [] : [`the cluster is ${cluster.state}`, ...cluster.reasons]),
      ...notResponding.filter((node) => !isNamed(cluster, node)).map((node) => `${node} did not respond`),
      ...(deep?.problems ?? []),
    ]
    const state = problems.length > 0 && cluster.state === 'healthy' ? stateOf(deep) : cluster.state
    const result: CheckResult = { state, problems, ...(deep === undefined ? {} : { deep }) }
    printOne(io, format, result, { name: state, describe: () => describeCheck(result) })
    if (problems.length > 0) exit(UNHEALTHY)
  })
}

/** Whether a reason says already what is wrong with a node. */
function isNamed(
  { state, reasons }: { readonly state: string; readonly reasons: readonly string[] },
  node: string,
): boolean {
  return state !== 'healthy' && reasons.some((reason) => reason.split(/[ ,]+/).includes(node))
}

/** Of a check with problems on a cluster that reports to be healthy. */
function stateOf(deep: DeepReport | undefined): string {
  return deep === undefined || deep.verdict === 'equal' ? 'unknown' : deep.verdict
}

function describeCheck({ state, problems, deep }: CheckResult): string {
  const fields: (readonly [string, string | readonly string[]])[] = [['State', state]]
  if (deep !== undefined) {
    fields.push(['Compared', describeCompared(deep)])
    if (deep.outOfSync > 0) {
      fields.push([
        'Not compared',
        counted(deep.outOfSync, 'replica that is not in sync', 'replicas that are not in sync'),
      ])
    }
    if (deep.changing > 0) {
      const blocks = counted(deep.changing, 'block was', 'blocks were')
      fields.push(['Changing', `${blocks} written too often to be compared`])
    }
  }
  fields.push(['Problems', problems.length === 0 ? 'none' : problems])
  return formatFields(fields)
}

/** Each block is counted once: `16384 blocks of 4 extents, each on 3 replicas`. */
function describeCompared({ distinctBlocks, extents, replicas }: DeepReport): string {
  const blocks = `${counted(distinctBlocks, 'block')} of ${counted(extents, 'extent')}`
  if (extents === 0) return blocks
  const each = replicas / extents
  return Number.isInteger(each)
    ? `${blocks}, each on ${counted(each, 'replica')}`
    : `${blocks}, on ${counted(replicas, 'replica')} in all`
}
