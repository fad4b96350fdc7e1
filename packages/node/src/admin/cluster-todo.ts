import type { NodeRecord, StoreId } from '@ashlar/proto'
import { type Contact, isCutOff, isSilent, type VoterContact } from './contact.ts'
import { hangingDisk } from './hanging-disk.ts'
import { type HealthState, nodeName } from './health.ts'
import { levelsBelow } from './levels.ts'
import type { NodeView } from './node-view.ts'
import type { PeerResponses } from './peers.ts'
import { counted, unique } from './plurals.ts'
import type { VolumeReport } from './reports.ts'
import type { LocalResponse } from './schemas.ts'
import { howToFreeSpace } from './space.ts'
import { declareLost, explainVolumeCommand, quoted, readLog, WAIT_FOR_COPIES } from './todo.ts'
import { mendNode } from './why-down.ts'

/** Voters that survive the loss of one: fewer are a risk where there are as many nodes. */
const ENOUGH_VOTERS = 3
/** Volumes that one report has an action for. */
const NAMED = 5

export interface ClusterState {
  readonly view: NodeView
  readonly contact: Contact
  readonly nodes: readonly NodeRecord[]
  readonly volumes: readonly VolumeReport[]
  readonly locals: PeerResponses<LocalResponse>
  readonly state: HealthState
}

/** What an operator can do for the cluster, the most urgent first. Never empty unless it is healthy. */
export function clusterTodo(cluster: ClusterState): string[] {
  const { view, contact, state } = cluster
  if (contact.lost !== undefined) return controlTodo(view, contact, cluster.locals)
  if (view.map.cluster === undefined) {
    return ['start the other nodes of its cluster', readLog(view, view.name, 'which says what it waits for')]
  }
  const todo = unique([
    ...nodesTodo(cluster),
    ...howToFreeSpace(
      view,
      cluster.locals,
      cluster.nodes.map(({ store }) => store),
    ),
    ...volumesTodo(cluster),
    ...votersTodo(cluster),
    ...versionsTodo(cluster),
  ])
  if (todo.length > 0 || state === 'healthy') return todo
  return [WAIT_FOR_COPIES]
}

/** A node that is cut off from control: who else must run, and what is left where they are gone for good. */
export function controlTodo(view: NodeView, contact: Contact, locals: PeerResponses<LocalResponse>): string[] {
  const restoring = restoringVoters(view, contact, locals)
  if (!isCutOff(contact, restoring.length)) return electionTodo(view)
  const silent = contact.voters.filter(({ responds }) => !responds)
  const names = [...silent, ...restoring].map(({ name }) => name).join(', ')
  const gone =
    restoring.length === 0
      ? `if the data directories of ${names} are gone for good`
      : `if ${names} cannot bring control's log back`
  return [...silent.flatMap((voter) => mendNode(view, locals, voter)), ...recoverTodo(view, contact, locals, gone)]
}

/** Voters that respond and do not vote: what they lost of control's log comes from a leader, which too few others elect. */
export function restoringVoters(
  view: NodeView,
  { voters }: Contact,
  locals: PeerResponses<LocalResponse>,
): VoterContact[] {
  return voters.filter(({ store }) => {
    // Without a map a node requests no report, not even its own.
    if (store === view.store) return view.controlLog?.recovering === true
    const answer = locals.get(store)
    return answer?.answered === true && answer.value.control?.recovering === true
  })
}

function electionTodo(view: NodeView): string[] {
  const leader = view.leader === undefined ? undefined : view.map.nodes.get(view.leader)
  if (leader === undefined || leader.store === view.store)
    return ['control elects a leader within seconds, so look again: ashlar cluster info']
  return [
    `see what ${leader.name} reports, which leads control: ashlar cluster info --server http://${leader.api}`,
    `if ${view.name} gets no lease within a minute, read why in its log`,
  ]
}

