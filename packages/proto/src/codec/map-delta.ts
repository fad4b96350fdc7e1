import {
  type ClusterId,
  type ExtentRecord,
  type ForcedPromotion,
  type Holder,
  LIMITS,
  type MapDelta,
  type NodeEnd,
  type NodeRecord,
  type VolumeId,
  type VolumeRange,
  type VolumeRecord,
  type Voter,
} from '@ashlar/proto'
import { type ByteReader, ByteWriter, badFrame } from './bytes.ts'
import {
  epochField,
  extentField,
  flagBits,
  generationField,
  levelField,
  listLength,
  momentField,
  readStore,
  readUuid,
  revisionField,
  volumeField,
  writeUuid,
} from './fields.ts'
import { readList, sum } from './lists.ts'
import {
  choiceAt,
  endBytes,
  extentBytes,
  nodeBytes,
  readEnd,
  readExtent,
  readNode,
  readVolume,
  readVoter,
  StoreList,
  type StoreTable,
  volumeBytes,
  voterBytes,
  writeEnd,
  writeExtent,
  writeNaming,
  writeNode,
  writeVolume,
  writeVoter,
} from './map-records.ts'

/*
 * A delta of the map as bytes, the content of map-update. Records as in map-records.ts.
 *
 * delta          cluster 16 | clusterGeneration 8 | from 8 | to 8 | voters 1 x voter | nodes 2 x node | volumes 4 x volume |
 *                removed 4 x (volume 4) | stores | extents 4 x extent | [since 3: featureLevel 1] |
 *                [losses], which is left out when there are none
 * losses         forced 4 x (extent 8 | epoch 8 | store s | flags 1 (1: acknowledged, 2: merged) | changedAt 8) |
 *                removed nodes 2 x (store 16) | gone 2 x (store 16) | [since 3: removed ranges 4 x (first 4 | last 4)] |
 *                [since 3, left out when there are none of this and the next: ends 2 x (place in nodes 2 | end)] |
 *                [since 3, left out when all are unknown: times of holders 4 x (since 8), in the order of the volumes, 0 unknown]
 */

/** Tombstones in one delta that are sent one by one. */
const MAX_REMOVED_VOLUMES = 2 ** 18
/** Between two ranges there is a volume, or a tombstone of the latest, or a number that a rebuilt map skipped. */
const MAX_REMOVED_RANGES = 2 * LIMITS.volumes
const ACKNOWLEDGED = 1
const MERGED = 2
const FORCED_BYTES = 27
/** An exclusive holder of each volume, or sessions that share volumes. */
const MAX_HOLDERS = LIMITS.volumes + LIMITS.mapHolders
/** Stores that left the map: a copy that has not heard for longer asks for the whole of it. */
const MAX_REMOVED_NODES = 2 * LIMITS.nodes
/** Every store of a table: a bound for sizes, where counting them would cost more than it saves. */
export const TABLE_BYTES = 2 + 16 * LIMITS.nodes

/**
 * From this many extents on, bytes are kept for as long as the delta is, by the wire version: one delta goes to
 * everybody who watches the map.
 */
const LARGE_EXTENTS = 256
const largeDeltas = new WeakMap<MapDelta, Map<number, Uint8Array>>()

export function isLarge(delta: MapDelta): boolean {
  return delta.extents.length >= LARGE_EXTENTS
}

/** The delta is never changed once it is sent, so that its bytes stand for it. */
export function largeDelta(delta: MapDelta, wire: number): Uint8Array {
  const known = largeDeltas.get(delta) ?? new Map<number, Uint8Array>()
  largeDeltas.set(delta, known)
  let bytes = known.get(wire)
  if (bytes === undefined) {
    const to = new ByteWriter(deltaBytes(delta))
    writeDelta(to, delta, wire)
    bytes = to.written()
    known.set(wire, bytes)
  }
  return bytes
}

export function deltaBytes(delta: MapDelta): number {
  return (
    51 +
    TABLE_BYTES +
    sum(delta.voters, voterBytes) +
    sum(delta.nodes, nodeBytes) +
    sum(delta.volumes, volumeBytes) +
    4 * delta.removedVolumes.length +
    namingBytes(delta)
  )
}

/** Extents, level and losses, without the stores that they name. */
function namingBytes(delta: MapDelta): number {
  return (
    sum(delta.extents, extentBytes) +
    13 +
    FORCED_BYTES * (delta.forced?.length ?? 0) +
    16 * ((delta.removedNodes?.length ?? 0) + (delta.gone?.length ?? 0)) +
    4 +
    8 * (delta.removedRanges?.length ?? 0) +
    2 +
    sum(delta.nodes, ({ ended }) => (ended === undefined ? 0 : 2 + endBytes(ended))) +
    4 +
    8 * holderTimes(delta).length
  )
}

