import {
  AshlarError,
  type ExtentRecord,
  extentIndexOf,
  type NodeRecord,
  type StoreId,
  type VolumeRecord,
} from '@ashlar/proto'
import { contactOf, isSilent, reachOf } from './contact.ts'
import {
  type Cause,
  extentHealth,
  forcedOf,
  nodeName,
  nodesThatCount,
  type ProgressOf,
  type Reach,
  volumeHealth,
} from './health.ts'
import { type HeardHolders, holdersOf, requestHeard } from './holders.ts'
import type { NodeView } from './node-view.ts'
import {
  type FetchPeer,
  heldExtent,
  type PeerResponses,
  progressFrom,
  requestLocal,
  requestLocalExtents,
} from './peers.ts'
import type {
  ExtentResponse,
  LocalExtentResponse,
  LocalResponse,
  NodeDetailsResponse,
  NodeResponse,
  VolumeResponse,
} from './schemas.ts'
import { spaceOf } from './space.ts'
import { sightsOf, whyDown } from './why-down.ts'
import { endResponse } from './why-ended.ts'

/** Responses of the API, made of the map and of what the other nodes report of themselves. */

interface HeldCounts {
  primaries: number
  replicas: number
  inSync: number
}

export async function nodeReports(view: NodeView, fetchPeer: FetchPeer): Promise<NodeResponse[]> {
  const held = countHeldBy(view)
  const locals = await requestLocal(view, fetchPeer)
  return nodesByName(view).map((node) => nodeResponse(view, node, held, locals))
}

function nodeResponse(
  view: NodeView,
  node: NodeRecord,
  held: ReadonlyMap<StoreId, HeldCounts>,
  locals: PeerResponses<LocalResponse>,
): NodeResponse {
  return {
    id: node.name,
    state: contactOf(view).lost !== undefined && isSilent(view, node) ? 'unknown' : node.state,
    store: node.store,
    address: node.address,
    api: node.api,
    trust: node.trust,
    startCounter: node.incarnation.counter,
    ...(held.get(node.store) ?? { primaries: 0, replicas: 0, inSync: 0 }),
    declaredLost: view.map.gone.has(node.store),
    space: spaceOf(locals, node.store),
    ended: node.ended === undefined ? null : endResponse(node.ended),
    whyDown: node.state === 'down' || isSilent(view, node) ? whyDown(view, node, sightsOf(view, locals, node)) : null,
  }
}

function countHeldBy(view: NodeView): Map<StoreId, HeldCounts> {
  const held = new Map<StoreId, HeldCounts>()
  for (const extent of view.map.extents.values()) countHeld(held, extent)
  return held
}

function countHeld(held: Map<StoreId, HeldCounts>, extent: ExtentRecord): void {
  for (const store of extent.assigned) {
    const counts = held.get(store) ?? { primaries: 0, replicas: 0, inSync: 0 }
    held.set(store, counts)
    counts.replicas++
    if (extent.inSync.includes(store)) counts.inSync++
    if (extent.primary.store === store) counts.primaries++
  }
}

/** One node by its name or the id of its store. Throws NOT_FOUND, or NO_CONTROL where this node has no map. */
export function nodeNamed(view: NodeView, id: string): NodeRecord {
  const nodes = nodesByName(view)
  const found = nodes.find((node) => node.name === id || node.store === id)
  if (found !== undefined) return found
  needMap(view)
  const names = nodes.map((node) => node.name)
  throw new AshlarError('NOT_FOUND', `there is no node ${id}`, { hint: `nodes are ${names.join(', ')}` })
}

