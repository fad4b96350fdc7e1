import { AshlarError, type ClusterId, extentIndexOf, volumeOf } from '@ashlar/proto'
import { type RebuiltMap, rebuildMap, recoverCommands, recoveredLog } from '../core/control/index.ts'
import { adoptControl, newClusterId, type Survey, surveyStore } from '../storage/index.ts'
import { knownNodes, type NodeNames, namesOf } from './node-names.ts'
import { namingHolder } from './open-by.ts'
import type { AbsentNode, ClusterRecovery } from './recovery-result.ts'
import { todoOf } from './recovery-todo.ts'

interface Plan {
  readonly recovery: ClusterRecovery
  /** Of which a new cluster is made, oldest first. */
  readonly formerClusters: readonly ClusterId[]
  readonly map: RebuiltMap
}

/**
 * Plans the map that would be rebuilt from these data directories (A2.18-3). Changes nothing. Throws USAGE when they belong
 * to different clusters or none, or when no directory records the address of the first one's node.
 */
export async function planRecovery(
  directories: readonly string[],
  address: string | undefined,
): Promise<ClusterRecovery> {
  return (await plan(directories, address)).recovery
}

/**
 * Rebuilds the map: the store of the first directory keeps a new control log, the others follow it. Their old logs are moved
 * aside. No node may run over any of them. They become a new cluster: if other directories of the old cluster are recovered
 * too, both have equal epochs for different writes, and must refuse each other (A2.18-5).
 */
export async function recoverCluster(
  directories: readonly string[],
  address: string | undefined,
): Promise<ClusterRecovery> {
  const { recovery, map, formerClusters } = await plan(directories, address)
  const voters = [recovery.voter]
  const cluster = newClusterId()
  const made = { cluster, formerClusters, voters, generation: recovery.generation }
  const entries = recoveredLog(map, cluster, voters)
  // The store that keeps the log comes last: until then a crash leaves a cluster without control, and recovery can be repeated.
  const [first, ...others] = recovery.stores
  for (const { directory } of others) await adoptControl(directory, made, undefined)
  if (first !== undefined) await adoptControl(first.directory, made, entries)
  const done = { ...recovery, newCluster: cluster }
  return { ...done, todo: todoOf(done, address) }
}

async function plan(directories: readonly string[], address: string | undefined): Promise<Plan> {
  const known = await knownNodes(directories)
  const surveys: Survey[] = []
  for (const directory of directories) surveys.push(await surveyed(directory))
  const names = namesOf(known, surveys)
  const [first] = surveys
  if (first === undefined) throw new AshlarError('USAGE', '--from names no directory')
  const formerClusters = lineOf(surveys)
  const cluster = formerClusters.at(-1) as ClusterId
  const voter = { store: first.store, address: address ?? addressOf(first, surveys) }
  const map = rebuildMap(surveys)
  const nameOf = (extent: RebuiltMap['extents'][number]) => {
    const { id } = extent.record
    const volume = map.volumes.find((known) => known.id === volumeOf(id))
    return `${volume?.name ?? volumeOf(id)}/${extentIndexOf(id)}`
  }
  const those = (certainty: string) => map.extents.filter((extent) => extent.certainty === certainty)
  const recovery = {
    cluster,
    newCluster: undefined,
    generation: map.generation,
    voter: { ...voter, node: names.of(first.store) },
    stores: surveys.map(({ directory, store, replicas, evidence }) => ({
      directory,
      node: names.of(store),
      store,
      replicas: replicas.length,
      evidence,
    })),
    volumes: map.volumes.map(({ id, name, sizeBytes }) => ({
      name,
      sizeBytes,
      extents: map.extents.filter(({ record }) => volumeOf(record.id) === id).length,
    })),
    certain: those('certain').map(nameOf),
    uncertain: those('uncertain').map((extent) => ({
      extent: nameOf(extent),
      absent: extent.absent,
      absentNodes: extent.absent.map(names.of).sort(),
    })),
    suspect: those('suspect').map(nameOf),
    missing: those('missing').map(nameOf),
    absentNodes: absentOf(map, surveys, names),
    votersReturn: recoverCommands(map).some(({ formerVoters }) => formerVoters !== undefined),
  }
  return { map, formerClusters, recovery: { ...recovery, todo: todoOf(recovery, address) } }
}

/** Throws CONFLICT with what to stop when a node runs over the directory. */
async function surveyed(directory: string): Promise<Survey> {
  try {
    return await surveyStore(directory)
  } catch (error) {
    throw await namingHolder(error, directory)
  }
}

/** Nodes of the map that no directory was given of, each once: an earlier store of a node has the same name. */
function absentOf(map: RebuiltMap, surveys: readonly Survey[], names: NodeNames): AbsentNode[] {
  const given = new Set(surveys.map(({ store }) => store))
  const voters = new Set(map.formerVoters.map(({ store }) => store))
  const absent = [...new Set([...voters, ...map.nodes.map(({ store }) => store)])].filter((store) => !given.has(store))
  return absent
    .map((store) => ({ node: names.of(store), store, address: names.addressOf(store), voted: voters.has(store) }))
    .sort((a, b) => a.node.localeCompare(b.node))
}

/**
 * The clusters that the directories belong to, each made of those before it. More than one where an earlier recovery was
 * interrupted, or lacked a directory that was found since.
 */
function lineOf(surveys: readonly Survey[]): readonly ClusterId[] {
  const lines = surveys.map(({ cluster, formerClusters }) =>
    cluster === undefined ? [] : [...formerClusters, cluster],
  )
  const line = lines.reduce((longest, other) => (other.length > longest.length ? other : longest), [])
  const foreign = lines.findIndex((other) => other.length === 0 || other.some((cluster) => !line.includes(cluster)))
  if (line.length === 0) throw new AshlarError('USAGE', '--from: these directories belong to no cluster yet')
  if (foreign >= 0) {
    const memberships = surveys.map(({ cluster, directory }) => `${directory} to ${cluster ?? 'none'}`)
    throw new AshlarError('USAGE', `--from: the directories belong to different clusters: ${memberships.join(', ')}`)
  }
  const twice = surveys.find(({ store }, at) => surveys.findIndex((other) => other.store === store) !== at)
  if (twice !== undefined) {
    throw new AshlarError('USAGE', `--from: ${twice.directory} is a copy of another given directory; name one of them`)
  }
  return line
}

function addressOf(first: Survey, surveys: readonly Survey[]): string {
  const known = surveys.flatMap(({ voters }) => voters).find(({ store }) => store === first.store)
  if (known !== undefined) return known.address
  throw new AshlarError(
    'USAGE',
    `the address of the node over ${first.directory} is not recorded, since it was no voter`,
    {
      hint: 'name it with --address HOST:PORT, or name the directory of a voter first',
    },
  )
}
