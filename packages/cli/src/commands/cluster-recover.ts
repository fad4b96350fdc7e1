import { formatBytes, parseList } from '@ashlar/node/config'
import type { ClusterRecovery } from '@ashlar/node/internal'
import { AshlarError, counted } from '@ashlar/proto'
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
      'rebuild the map from data directories, when too many voters are permanently lost for control to come back',
    )
    .requiredOption(
      '--from <dirs>',
      'data directories of all remaining nodes, with commas; the first one becomes the voter of control',
    )
    .option('--address <host:port>', 'peer address of the node with the first directory; not needed if it was a voter')
    .option('-y, --yes', 'do it; without this it only reports what would be certain and what would not')
  addCommonOptions(command)
  examples(command, [
    'ashlar cluster recover --from /var/lib/ashlar/n2,/var/lib/ashlar/n3',
    'ashlar cluster recover --from /var/lib/ashlar/n2,/var/lib/ashlar/n3 --yes',
  ])
  return command.action(async ({ from, address, yes }: RecoverFlags) => {
    const directories = parseList(from)
    const format = parseFormat(String(mergedOptions(command)['output'] ?? 'table'))
    // Imported late: it is slow to load, and most commands open no store.
    const { planRecovery, recoverCluster } = await import('@ashlar/node/internal')
    const recovery = await (yes === true ? recoverCluster : planRecovery)(directories, address)
    printOne(io, format, recovery, {
      name: recovery.newCluster ?? recovery.cluster,
      describe: () => describeRecovery(recovery, yes === true),
    })
    if (yes === true) return
    throw new AshlarError('CONFLICT', 'nothing was changed', {
      hint: recovery.todo.join('; '),
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
    suspect,
    missing,
    absentNodes,
  } = recovery
  return formatFields([
    ['Cluster', `${newCluster}, made of ${cluster}, generation ${generation}: everything older is fenced`],
    ['Control', `${voter.node} at ${voter.address} votes${done ? '' : ', once this is done'} (store ${voter.store})`],
    ['Stores', stores.map(describeStore)],
    ...(absentNodes.length === 0 ? [] : [['Absent', absentNodes.map(describeAbsent)] as const]),
    [
      'Volumes',
      volumes.length === 0
        ? 'none'
        : volumes.map((it) => `${it.name}: ${formatBytes(it.sizeBytes)}, ${counted(it.extents, 'extent')}`),
    ],
    [
      'Certain',
      certain.length === 0 ? 'no extent' : `${counted(certain.length, 'extent')} with every acknowledged write`,
    ],
    [
      'Uncertain',
      uncertain.length === 0
        ? 'no extent'
        : some(
            uncertain.map(
              ({ extent, absentNodes }) => `${extent} may lack writes that ${absentNodes.join(', ')} acknowledged`,
            ),
          ),
    ],
    [
      'Suspect',
      suspect.length === 0
        ? 'no extent'
        : some(suspect.map((extent) => `${extent}: every store that holds it may have lost something`)),
    ],
    [
      'Missing',
      missing.length === 0 ? 'no extent' : some(missing.map((extent) => `${extent}: none of these stores holds it`)),
    ],
    ['Not covered', 'volumes that no directory holds anything of, and extents after the last known one'],
    ['To do', recovery.todo],
  ])
}

function describeStore({ node, store, directory, replicas, evidence }: ClusterRecovery['stores'][number]): string {
  const suspicion = evidence.length === 0 ? '' : `; suspect: ${evidence.join('; ')}`
  return `${node} in ${directory}, ${counted(replicas, 'replica')} (store ${store})${suspicion}`
}

function describeAbsent({ node, store, address, voted }: ClusterRecovery['absentNodes'][number]): string {
  return `${node}${address === undefined ? '' : ` at ${address}`}${voted ? ', which voted' : ''} (store ${store})`
}

function some(lines: readonly string[]): string[] {
  return lines.length <= NAMED
    ? [...lines]
    : [...lines.slice(0, NAMED), `and ${lines.length - NAMED} more: see -o json`]
}
