import { AshlarError, type ExtentId, isAtLeast, NO_INCARNATION, type StoreId, TIMERS } from '@ashlar/proto'
import { awaitedToReconcile, nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import { type FetchPeer, type PeerResponses, requestLocal } from './peers.ts'
import { extentReports, nodeReport, volumeReport } from './reports.ts'
import type { ExplanationResponse, ExtentResponse, LocalResponse, VolumeResponse } from './schemas.ts'
import { explainScrub } from './scrub.ts'
import { describeSpace, howToFreeSpace, lowOnSpace } from './space.ts'

/** Why a volume, an extent (`VOLUME/NUMBER`) or a node is in its state, what it waits for, and what an operator can do. */
export async function explain(
  view: NodeView,
  kind: ExplanationResponse['kind'],
  name: string,
  fetchPeer: FetchPeer,
): Promise<ExplanationResponse> {
  switch (kind) {
    case 'volume':
      return await explainVolume(view, name, fetchPeer)
    case 'extent':
      return await explainExtent(view, name, fetchPeer)
    case 'node':
      return await explainNode(view, name, fetchPeer)
  }
}

async function explainVolume(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [volume, locals] = await Promise.all([volumeReport(view, name, fetchPeer), requestLocal(view, fetchPeer)])
  const short = lowOnSpace(view, locals, storesOf(view, name))
  const { healthy, recovering, degraded, unavailable } = volume.extents
  const total = healthy + recovering + degraded + unavailable
  const because = [`${healthy} of its ${total} extents have all ${volume.replicas} replicas in sync`]
  if (recovering > 0) because.push(`${recovering} are recovering, with ${volume.behindBlocks} blocks left to copy`)
  if (degraded > 0) because.push(`${degraded} lack a replica, and no copy to it runs`)
  if (unavailable > 0) because.push(`${unavailable} cannot be read or written`)
  const holders = volume.holders.map(({ client, mode }) => `${client} (${mode})`)
  because.push(holders.length === 0 ? 'no client has it open for writing' : `open by ${holders.join(', ')}`)
  return {
    kind: 'volume',
    name,
    state: volume.state,
    because,
    waitsFor: [...volume.reasons, ...short],
    todo: [
      ...(volume.state === 'healthy'
        ? []
        : [`ashlar extent ls ${name}`, ...startDownNodes(view), ...acknowledge(volume)]),
      ...howToFreeSpace(short),
    ],
  }
}

function storesOf(view: NodeView, name: string): StoreId[] {
  const volume = view.map.volumeNamed(name)
  return volume === undefined ? [] : view.map.extentsOf(volume.id).flatMap(({ assigned }) => assigned)
}

async function explainExtent(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [, volume, number] = /^(.+)\/(\d+)$/.exec(name) ?? []
  if (volume === undefined || number === undefined) {
    throw new AshlarError('USAGE', `"${name}" is not an extent`, { hint: 'write VOLUME/NUMBER, such as demo/0' })
  }
  const [extents, locals] = await Promise.all([extentReports(view, volume, fetchPeer), requestLocal(view, fetchPeer)])
  const extent = extents[Number(number)]
  if (extent === undefined) throw new AshlarError('NOT_FOUND', `volume ${volume} has no extent ${number}`)
  const assigned = view.map.extents.get(extent.id as ExtentId)?.assigned ?? []
  const short = lowOnSpace(view, locals, assigned)
  return {
    kind: 'extent',
    name,
    state: extent.state,
    because: [
      `${extent.primary} has been its primary since epoch ${extent.epoch}`,
      ...forcedLines(view, extent.id as ExtentId),
      ...extent.replicas.map((replica) => `the replica on ${replica.node} is ${describeStanding(replica)}`),
      ...assigned
        .filter((store) => view.map.nodes.get(store)?.trust === 'suspect')
        .map((store) => `the store of ${nodeName(view.map, store)} is suspect: ${describeSuspicion(locals, store)}`),
    ],
    waitsFor: [...(extent.reason === '' ? [] : [extent.reason]), ...damageLines(extent), ...short],
    todo: [
      ...(extent.state === 'healthy'
        ? []
        : [
            ...startDownNodes(view),
            ...declareAwaited(view, extent.id as ExtentId),
            ...forceAnother(view, name, extent.id as ExtentId),
          ]),
      ...howToFreeSpace(short),
    ],
  }
}

/** Damaged blocks without a good copy: reads of them fail, and copies of blocks that differ wait. */
function damageLines({ primary, damagedBlocks }: ExtentResponse): string[] {
  if (damagedBlocks === null || damagedBlocks === 0) return []
  return [
    `${damagedBlocks} blocks on ${primary} are damaged, and no replica that responded has a good copy: it retries, and a write of the whole block repairs it`,
  ]
}

function acknowledge({ name, forced }: VolumeResponse): string[] {
  return forced.every(({ acknowledged }) => acknowledged) ? [] : [`ashlar volume acknowledge-loss ${name}`]
}

function forcedLines(view: NodeView, extent: ExtentId): string[] {
  const forced = view.map.forced.get(extent)
  if (forced === undefined) return []
  const known = forced.acknowledged ? 'this was acknowledged' : 'this is not acknowledged yet'
  const node = nodeName(view.map, forced.store)
  const how =
    forced.merged === true
      ? 'became primary to reconcile the suspect stores that were left,'
      : 'was made primary by force'
  return [`${node} ${how} in epoch ${forced.epoch}: acknowledged writes may be lost; ${known}`]
}

/** The last resort, where every replica with all acknowledged writes is down and another one is up. */
function forceAnother(view: NodeView, name: string, extent: ExtentId): string[] {
  const record = view.map.extents.get(extent)
  const isUp = (store: StoreId) => view.map.nodes.get(store)?.state === 'up'
  if (record === undefined) return []
  const waits = record.primary.counter !== NO_INCARNATION && [...record.inSync, ...record.eligible].some(isUp)
  if (waits) return []
  return record.assigned
    .filter(isUp)
    .map(
      (store) =>
        `see what a forced promotion would lose: ashlar extent force-primary ${name} --node ${nodeName(view.map, store)}`,
    )
}

/** A reconcile waits for stores that may never come back: an operator decides that. */
function declareAwaited({ map }: NodeView, extent: ExtentId): string[] {
  const record = map.extents.get(extent)
  return record === undefined ? [] : awaitedToReconcile(map, record).map((store) => declareLost(nodeName(map, store)))
}

function describeStanding({ standing, behindBlocks }: ExtentResponse['replicas'][number]): string {
  if (standing === 'in-sync') return 'in sync: it holds every acknowledged write'
  const behind = behindBlocks === null ? 'the number of blocks behind is unknown' : `${behindBlocks} blocks behind`
  return standing === 'joining' ? `joining, ${behind}` : `out, ${behind}`
}

/** Why a store is suspect: as the store found itself, or else as control saw it. */
function describeSuspicion(locals: PeerResponses<LocalResponse>, store: StoreId): string {
  const answer = locals.get(store)
  if (answer?.answered !== true) return 'the node did not respond with the reason'
  return answer.value.suspicion ?? 'control saw two data directories with its identity, one of which is a copy'
}

async function explainNode(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [node, locals] = await Promise.all([nodeReport(view, name, fetchPeer), requestLocal(view, fetchPeer)])
  const store = node.store as StoreId
  const why = node.trust === 'suspect' ? `: ${describeSuspicion(locals, store)}` : ''
  const because = [
    `it holds ${node.replicas} replicas, ${node.inSync} of them in sync, and is primary of ${node.primaries}`,
    `its store ${node.store} was opened ${node.startCounter} times and is ${node.trust}${why}`,
  ]
  const waitsFor: string[] = []
  const { space } = node
  const isShort = space !== null && isAtLeast(space.level, 'tight')
  if (space !== null) (isShort ? waitsFor : because).push(`it ${describeSpace(space)}`)
  if (node.declaredLost)
    waitsFor.push('it was declared permanently lost, and stays in the map while an extent has no other full copy')
  else if (node.state === 'down') waitsFor.push('its lease ran out: control received no renewal from it')
  else if (node.reason !== '') waitsFor.push(node.reason)
  waitsFor.push(...controlRecovery(locals, store), ...controlDisk(locals, store))
  if (locals.get(store)?.answered === true) {
    const scrub = await explainScrub(node.api, fetchPeer)
    because.push(...scrub.because)
    waitsFor.push(...scrub.waitsFor)
  }
  for (const volume of node.volumes) {
    if (volume.inSync === volume.replicas) continue
    const behind = volume.behindBlocks === null ? '' : `, ${volume.behindBlocks} blocks behind`
    waitsFor.push(
      `volume ${volume.name}: ${volume.inSync} of its ${volume.replicas} replicas here are in sync${behind}`,
    )
  }
  const isDown = node.state === 'down'
  return {
    kind: 'node',
    name: node.id,
    state: node.state,
    because,
    waitsFor,
    todo: isDown
      ? [startNode(node.id), declareLost(node.id)]
      : node.ready === false
        ? [`read the log of ${node.id}`]
        : isShort
          ? howToFreeSpace(waitsFor)
          : [],
  }
}

/** A voter whose log was lost or damaged: what happened, and what it waits for. */
function controlRecovery(locals: PeerResponses<LocalResponse>, store: StoreId): string[] {
  const answer = locals.get(store)
  if (answer?.answered !== true || answer.value.control?.recovering !== true) return []
  return [
    "its copy of control's log was lost or damaged: it does not vote or lead until a leader that the other voters elect has restored it; if too few voters are left for that, see `ashlar cluster recover`",
  ]
}

/** A disk that does not complete writes to control's log (amendment 28). */
function controlDisk(locals: PeerResponses<LocalResponse>, store: StoreId): string[] {
  const answer = locals.get(store)
  const control = answer?.answered === true ? answer.value.control : undefined
  const { diskWaitedMs = 0, voters = [] } = control ?? {}
  if (diskWaitedMs <= TIMERS.logSlowMs) return []
  const alone = voters.length === 1 && voters[0] === store
  const meaning = alone
    ? 'it is the only voter, so control decides nothing until it does; `ashlar cluster membership` adds voters'
    : 'another voter leads meanwhile, if the disks of a majority work'
  return [`its disk has not completed a write to control's log for ${Math.round(diskWaitedMs / 1000)} s: ${meaning}`]
}

function startDownNodes(view: NodeView): string[] {
  const down = [...view.map.nodes.values()].filter((node) => node.state === 'down' && holdsReplicas(view, node.store))
  return down.map((node) => startNode(node.name))
}

function startNode(name: string): string {
  return `start ${name} again with its data directory; if it does not start, its log says why`
}

function declareLost(name: string): string {
  return `if ${name} never comes back, see what declaring it lost costs: ashlar node lost ${name}`
}

function holdsReplicas(view: NodeView, store: StoreId): boolean {
  for (const extent of view.map.extents.values()) if (extent.assigned.includes(store)) return true
  return false
}
