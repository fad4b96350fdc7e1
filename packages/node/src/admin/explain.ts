import { AshlarError, type ExtentId, isAtLeast, NO_INCARNATION, type StoreId, TIMERS } from '@ashlar/proto'
import { awaitedToMerge, nodeName } from './health.ts'
import type { NodeView } from './node-view.ts'
import { askLocal, type FetchPeer, type PeerResponses } from './peers.ts'
import { extentReports, nodeReport, volumeReport } from './reports.ts'
import { describeSpace, howToFreeSpace, lowOnSpace } from './room.ts'
import type { ExplanationResponse, ExtentResponse, LocalResponse, VolumeResponse } from './schemas.ts'
import { explainScrub } from './scrub.ts'

/** Why a volume, an extent (`VOLUME/NUMBER`) or a node is as it is, what it waits for, and what a person can do. */
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
  const [volume, locals] = await Promise.all([volumeReport(view, name, fetchPeer), askLocal(view, fetchPeer)])
  const short = lowOnSpace(view, locals, storesOf(view, name))
  const { healthy, recovering, degraded, unavailable } = volume.extents
  const total = healthy + recovering + degraded + unavailable
  const because = [`${healthy} of its ${total} extents have all ${volume.replicas} replicas in sync`]
  if (recovering > 0) because.push(`${recovering} are being copied to, ${volume.behindBlocks} blocks to go`)
  if (degraded > 0) because.push(`${degraded} lack a replica that nobody copies to`)
  if (unavailable > 0) because.push(`${unavailable} cannot be read or written`)
  const holders = volume.holders.map(({ client, mode }) => `${client} (${mode})`)
  because.push(holders.length === 0 ? 'nobody has it open for writing' : `open by ${holders.join(', ')}`)
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
  const [extents, locals] = await Promise.all([extentReports(view, volume, fetchPeer), askLocal(view, fetchPeer)])
  const extent = extents[Number(number)]
  if (extent === undefined) throw new AshlarError('NOT_FOUND', `volume ${volume} has no extent ${number}`)
  const assigned = view.map.extents.get(extent.id as ExtentId)?.assigned ?? []
  const short = lowOnSpace(view, locals, assigned)
  return {
    kind: 'extent',
    name,
    state: extent.state,
    because: [
      `${extent.primary} is its primary since epoch ${extent.epoch}`,
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
            ...giveUpAwaited(view, extent.id as ExtentId),
            ...forceAnother(view, name, extent.id as ExtentId),
          ]),
      ...howToFreeSpace(short),
    ],
  }
}

/** What nobody who is here has: readers of these blocks are told, and copies of blocks that differ wait for it. */
function damageLines({ primary, damagedBlocks }: ExtentResponse): string[] {
  if (damagedBlocks === null || damagedBlocks === 0) return []
  return [
    `${damagedBlocks} blocks on ${primary} are damaged, and no replica that was asked has a good copy: it asks again, and a write of the whole block ends it`,
  ]
}

function acknowledge({ name, forced }: VolumeResponse): string[] {
  return forced.every(({ acknowledged }) => acknowledged) ? [] : [`ashlar volume acknowledge-loss ${name}`]
}

function forcedLines(view: NodeView, extent: ExtentId): string[] {
  const forced = view.map.forced.get(extent)
  if (forced === undefined) return []
  const known = forced.acknowledged ? 'a person has acknowledged that' : 'nobody has acknowledged that yet'
  const node = nodeName(view.map, forced.store)
  const how =
    forced.merged === true
      ? 'was named to merge what the suspect stores hold that were left,'
      : 'was made primary by force'
  return [`${node} ${how} in epoch ${forced.epoch}: acknowledged writes may be lost, and ${known}`]
}

/** The last resort, where nobody who holds every acknowledged write is here and somebody else is. */
function forceAnother(view: NodeView, name: string, extent: ExtentId): string[] {
  const record = view.map.extents.get(extent)
  const isUp = (store: StoreId) => view.map.nodes.get(store)?.state === 'up'
  if (record === undefined) return []
  const waits = record.primary.counter !== NO_INCARNATION && [...record.inSync, ...record.eligible].some(isUp)
  if (waits) return []
  return record.assigned
    .filter(isUp)
    .map((store) => `see what would be lost: ashlar extent force-primary ${name} --node ${nodeName(view.map, store)}`)
}