/** When each holder attached, 0 where that is unknown; none when all are. The records have none: older links get them. */
function holderTimes({ volumes }: Pick<MapDelta, 'volumes'>): readonly number[] {
  const times = volumes.flatMap(({ holders }) => holders.map(({ since = 0 }) => since))
  return times.every((since) => since === 0) ? [] : times
}

/** The volumes of a delta with the times that came behind them. */
function withTimes(volumes: readonly VolumeRecord[], times: readonly number[]): readonly VolumeRecord[] {
  if (times.length === 0) return volumes
  let next = 0
  const timed = (holder: Holder): Holder => {
    const since = times[next++] ?? 0
    return since === 0 ? holder : { ...holder, since }
  }
  return volumes.map((volume) => ({ ...volume, holders: volume.holders.map(timed) }))
}

export function writeDelta(to: ByteWriter, delta: MapDelta, wire: number): void {
  writeUuid(to, delta.cluster)
  to.u53(generationField(delta.clusterGeneration))
  to.u53(revisionField(delta.from))
  to.u53(revisionField(delta.to))
  to.u8(listLength(delta.voters, LIMITS.voters, 'voters'))
  for (const voter of delta.voters) writeVoter(to, voter)
  to.u16(listLength(delta.nodes, LIMITS.nodes, 'nodes'))
  for (const node of delta.nodes) writeNode(to, node)
  to.u32(listLength(delta.volumes, LIMITS.volumes, 'volumes'))
  for (const volume of delta.volumes) writeVolume(to, volume)
  const removed = sentSingly(delta, wire)
  to.u32(listLength(removed, MAX_REMOVED_VOLUMES, 'removedVolumes'))
  for (const volume of removed) to.u32(volumeField(volume))
  writeNaming(to, namingBytes(delta), (naming, table) => {
    naming.u32(listLength(delta.extents, LIMITS.mapExtents, 'extents'))
    for (const record of delta.extents) writeExtent(naming, table, record)
    if (wire >= 3) naming.u8(levelField(delta.featureLevel ?? 0))
    writeLosses(naming, table, delta, wire)
  })
}

type Losses = Pick<MapDelta, 'forced' | 'removedNodes' | 'gone' | 'removedRanges'>
type Ended = readonly (readonly [place: number, ended: NodeEnd])[]
/** What older links lack of nodes and volumes: it comes behind their records. */
interface Additions {
  readonly ended?: Ended
  readonly times?: readonly number[]
}

/** What most clusters never have, so that most deltas end before it. */
function writeLosses(
  to: ByteWriter,
  table: StoreTable,
  delta: Losses & Pick<MapDelta, 'nodes' | 'volumes'>,
  wire: number,
): void {
  const { forced = [], removedNodes = [], gone = [] } = delta
  const removedRanges = wire >= 3 ? (delta.removedRanges ?? []) : []
  const ended = wire >= 3 ? endedIn(delta.nodes) : []
  const times = wire >= 3 ? holderTimes(delta) : []
  const added = ended.length + times.length
  if (forced.length + removedNodes.length + gone.length + removedRanges.length + added === 0) return
  to.u32(listLength(forced, LIMITS.mapExtents, 'forced'))
  for (const { extent, epoch, store, acknowledged, merged, changedAt } of forced) {
    to.u53(extentField(extent))
    to.u53(epochField(epoch))
    table.writePlace(to, store)
    to.u8((acknowledged ? ACKNOWLEDGED : 0) | (merged === true ? MERGED : 0))
    to.u53(revisionField(changedAt))
  }
  to.u16(listLength(removedNodes, MAX_REMOVED_NODES, 'removedNodes'))
  for (const store of removedNodes) writeUuid(to, store)
  to.u16(listLength(gone, LIMITS.nodes, 'gone'))
  for (const store of gone) writeUuid(to, store)
  if (wire < 3) return
  to.u32(listLength(removedRanges, MAX_REMOVED_RANGES, 'removedRanges'))
  for (const { first, last } of removedRanges) {
    to.u32(volumeField(first))
    to.u32(volumeField(last))
  }
  if (ended.length + times.length === 0) return
  to.u16(ended.length)
  for (const [place, end] of ended) {
    to.u16(place)
    writeEnd(to, end)
  }
  if (times.length === 0) return
  to.u32(listLength(times, MAX_HOLDERS, 'times of holders'))
  for (const since of times) to.u53(momentField(since))
}