/** One node with what it reports of itself. Throws NOT_FOUND. */
export async function nodeReport(view: NodeView, id: string, fetchPeer: FetchPeer): Promise<NodeDetailsResponse> {
  const node = nodeNamed(view, id)
  const { store } = node
  const [locals, extents] = await Promise.all([requestLocal(view, fetchPeer), requestLocalExtents(view, fetchPeer)])
  const report = nodeResponse(view, node, countHeldBy(view), locals)
  const local = locals.get(store)
  const self = local?.answered === true ? local.value : undefined
  const silence = local === undefined ? 'it is down, so no request was sent' : 'it did not respond'
  return {
    ...report,
    ready: self?.ready ?? null,
    reason: self?.reason ?? (local?.answered === false ? local.reason : silence),
    version: self?.version ?? null,
    pid: self?.pid ?? null,
    dataDir: self?.dataDir ?? null,
    labels: self?.labels ?? null,
    seenBy: sightsOf(view, locals, node),
    volumes: heldVolumes(view, store, progressFrom(view, extents)),
  }
}

function heldVolumes(view: NodeView, store: StoreId, progressOf: ProgressOf): NodeDetailsResponse['volumes'] {
  return volumesByName(view).flatMap((volume) => {
    const extents = view.map.extentsOf(volume.id).filter(({ assigned }) => assigned.includes(store))
    if (extents.length === 0) return []
    const behind = extents.map((extent) => behindBlocks(extent, store, progressOf))
    return {
      name: volume.name,
      primaries: extents.filter(({ primary }) => primary.store === store).length,
      replicas: extents.length,
      inSync: extents.filter(({ inSync }) => inSync.includes(store)).length,
      behindBlocks: behind.includes(null) ? null : behind.reduce<number>((sum, blocks) => sum + (blocks ?? 0), 0),
    }
  })
}

/** Throws NO_CONTROL where this node has no map to read them from. */
export async function volumeReports(view: NodeView, fetchPeer: FetchPeer): Promise<VolumeReport[]> {
  needMap(view)
  const [locals, extents, heard] = await Promise.all([
    requestLocal(view, fetchPeer),
    requestLocalExtents(view, fetchPeer),
    requestHeard(view, fetchPeer),
  ])
  return volumesFrom(view, locals, extents, heard)
}

export function volumesFrom(
  view: NodeView,
  locals: PeerResponses<LocalResponse>,
  extents: PeerResponses<LocalExtentResponse[]>,
  heard: HeardHolders,
): VolumeReport[] {
  const progressOf = progressFrom(view, extents)
  const reach = reachOf(view, locals)
  return volumesByName(view).map((volume) => volumeResponse(view, volume, progressOf, reach, heard))
}

/** A response with the parts of its reasons, which `explain` shows apart and the API leaves out. */
export type VolumeReport = VolumeResponse & {
  readonly causes: readonly Cause[]
  readonly firstUnavailable: number | undefined
}
export type ExtentReport = ExtentResponse & Cause