/** A merge waits for stores that may never come back: that is for a person to say. */
function giveUpAwaited({ map }: NodeView, extent: ExtentId): string[] {
  const record = map.extents.get(extent)
  return record === undefined ? [] : awaitedToMerge(map, record).map((store) => giveUpNode(nodeName(map, store)))
}

function describeStanding({ standing, behindBlocks }: ExtentResponse['replicas'][number]): string {
  if (standing === 'in-sync') return 'in sync: it holds every acknowledged write'
  const behind = behindBlocks === null ? 'nobody could say how far behind' : `${behindBlocks} blocks behind`
  return standing === 'joining' ? `joining, ${behind}` : `out, ${behind}`
}

/** What made a store suspect: it knows itself, unless only control does. */
function describeSuspicion(locals: PeerResponses<LocalResponse>, store: StoreId): string {
  const answer = locals.get(store)
  if (answer?.answered !== true) return 'why could not be asked'
  return answer.value.suspicion ?? 'control saw two directories with its identity, of which one is a copy'
}

async function explainNode(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExplanationResponse> {
  const [node, locals] = await Promise.all([nodeReport(view, name, fetchPeer), askLocal(view, fetchPeer)])
  const store = node.store as StoreId
  const why = node.trust === 'suspect' ? `: ${describeSuspicion(locals, store)}` : ''
  const because = [
    `it holds ${node.replicas} replicas, ${node.inSync} of them in sync, and is primary of ${node.primaries}`,
    `its store ${node.store} was opened ${node.startCounter} times and is ${node.trust}${why}`,
  ]
  const waitsFor: string[] = []
  const { room } = node
  const isShort = room !== null && isAtLeast(room.space, 'tight')
  if (room !== null) (isShort ? waitsFor : because).push(`it ${describeSpace(room)}`)
  if (node.declaredLost)
    waitsFor.push('it was declared lost for good, and stays in the map while an extent has nobody else')
  else if (node.state === 'down') waitsFor.push('its lease ran out: nothing was heard of it for longer than that')
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
      ? [startNode(node.id), giveUpNode(node.id)]
      : node.ready === false
        ? [`read the log of ${node.id}`]
        : isShort
          ? howToFreeSpace(waitsFor)
          : [],
  }
}

/** A voter without its log: what happened to it, and what it waits for. */
function controlRecovery(locals: PeerResponses<LocalResponse>, store: StoreId): string[] {
  const answer = locals.get(store)
  if (answer?.answered !== true || answer.value.control?.recovering !== true) return []
  return [
    "its part of control's log was lost or damaged after it had voted by it: it gives no vote and does not lead until a leader that the other voters elected has filled it again; if too few of them are left for that, see `ashlar cluster recover`",
  ]
}

/** A disk that does not save what is written to control's log (amendment 28). */
function controlDisk(locals: PeerResponses<LocalResponse>, store: StoreId): string[] {
  const answer = locals.get(store)
  const control = answer?.answered === true ? answer.value.control : undefined
  const { diskWaitedMs = 0, voters = [] } = control ?? {}
  if (diskWaitedMs <= TIMERS.logSlowMs) return []
  const alone = voters.length === 1 && voters[0] === store
  const meaning = alone
    ? 'nobody else votes, so nothing is decided until it does; `ashlar cluster membership` adds voters'
    : 'another voter leads meanwhile, if most of them save what they are sent'
  return [`its disk has not saved what control's log holds for ${Math.round(diskWaitedMs / 1000)} s: ${meaning}`]
}

function startDownNodes(view: NodeView): string[] {
  const down = [...view.map.nodes.values()].filter((node) => node.state === 'down' && holdsReplicas(view, node.store))
  return down.map((node) => startNode(node.name))
}

function startNode(name: string): string {
  return `start ${name} again over its data directory, or look in its log why it does not`
}

function giveUpNode(name: string): string {
  return `if ${name} is gone for good, see what that costs: ashlar node lost ${name}`
}

function holdsReplicas(view: NodeView, store: StoreId): boolean {
  for (const extent of view.map.extents.values()) if (extent.assigned.includes(store)) return true
  return false
}
