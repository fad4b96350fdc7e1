import { AshlarError, type ClusterId, extentIndexOf, type StoreId, type Voter, volumeOf } from '@ashlar/proto'
import { type RebuiltMap, rebuildMap, recoveredLog } from '../core/control/index.ts'
import { adoptControl, newClusterId, type Survey, surveyStore } from '../storage/index.ts'

/** Result of rebuilding the map of a cluster from data directories. */
export interface ClusterRecovery {
  /** The cluster that the directories belong to. */
  readonly cluster: ClusterId
  /** The cluster that was made of them; undefined for a plan. */
  readonly newCluster: ClusterId | undefined
  readonly generation: number
  /** The voter that keeps the control log from then on. */
  readonly voter: Voter
  readonly stores: readonly {
    readonly directory: string
    readonly store: StoreId
    readonly replicas: number
    readonly evidence: readonly string[]
  }[]
  readonly volumes: readonly { readonly name: string; readonly sizeBytes: number; readonly extents: number }[]
  /** Extents, as VOLUME/NUMBER, of which every store that may hold an acknowledged write was given, and one of them is trusted. */
  readonly certain: readonly string[]
  /** Extents that may lack acknowledged writes, with the stores that may hold them and were not given. */
  readonly uncertain: readonly { readonly extent: string; readonly absent: readonly StoreId[] }[]
  /** Extents of which every store that may hold an acknowledged write was given, and each of them may have lost some. */
  readonly suspect: readonly string[]
  /** Extents that no given store has. */
  readonly missing: readonly string[]
}

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
  return { ...recovery, newCluster: cluster }
}

async function plan(directories: readonly string[], address: string | undefined): Promise<Plan> {
  const surveys: Survey[] = []
  for (const directory of directories) surveys.push(await surveyStore(directory))
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
  return {
    map,
    formerClusters,
    recovery: {
      cluster,
      newCluster: undefined,
      generation: map.generation,
      voter,
      stores: surveys.map(({ directory, store, replicas, evidence }) => ({
        directory,
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
      uncertain: those('uncertain').map((extent) => ({ extent: nameOf(extent), absent: extent.absent })),
      suspect: those('suspect').map(nameOf),
      missing: those('missing').map(nameOf),
    },
  }
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
