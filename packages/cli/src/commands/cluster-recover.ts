import { formatBytes, parseList } from '@ashlar/node/config'
import type { ClusterRecovery } from '@ashlar/node/internal'
import { AshlarError } from '@ashlar/proto'
import { Command } from 'commander'
import { addCommonOptions, examples, mergedOptions } from '../common.ts'
import { formatFields, parseFormat, printOne } from '../output.ts'
import type { Verb } from '../verb.ts'

interface RecoverFlags {
  readonly from: string
  readonly address?: string
  readonly yes?: true
}

/** Extents that one line names. */
const NAMED = 20

export function clusterRecover({ io }: Verb): Command {
  const command = new Command('recover')
    .description(
      'rebuild the map from data directories, when so many voters are gone for good that control never comes back',
    )
    .requiredOption(
      '--from <dirs>',
      'data directories of all nodes that are left, with commas; the first keeps control',
    )
    .option('--address <host:port>', 'where the node over the first directory is reached; known when it was a voter')
    .option('-y, --yes', 'do it; without this it only says what would be certain and what would not')
  addCommonOptions(command)
  examples(command, [
    'ashlar cluster recover --from /var/lib/ashlar/n2,/var/lib/ashlar/n3',
    'ashlar cluster recover --from /var/lib/ashlar/n2,/var/lib/ashlar/n3 --yes',
  ])
  return command.action(async ({ from, address, yes }: RecoverFlags) => {
    const directories = parseList(from)
    const format = parseFormat(String(mergedOptions(command)['output'] ?? 'table'))
    // Only now: most commands have no use for what opens a store, and it takes long to load.
    const { planRecovery, recoverCluster } = await import('@ashlar/node/internal')
    const recovery = await (yes === true ? recoverCluster : planRecovery)(directories, address)
    printOne(io, format, recovery, {
      name: recovery.newCluster ?? recovery.cluster,
      describe: () => describeRecovery(recovery, yes === true),
    })
    if (yes === true) return
    throw new AshlarError('CONFLICT', 'nothing was changed', {
      hint: 'stop all nodes of the cluster, then add --yes to do it',
    })
  })
}

function describeRecovery(recovery: ClusterRecovery, done: boolean): string {
  const {
    cluster,
    newCluster = 'a new one',
    generation,
    voter,
    stores,
    volumes,
    certain,
    uncertain,
    doubtful,
    missing,
  } = recovery
  return formatFields([
    ['Cluster', `${newCluster}, made of ${cluster}, generation ${generation}: everything older is fenced`],
    ['Control', `is kept by ${voter.store} at ${voter.address}${done ? '' : ', once this is done'}`],
    ['Stores', stores.map(describeStore)],
    [
      'Volumes',
      volumes.length === 0
        ? 'none'
        : volumes.map((it) => `${it.name}: ${formatBytes(it.sizeBytes)}, ${it.extents} extents`),
    ],
    ['Certain', certain.length === 0 ? 'no extent' : `${certain.length} extents hold every acknowledged write`],
    [
      'Uncertain',
      uncertain.length === 0
        ? 'no extent'
        : some(
            uncertain.map(({ extent, absent }) => `${extent} may lack writes that ${absent.join(', ')} acknowledged`),
          ),
    ],
    [
      'Doubtful',
      doubtful.length === 0
        ? 'no extent'
        : some(doubtful.map((extent) => `${extent}: every store that holds it may have lost something`)),
    ],
    [
      'Missing',
      missing.length === 0 ? 'no extent' : some(missing.map((extent) => `${extent}: no store that is here knows it`)),
    ],
    ['Not told', 'volumes of which no directory holds anything, and extents behind the last one that is known'],
    ...(done ? [['Next', next(recovery)] as const] : []),
  ])
}

function describeStore({ store, directory, replicas, evidence }: ClusterRecovery['stores'][number]): string {
  const doubt = evidence.length === 0 ? '' : `; in doubt: ${evidence.join('; ')}`
  return `${store} in ${directory}, ${replicas} replicas${doubt}`
}

function next({ uncertain, missing }: ClusterRecovery): string[] {
  const steps = [
    'start the nodes over these directories, then the others over empty ones',
    'start gateways and programs again that were connected before: they belong to the cluster that is gone',
    'ashlar node ls; ashlar node lost NODE for each that never comes back',
  ]
  if (uncertain.length + missing.length > 0)
    steps.push('ashlar explain volume NAME, and ashlar volume acknowledge-loss NAME once the loss is known')
  return steps
}

function some(lines: readonly string[]): string[] {
  return lines.length <= NAMED
    ? [...lines]
    : [...lines.slice(0, NAMED), `and ${lines.length - NAMED} more: see -o json`]
}