/** Throws NOT_FOUND. */
export async function volumeReport(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<VolumeReport> {
  const volume = volumeNamed(view, name)
  const [locals, extents, heard] = await Promise.all([
    requestLocal(view, fetchPeer),
    requestLocalExtents(view, fetchPeer, name),
    requestHeard(view, fetchPeer),
  ])
  return volumeResponse(view, volume, progressFrom(view, extents), reachOf(view, locals), heard)
}

function volumeResponse(
  view: NodeView,
  volume: VolumeRecord,
  progressOf: ProgressOf,
  reach: Reach,
  heard: HeardHolders,
): VolumeReport {
  const { state, extents, reasons, causes, firstUnavailable } = volumeHealth(view.map, volume, progressOf, reach)
  const { name, sizeBytes, blockSizeBytes, extentSizeBytes, replicas, minInSync, generation } = volume
  const behind = view.map
    .extentsOf(volume.id)
    .flatMap((extent) => extent.assigned.map((store) => behindBlocks(extent, store, progressOf) ?? 0))
  return {
    ...{ name, sizeBytes, blockSizeBytes, replicas, minInSync, state, extentSizeBytes, extents, generation },
    behindBlocks: behind.reduce((sum, blocks) => sum + blocks, 0),
    holders: holdersOf(view, volume, heard),
    reasons: [...reasons],
    causes,
    firstUnavailable,
    forced: forcedOf(view.map, volume).map(({ extent, store, epoch, acknowledged, merged = false }) => ({
      ...{ extent: extentIndexOf(extent), node: nodeName(view.map, store), epoch, acknowledged, reconciled: merged },
    })),
  }
}

/** Extents of a volume with the standing of each replica. Throws NOT_FOUND. */
export async function extentReports(view: NodeView, name: string, fetchPeer: FetchPeer): Promise<ExtentReport[]> {
  const volume = volumeNamed(view, name)
  const [locals, answers] = await Promise.all([
    requestLocal(view, fetchPeer),
    requestLocalExtents(view, fetchPeer, name),
  ])
  const progressOf = progressFrom(view, answers)
  const reach = reachOf(view, locals)
  return view.map.extentsOf(volume.id).map((record, index) => ({
    extent: index,
    epoch: record.epoch,
    primary: nodeName(view.map, record.primary.store),
    replicas: record.assigned.map((store) => ({
      node: nodeName(view.map, store),
      standing: standingOf(view, record, store, progressOf),
      behindBlocks: behindBlocks(record, store, progressOf),
    })),
    ...extentHealth(view.map, volume, record, progressOf, reach),
    id: record.id,
    damagedBlocks: heldExtent(answers, record.primary.store, record.id)?.damagedBlocks ?? null,
  }))
}

/**
 * `in-sync` is what control committed. `joining` is what the primary reports: it copies to the replica. All else is
 * `out`, also a replica whose primary did not respond.
 */
function standingOf(
  view: NodeView,
  record: ExtentRecord,
  store: StoreId,
  progressOf: ProgressOf,
): 'in-sync' | 'joining' | 'out' {
  if (record.inSync.includes(store)) return 'in-sync'
  if (view.map.nodes.get(store)?.state === 'down') return 'out'
  return progressOf(record.id)?.get(store)?.joining === true ? 'joining' : 'out'
}

/** 0 for a replica that is in sync; null where the primary did not report it. */
function behindBlocks(record: ExtentRecord, store: StoreId, progressOf: ProgressOf): number | null {
  if (record.inSync.includes(store)) return 0
  return progressOf(record.id)?.get(store)?.behindBlocks ?? null
}

/** Throws NOT_FOUND, or NO_CONTROL where this node has no map. */
export function volumeNamed(view: NodeView, name: string): VolumeRecord {
  const volume = view.map.volumeNamed(name)
  if (volume !== undefined) return volume
  needMap(view)
  const names = volumesByName(view).map((known) => known.name)
  const hint = names.length === 0 ? 'there are no volumes yet' : `volumes are ${names.slice(0, 20).join(', ')}`
  throw new AshlarError('NOT_FOUND', `there is no volume ${name}`, { hint })
}

/** One extent by its number in a volume. Throws NOT_FOUND. */
export function extentNumbered(view: NodeView, volume: VolumeRecord, number: number): ExtentRecord {
  const record = view.map.extentsOf(volume.id)[number]
  if (record === undefined) throw new AshlarError('NOT_FOUND', `volume ${volume.name} has no extent ${number}`)
  return record
}

/** A member of a cluster that has no map yet knows nothing: it does not say that there is nothing. Throws NO_CONTROL. */
export function needMap(view: NodeView): void {
  const { lost } = contactOf(view)
  if (lost !== undefined && view.map.cluster === undefined)
    throw new AshlarError('NO_CONTROL', lost.problem, { hint: 'ashlar explain cluster' })
}

export function volumesByName(view: NodeView): VolumeRecord[] {
  return [...view.map.volumes.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function nodesByName(view: NodeView): NodeRecord[] {
  const byName = new Intl.Collator('en', { numeric: true })
  return nodesThatCount(view.map).sort((a, b) => byName.compare(a.name, b.name) || (a.store < b.store ? -1 : 1))
}