/** The first directory must be a voter's, and those of all nodes that are left belong to it. */
function recoverTodo(
  view: NodeView,
  { voters }: Contact,
  locals: PeerResponses<LocalResponse>,
  gone: string,
): string[] {
  const left = new Map([[view.store, { name: view.name as string, dataDir: view.dataDir }]])
  for (const [store, answer] of locals)
    if (answer.answered) left.set(store, { name: answer.value.id, dataDir: answer.value.dataDir })
  const votes = (store: StoreId) => voters.some((voter) => voter.store === store)
  const stores = [...left.keys()].sort((a, b) => Number(votes(b)) - Number(votes(a)))
  const directories = stores.map((store) => quoted(left.get(store)?.dataDir ?? '')).join(',')
  const [first] = stores
  const own = first === undefined ? undefined : view.map.nodes.get(first)
  const address = first !== undefined && !votes(first) && own !== undefined ? ` --address ${own.address}` : ''
  const names = stores.map((store) => left.get(store)?.name ?? store)
  // Without a map the addresses of other nodes are unknown, and so is what they hold.
  const more = view.map.cluster === undefined ? ' (add the directories of other nodes that are left)' : ''
  const dev = view.devDirectory
  return [
    dev === undefined
      ? `${gone}, stop ${names.join(', ')} and go on with the next command`
      : `${gone}, stop ${names.join(', ')} and the gateway: ashlar dev stop ${names.join(' ')} gateway --data-dir ${quoted(dev)}`,
    `${gone}, then see what a new cluster of what is left would lose${more}: ashlar cluster recover --from ${directories}${address}`,
  ]
}

function nodesTodo({ view, nodes, locals }: ClusterState): string[] {
  const { map } = view
  return nodes.flatMap((node) => {
    const { name, store, state } = node
    if (map.gone.has(store))
      return [`see which extents still need ${name}, which is declared lost: ashlar explain node ${name}`]
    if (state === 'down') return [...mendNode(view, locals, node), declareLost(name)]
    const answer = locals.get(store)
    if (isSilent(view, node) || answer?.answered === false)
      return [`see why ${name} does not respond: ashlar explain node ${name}`]
    const hanging = hangingDisk(view, locals, store)
    if (hanging !== undefined) return [...hanging.todo]
    const isRestoring = answer?.answered === true && answer.value.control?.recovering === true
    return isRestoring || node.trust === 'suspect' ? [`see what ${name} waits for: ashlar explain node ${name}`] : []
  })
}

function volumesTodo({ volumes }: ClusterState): string[] {
  const forced = volumes.filter((volume) => volume.forced.some(({ acknowledged }) => !acknowledged))
  const blocked = volumes.filter(({ state }) => state === 'unavailable' || state === 'unknown')
  return [
    ...blocked.slice(0, NAMED).map(({ name }) => explainVolumeCommand(name)),
    ...forced
      .slice(0, NAMED)
      .map(({ name }) => `check the data of ${name}, then end its warning: ashlar volume acknowledge-loss ${name}`),
  ]
}

/** Nodes that could vote where control does not survive the loss of one voter. */
function votersTodo({ view, nodes, locals }: ClusterState): string[] {
  const { map, voters } = view
  const gone = voters.filter(({ store }) => map.gone.has(store))
  const lasting = voters.length - gone.length
  const learns = (store: StoreId) =>
    [...locals.values()].some((answer) => answer.answered && answer.value.control?.learners.includes(store) === true)
  const candidates = nodes
    .filter((node) => node.state === 'up' && node.trust === 'trusted' && !isSilent(view, node))
    .filter(({ store }) => !voters.some((voter) => voter.store === store))
    .slice(0, Math.max(0, ENOUGH_VOTERS - lasting))
  const few = `control has ${counted(lasting, 'voter')}, and stops when ${lasting <= 2 ? 'one' : 'another'} is down`
  const enough = lasting + candidates.length >= ENOUGH_VOTERS
  const added = (enough ? candidates : []).flatMap(({ name, store }) => [
    ...(learns(store) ? [] : [`${few}; let ${name} follow its log: ashlar cluster membership add ${name}`]),
    `once ${name} has caught up, let it vote: ashlar cluster membership promote ${name}`,
  ])
  const removed = gone.map(
    ({ store }) =>
      `remove ${nodeName(map, store)}, which is lost, from the voters: ashlar cluster membership remove ${store}`,
  )
  return [...added, ...removed]
}

function versionsTodo({ view, locals }: ClusterState): string[] {
  const levels = levelsBelow(view, locals).flatMap(({ name, level }) =>
    level === undefined ? [] : [`upgrade ${name}, whose build supports feature level ${level} only`],
  )
  const byVersion = Map.groupBy(
    [...locals].flatMap(([store, answer]) =>
      answer.answered ? [{ version: answer.value.version, name: nodeName(view.map, store) }] : [],
    ),
    ({ version }) => version,
  )
  if (byVersion.size < 2) return levels
  const builds = [...byVersion].map(
    ([version, of]) =>
      `${of
        .map(({ name }) => name)
        .sort()
        .join(', ')} ${version}`,
  )
  return [`upgrade the older of these builds, one node after the other: ${builds.sort().join('; ')}`, ...levels]
}