function endedIn(nodes: readonly NodeRecord[]): Ended {
  return nodes.flatMap(({ ended }, place) => (ended === undefined ? [] : [[place, ended] as const]))
}

function readLosses(from: ByteReader, stores: StoreList, wire: number): Losses & Additions {
  if (from.left === 0) return {}
  const forced = readList<ForcedPromotion>(from, from.u32(), FORCED_BYTES, LIMITS.mapExtents, 'forced', () => {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const store = stores.readPlace(from)
    const flags = flagBits(from.u8(), ACKNOWLEDGED | MERGED)
    const acknowledged = (flags & ACKNOWLEDGED) !== 0
    const merged = (flags & MERGED) === 0 ? {} : { merged: true as const }
    return { extent, epoch, store, acknowledged, ...merged, changedAt: revisionField(from.u53()) }
  })
  const removedNodes = readList(from, from.u16(), 16, MAX_REMOVED_NODES, 'removedNodes', () => readStore(from))
  const gone = readList(from, from.u16(), 16, LIMITS.nodes, 'gone', () => readStore(from))
  const removedRanges = wire < 3 ? [] : readRanges(from)
  const ended: Ended =
    wire < 3 || from.left === 0
      ? []
      : readList(from, from.u16(), 22, LIMITS.nodes, 'ends', () => [from.u16(), readEnd(from)] as const)
  const times = wire < 3 || from.left === 0 ? [] : readTimes(from)
  return {
    ...(ended.length === 0 ? {} : { ended }),
    ...(times.length === 0 ? {} : { times }),
    ...(forced.length === 0 ? {} : { forced }),
    ...(removedNodes.length === 0 ? {} : { removedNodes }),
    ...(gone.length === 0 ? {} : { gone }),
    ...(removedRanges.length === 0 ? {} : { removedRanges }),
  }
}

function readTimes(from: ByteReader): number[] {
  return readList(from, from.u32(), 8, MAX_HOLDERS, 'times of holders', () => momentField(from.u53()))
}

function readRanges(from: ByteReader): VolumeRange[] {
  return readList(from, from.u32(), 8, MAX_REMOVED_RANGES, 'removedRanges', () => {
    const [first, last] = [volumeField(from.u32()), volumeField(from.u32())]
    if (last < first) throw badFrame(`a range of removed volumes ends at ${last} and begins at ${first}`)
    return { first, last }
  })
}

/**
 * Tombstones to send one by one. An older link has no ranges: it gets the volumes in them too, as many of the newest as
 * fit.
 */
function sentSingly({ removedVolumes, removedRanges = [] }: MapDelta, wire: number): readonly VolumeId[] {
  if (wire >= 3 || removedRanges.length === 0) return removedVolumes
  const sent: VolumeId[] = [...removedVolumes]
  for (const { first, last } of [...removedRanges].reverse())
    for (let volume: number = last; volume >= first && sent.length < MAX_REMOVED_VOLUMES; volume--)
      sent.push(volume as VolumeId)
  return sent
}

export function readDelta(from: ByteReader, wire: number): MapDelta {
  const cluster = readUuid(from) as ClusterId
  const clusterGeneration = generationField(from.u53())
  const since = revisionField(from.u53())
  const to = revisionField(from.u53())
  const voters = readList<Voter>(from, from.u8(), 18, LIMITS.voters, 'voters', () => readVoter(from))
  const nodes = readList<NodeRecord>(from, from.u16(), 42, LIMITS.nodes, 'nodes', () => readNode(from))
  const volumes = readList<VolumeRecord>(from, from.u32(), 46, LIMITS.volumes, 'volumes', () => readVolume(from))
  const removedVolumes = readList<VolumeId>(from, from.u32(), 4, MAX_REMOVED_VOLUMES, 'removedVolumes', () =>
    volumeField(from.u32()),
  )
  const stores = new StoreList(from)
  const extents = readList<ExtentRecord>(from, from.u32(), 45, LIMITS.mapExtents, 'extents', () =>
    readExtent(from, stores),
  )
  const featureLevel = wire >= 3 ? levelField(from.u8()) : 0
  const { ended = [], times = [], ...losses } = readLosses(from, stores, wire)
  for (const [place, end] of ended) nodes[place] = { ...choiceAt(nodes, place, 'node that ended'), ended: end }
  const level = featureLevel === 0 ? {} : { featureLevel }
  return {
    ...{ cluster, clusterGeneration, from: since, to, voters, nodes, extents, removedVolumes },
    volumes: withTimes(volumes, times),
    ...level,
    ...losses,
  }
}
