import type {
  Bytes,
  ClusterId,
  Epoch,
  ExtentId,
  ExtentRecord,
  NodeName,
  NodeRecord,
  StoreId,
  VolumeId,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import {
  clusterGenerationOf,
  epochOf,
  extentCount,
  extentId,
  extentIndexOf,
  FEATURES,
  LIMITS,
  NO_INCARNATION,
  volumeOf,
} from '@ashlar/proto'
import type { Head, HeadRecord } from '../../machine.ts'
import { type Command, type LogEntry, storedState } from '../log/index.ts'
import type { Unstamped } from '../map/index.ts'

/** What one surviving data directory contains. */
export interface SurvivingStore {
  readonly store: StoreId
  /** Start counter of its last incarnation. */
  readonly startCounter: number
  /** Feature level of the directory; absent: 0. */
  readonly featureLevel?: number
  readonly voters: readonly Voter[]
  /** `suspect`: the store lost something, so this replica may lack acknowledged writes (amendment 11). */
  readonly replicas: readonly { readonly extent: ExtentId; readonly head: Head; readonly suspect?: boolean }[]
  readonly volumes: readonly {
    readonly volume: VolumeId
    readonly name: string
    readonly longestExtentBytes: Bytes
    readonly replicas: number
  }[]
}

/**
 * How an extent was found. `certain`: every store that may hold an acknowledged write is given, and one of them is
 * trusted. `suspect`: all are given, and all are suspect. `uncertain`: some are absent.
 */
export type Certainty = 'certain' | 'suspect' | 'uncertain' | 'missing'

export interface RebuiltExtent {
  readonly record: Unstamped<ExtentRecord>
  readonly certainty: Certainty
  /** Stores that hold every acknowledged write, by the newest record found. */
  readonly counted: readonly StoreId[]
  /** Those of them that are absent: they may hold newer writes. */
  readonly absent: readonly StoreId[]
}

export interface RebuiltMap {
  readonly generation: number
  /** The highest feature level of a store. */
  readonly featureLevel: number
  /** Voters that the first store with a list of them knew. */
  readonly formerVoters: readonly Voter[]
  readonly nodes: readonly Unstamped<NodeRecord>[]
  readonly volumes: readonly Unstamped<VolumeRecord>[]
  readonly extents: readonly RebuiltExtent[]
}

type Recover = Extract<Command, { do: 'recover' }>

/** The heads of each extent and their stores, in the order of the stores. */
type HeadsByExtent = ReadonlyMap<ExtentId, readonly HeldHead[]>
interface HeldHead {
  readonly store: StoreId
  readonly head: Head
  readonly suspect: boolean
}

/** Volume numbers to skip: volumes may have had them that no given store knows. */
const SPARE_VOLUMES = 1024
/** Extents of one entry of the log. */
const ENTRY_EXTENTS = 256

/**
 * Rebuilds the map from the heads of surviving stores (A2.18-3), under a new cluster generation, which fences promises
 * and undelivered messages of older ones. The record with the highest (generation, revision) of an extent counts.
 * Deterministic in its argument.
 */
export function rebuildMap(stores: readonly SurvivingStore[]): RebuiltMap {
  const generation =
    1 + Math.max(0, ...stores.flatMap(({ replicas }) => replicas.map(({ head }) => generationOf(head))))
  const heads = headsByExtent(stores)
  const found = newestRecords(heads)
  const given = new Set(stores.map(({ store }) => store))
  const volumes = rebuildVolumes(stores, found)
  const anyOfVolume = new Map([...found].map(([id, record]) => [volumeOf(id), record]))
  const extents = volumes.flatMap((volume) =>
    Array.from({ length: extentCount(volume) }, (_, index) => {
      const id = extentId(volume.id, index)
      const newest = found.get(id)
      return newest === undefined
        ? missingExtent(id, generation, (anyOfVolume.get(volume.id) as HeadRecord).assigned, given, heads.get(id))
        : rebuildExtent(id, generation, newest, given, stores, heads)
    }),
  )
  const featureLevel = Math.max(0, ...stores.map((store) => store.featureLevel ?? 0))
  const formerVoters = stores.find(({ voters }) => voters.length > 0)?.voters ?? []
  return { generation, featureLevel, formerVoters, nodes: rebuildNodes(stores, extents), volumes, extents }
}

/** The map as entries that follow the bootstrap of a new log. */
export function recoverCommands(map: RebuiltMap): Recover[] {
  const { generation, featureLevel, formerVoters, nodes, volumes, extents } = map
  const lastVolume = Math.max(0, ...volumes.map(({ id }) => id)) + SPARE_VOLUMES
  const level = {
    ...(featureLevel === 0 ? {} : { featureLevel }),
    ...(featureLevel >= FEATURES.formerVoters && formerVoters.length > 1 ? { formerVoters } : {}),
  }
  const stored = nodes.map((node) => ({ ...node, state: storedState(node.state) }))
  const commands: Recover[] = [
    { do: 'recover', generation, lastVolume, nodes: stored, volumes, extents: [], lossy: [], ...level },
  ]
  for (let at = 0; at < extents.length; at += ENTRY_EXTENTS) {
    const part = extents.slice(at, at + ENTRY_EXTENTS)
    // Without absent stores no new timeline begins: control reconciles what the suspect stores hold. Nor does one of a
    // missing extent before an operator forces a primary, which the mark would make look done (A2.18-6).
    const lossy = part.filter(({ certainty }) => certainty === 'uncertain').map(({ record }) => record.id)
    commands.push({
      do: 'recover',
      generation,
      lastVolume,
      nodes: [],
      volumes: [],
      extents: part.map(({ record }) => record),
      lossy,
    })
  }
  return commands
}

/** The log of the recovered cluster: its bootstrap under a new id, then the map. */
export function recoveredLog(map: RebuiltMap, cluster: ClusterId, voters: readonly Voter[]): LogEntry[] {
  const commands = [{ do: 'found', cluster, voters } as const, ...recoverCommands(map)]
  return commands.map((command, at): LogEntry => ({ index: at + 1, term: 1, command }))
}

function generationOf({ promised, record }: Head): number {
  return clusterGenerationOf(Math.max(promised, record?.epoch ?? 0) as Epoch)
}

function headsByExtent(stores: readonly SurvivingStore[]): HeadsByExtent {
  const heads = new Map<ExtentId, HeldHead[]>()
  for (const { store, replicas } of stores)
    for (const { extent, head, suspect = false } of replicas) {
      const known = heads.get(extent)
      if (known === undefined) heads.set(extent, [{ store, head, suspect }])
      else known.push({ store, head, suspect })
    }
  return heads
}

function newestRecords(heads: HeadsByExtent): Map<ExtentId, HeadRecord> {
  const newest = new Map<ExtentId, HeadRecord>()
  for (const [extent, held] of heads)
    for (const { head } of held) {
      const known = newest.get(extent)
      if (head.record !== undefined && (known === undefined || isNewer(head.record, known)))
        newest.set(extent, head.record)
    }
  return newest
}

function isNewer(a: HeadRecord, b: HeadRecord): boolean {
  const [generation, other] = [clusterGenerationOf(a.epoch), clusterGenerationOf(b.epoch)]
  return generation > other || (generation === other && a.revision > b.revision)
}

function rebuildExtent(
  id: ExtentId,
  generation: number,
  newest: HeadRecord,
  given: ReadonlySet<StoreId>,
  stores: readonly SurvivingStore[],
  heads: HeadsByExtent,
): RebuiltExtent {
  const counted = [...newest.inSync, ...newest.eligible]
  const absent = counted.filter((store) => !given.has(store))
  const epoch = epochOf(generation, 1)
  const fixed = { id, revision: newest.revision + 1, epoch, assigned: newest.assigned }
  if (absent.length === 0) {
    const { inSync, eligible } = newest
    const primary = inSync.includes(newest.primary) ? newest.primary : (inSync[0] as StoreId)
    const record = { ...fixed, primary: { store: primary, counter: counterOf(stores, primary) }, inSync, eligible }
    const isTrusted = (heads.get(id) ?? []).some(({ store, suspect }) => !suspect && counted.includes(store))
    return { record, certainty: isTrusted ? 'certain' : 'suspect', counted, absent }
  }
  // Absent stores may have continued without the given ones: a new timeline begins at the most advanced of these.
  const here = newest.assigned.filter((store) => given.has(store))
  const members = [newest.inSync, newest.eligible, here].map((set) => set.filter((store) => given.has(store)))
  const best = furthest(members.find((set) => set.length > 0) ?? [], heads.get(id) ?? [])
  if (best === undefined)
    return { ...missingExtent(id, generation, newest.assigned, given, heads.get(id)), counted, absent }
  const record = { ...fixed, primary: { store: best, counter: counterOf(stores, best) }, inSync: [best], eligible: [] }
  return { record, certainty: 'uncertain', counted, absent }
}

/**
 * No given store has a replica that may count: the extent waits until an operator forces a promotion (A2.18-6). It keeps
 * as many assignments as `former` has, since a set shorter than minInSync is never served. They go to stores with a head
 * of it, then to other given stores, then to those of `former`.
 */
function missingExtent(
  id: ExtentId,
  generation: number,
  former: readonly StoreId[],
  given: ReadonlySet<StoreId>,
  held: readonly HeldHead[] = [],
): RebuiltExtent {
  const assigned = [...new Set([...held.map(({ store }) => store), ...given, ...former])].slice(0, former.length)
  const [store] = assigned as [StoreId]
  const record = { id, revision: 1, epoch: epochOf(generation, 1), primary: { store, counter: NO_INCARNATION } }
  return {
    record: { ...record, inSync: [store], eligible: [], assigned },
    certainty: 'missing',
    counted: [],
    absent: [],
  }
}

/** Prefers a trusted store. */
function furthest(members: readonly StoreId[], held: readonly HeldHead[]): StoreId | undefined {
  const holders = held.filter(({ store }) => members.includes(store))
  const trusted = holders.filter(({ suspect }) => !suspect)
  const here = trusted.length > 0 ? trusted : holders
  here.sort((a, b) => b.head.lastEpoch - a.head.lastEpoch || b.head.lastSeq - a.head.lastSeq)
  return here[0]?.store
}

function counterOf(stores: readonly SurvivingStore[], store: StoreId): number {
  return stores.find((given) => given.store === store)?.startCounter ?? NO_INCARNATION
}

function rebuildVolumes(
  stores: readonly SurvivingStore[],
  found: ReadonlyMap<ExtentId, HeadRecord>,
): Unstamped<VolumeRecord>[] {
  const ids = new Set([...found.keys()].map((id) => volumeOf(id)))
  return [...ids]
    .sort((a, b) => a - b)
    .map((id) => {
      const records = [...found].filter(([extent]) => volumeOf(extent) === id).sort(([a], [b]) => a - b)
      const recorded = stores.flatMap(({ volumes }) => volumes.filter(({ volume }) => volume === id))
      const [lastId, last] = records.at(-1) as [ExtentId, HeadRecord]
      const longest = Math.max(
        ...recorded.map((volume) => volume.longestExtentBytes),
        ...records.map(([, it]) => it.lengthBytes),
      )
      const extentSizeBytes = powerOfTwo(Math.max(longest, LIMITS.minExtentBytes))
      const generations = stores.flatMap(({ replicas }) =>
        replicas.filter(({ extent }) => volumeOf(extent) === id).map(({ head }) => head.generation),
      )
      return {
        id,
        name: last.volumeName,
        sizeBytes: extentIndexOf(lastId) * extentSizeBytes + last.lengthBytes,
        blockSizeBytes: last.blockSizeBytes,
        extentSizeBytes,
        replicas: last.assigned.length,
        minInSync: last.minInSync,
        // Fences earlier holders.
        generation: Math.max(0, ...generations) + 1,
        holders: [],
      }
    })
}

function powerOfTwo(atLeast: number): number {
  let size = 1
  while (size < atLeast) size *= 2
  return size
}

/** Every store that an extent names, as down until it registers. */
function rebuildNodes(stores: readonly SurvivingStore[], extents: readonly RebuiltExtent[]): Unstamped<NodeRecord>[] {
  const named = new Set<StoreId>(stores.map(({ store }) => store))
  for (const { record } of extents) for (const store of record.assigned) named.add(store)
  const addresses = new Map(stores.flatMap(({ voters }) => voters.map(({ store, address }) => [store, address])))
  return [...named].sort().map((store) => ({
    store,
    name: `store-${store.slice(-12)}` as NodeName,
    address: addresses.get(store) ?? '',
    api: '',
    incarnation: { bootId: '', counter: counterOf(stores, store) },
    trust: 'trusted',
    state: 'down',
  }))
}
