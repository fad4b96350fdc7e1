import type { NodeRecord } from '@ashlar/proto'
import { clusterTodo, restoringVoters } from './cluster-todo.ts'
import { type Contact, contactOf, isSilent, responding, timeOf } from './contact.ts'
import { memberName } from './control-members.ts'
import { describeSilence, type HealthState, nodeName, worst } from './health.ts'
import { type HeardHolders, heldVolumes, requestHeard } from './holders.ts'
import { levelWaitsFor } from './levels.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, type PeerResponses, requestLocal, requestLocalExtents } from './peers.ts'
import { nodesByName, volumesFrom } from './reports.ts'
import type { ClusterResponse, LocalExtentResponse, LocalResponse, VolumeResponse } from './schemas.ts'
import { lowOnSpace } from './space.ts'
import { complete } from './todo.ts'

/** What a report on the cluster is made of: the map of one node, and what the others report of themselves. */
export interface Evidence {
  readonly view: NodeView
  readonly locals: PeerResponses<LocalResponse>
  readonly extents: PeerResponses<LocalExtentResponse[]>
  readonly heard: HeardHolders
}

export async function evidenceOf(view: NodeView, fetchPeer: FetchPeer): Promise<Evidence> {
  const [locals, extents, heard] = await Promise.all([
    requestLocal(view, fetchPeer),
    requestLocalExtents(view, fetchPeer),
    requestHeard(view, fetchPeer),
  ])
  return { view, locals, extents, heard }
}

export async function clusterReport(view: NodeView, fetchPeer: FetchPeer): Promise<ClusterResponse> {
  return clusterFrom(await evidenceOf(view, fetchPeer))
}

export function clusterFrom({ view, locals, extents, heard }: Evidence): ClusterResponse {
  const { map } = view
  const contact = contactOf(view)
  const nodes = nodesByName(view)
  const volumes = map.cluster === undefined ? [] : volumesFrom(view, locals, extents, heard)
  const states = volumes.map(({ state }) => state)
  const short = lowOnSpace(
    view,
    locals,
    nodes.map(({ store }) => store),
  )
  const reasons = [...clusterReasons(view, contact, nodes), ...restoringReasons(view, contact, locals), ...short]
  if (contact.lost === undefined)
    for (const volume of volumes) reasons.push(...volume.reasons.map((reason) => `volume ${volume.name}: ${reason}`))
  // Without control no primary is named, no set changes and no lease is renewed: everything waits.
  const isServed = map.cluster !== undefined && contact.lost === undefined
  const state = isServed ? worst([...states, nodesState(view, nodes), ...degradedIf(short.length > 0)]) : 'unavailable'
  return {
    state,
    leader: view.leader === undefined ? null : nodeName(map, view.leader),
    voters: view.voters.map(({ store }) => memberName(map, store)),
    votersResponding: responding(contact.voters).map(({ store }) => memberName(map, store)),
    majority: contact.majority,
    nodes: nodes.length,
    nodesUp: nodes.filter((node) => node.state === 'up' && !isSilent(view, node)).length,
    volumes: volumes.length,
    extents: sumCounts(volumes.map((volume) => volume.extents)),
    behindBlocks: volumes.reduce((sum, volume) => sum + volume.behindBlocks, 0),
    cluster: map.cluster ?? null,
    mapRevision: map.revision,
    mapIsCurrent: isServed,
    mapAsOf: view.mapAgeMs === undefined ? null : timeOf(view.mapAgeMs),
    mapAgeMs: view.mapAgeMs === undefined ? null : Math.round(view.mapAgeMs),
    featureLevel: map.featureLevel,
    featureLevelWaitsFor: levelWaitsFor(view, locals),
    reasons,
    insecure: insecureOf(view, locals),
    notResponding: [...locals].filter(([, answer]) => !answer.answered).map(([store]) => nodeName(map, store)),
    holders: heldVolumes(volumes),
    todo: complete(view, clusterTodo({ view, contact, nodes, volumes, locals, state })),
  }
}

function degradedIf(condition: boolean): HealthState[] {
  return condition ? ['degraded'] : []
}

function nodesState(view: NodeView, nodes: readonly NodeRecord[]): HealthState {
  return nodes.every((node) => node.state === 'up' && !isSilent(view, node)) ? 'healthy' : 'degraded'
}

function clusterReasons(view: NodeView, { lost }: Contact, nodes: readonly NodeRecord[]): string[] {
  if (lost !== undefined) return [lost.reason]
  if (view.map.cluster === undefined)
    return [view.readiness.ready ? `${view.name} belongs to no cluster yet` : view.readiness.reason]
  const silent = nodes.filter((node) => isSilent(view, node)).map(({ store }) => store)
  return [
    ...nodes.filter(({ state }) => state !== 'up').map(({ name, state }) => `node ${name} is ${state}`),
    ...(silent.length === 0 ? [] : [describeSilence(view.map, silent)]),
  ]
}

/** Only where control has no leader: otherwise it restores them within seconds. */
function restoringReasons(view: NodeView, contact: Contact, locals: PeerResponses<LocalResponse>): string[] {
  if (contact.lost === undefined) return []
  return restoringVoters(view, contact, locals).map(
    ({ name }) =>
      `${name} lost its copy of control's log, or part of it, and does not vote until a leader has restored it`,
  )
}

function insecureOf(view: NodeView, locals: PeerResponses<LocalResponse>): ClusterResponse['insecure'] {
  return [...locals].flatMap(([store, answer]) =>
    answer.answered ? answer.value.insecure.map((listener) => ({ node: nodeName(view.map, store), ...listener })) : [],
  )
}

function sumCounts(all: readonly VolumeResponse['extents'][]): VolumeResponse['extents'] {
  const sum = { healthy: 0, recovering: 0, degraded: 0, unavailable: 0, unknown: 0 }
  for (const counts of all) {
    for (const state of Object.keys(sum) as (keyof typeof sum)[]) sum[state] += counts[state]
  }
  return sum
}
