import {
  type AdminCommand,
  type ClusterId,
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  extentId,
  MapCopy,
  type NodeName,
  type NodeRecord,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
  type Voter,
} from '@ashlar/proto'
import type { NodeView, Readiness, VerifiedBlock } from '../../src/admin/index.ts'
import type { ExtentStatus } from '../../src/core/replication/index.ts'

export const CLUSTER = '00000000-0000-4000-8000-000000000000' as ClusterId
export const GIB = 2 ** 30

/** The store of node `n<number>`. */
export function storeOf(number: number): StoreId {
  return `0000000${number}-0000-7000-8000-000000000000` as StoreId
}

export function nodeRecord(number: number, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    store: storeOf(number),
    name: `n${number}` as NodeName,
    address: `127.0.0.1:758${number}`,
    api: `127.0.0.1:748${number}`,
    incarnation: { bootId: 'boot', counter: 1 },
    trust: 'trusted',
    state: 'up',
    changedAt: 1,
    ...changes,
  }
}

export function volumeRecord(id: number, name: string, changes: Partial<VolumeRecord> = {}): VolumeRecord {
  return {
    id: id as VolumeId,
    name,
    sizeBytes: GIB,
    blockSizeBytes: 4096,
    extentSizeBytes: GIB,
    replicas: 3,
    minInSync: 2,
    generation: 0,
    holders: [],
    changedAt: 1,
    ...changes,
  }
}

/** Extent `index` of a volume on n1, n2 and n3, all in sync, led by n1. */
export function extentRecord(volume: number, index: number, changes: Partial<ExtentRecord> = {}): ExtentRecord {
  const stores = [storeOf(1), storeOf(2), storeOf(3)]
  return {
    id: extentId(volume as VolumeId, index),
    revision: 1,
    epoch: 1 as Epoch,
    primary: { store: storeOf(1), counter: 1 },
    inSync: stores,
    eligible: [],
    assigned: stores,
    changedAt: 1,
    ...changes,
  }
}

export interface MapParts {
  readonly nodes?: readonly NodeRecord[]
  readonly volumes?: readonly VolumeRecord[]
  readonly extents?: readonly ExtentRecord[]
}

export function mapOf({ nodes, volumes = [], extents = [] }: MapParts): MapCopy {
  const map = new MapCopy()
  map.apply({
    cluster: CLUSTER,
    clusterGeneration: 1,
    from: 0,
    to: 7,
    voters: [1, 2, 3].map((number) => ({ store: storeOf(number), address: `127.0.0.1:758${number}` })),
    nodes: nodes ?? [nodeRecord(1), nodeRecord(2), nodeRecord(3)],
    volumes,
    extents,
    removedVolumes: [],
  })
  return map
}

/** What the primary of an extent says of it, with one stream to the store of each other replica. */
export function primaryStatus(
  extent: ExtentId,
  streams: readonly { readonly store: StoreId; readonly phase: string; readonly behindBlocks: number }[],
): ExtentStatus {
  return {
    ...replicaStatus(extent),
    role: 'primary',
    phase: 'active',
    streams: streams.map((stream) => ({
      deferredBlocks: 0,
      ...stream,
      marked: false,
      copiedBlocks: 0,
      throttled: false,
      ackedSeq: 0 as never,
    })),
  }
}

export function replicaStatus(extent: ExtentId): ExtentStatus {
  return {
    extent,
    role: 'replica',
    phase: 'live',
    epoch: 1 as Epoch,
    lastEpoch: 1 as Epoch,
    lastSeq: 5 as never,
    commitSeq: 5 as never,
    blockCount: 262_144,
    damagedBlocks: 0,
    pendingWrites: 0,
    streams: [],
  }
}

/** A NodeView of plain values; `commands` keeps the commands sent to control. */
export class FakeView implements NodeView {
  readonly store = storeOf(1)
  readonly name = 'n1' as NodeName
  readonly version = '1.2.3'
  readonly dataDir = '/data/n1'
  devDirectory: string | undefined
  readonly labels = { zone: 'a' }
  insecure: NodeView['insecure'] = []
  seen: ReturnType<NodeView['peers']> = []
  map: MapCopy
  leader: StoreId | undefined = storeOf(1)
  mapAgeMs: number | undefined = 100
  knownVoters: readonly Voter[] | undefined
  controlLog: NodeView['controlLog']
  leaseHeld = true
  suspicion: string | undefined
  readiness: Readiness = { ready: true }
  space: NodeView['space'] = {
    space: 'free',
    freeBytes: GIB,
    since: 0,
    reserves: { placement: 300, writes: 200, last: 100 },
  }
  extents: readonly ExtentStatus[] = []
  blocks: ReadonlyMap<ExtentId, readonly VerifiedBlock[]> = new Map()
  readonly commands: AdminCommand[] = []
  /** Stores of which nothing is heard. */
  readonly silent = new Set<StoreId>()
  /** Thrown by the next command, or called to carry it out. */
  onCommand: (command: AdminCommand) => VolumeRecord | undefined = () => undefined

  constructor(map: MapCopy) {
    this.map = map
  }

  get voters(): readonly Voter[] {
    return this.knownVoters ?? this.map.voters
  }

  devNameOf(): string | undefined {
    return undefined
  }

  held: ReturnType<NodeView['holders']> = []

  holders(): ReturnType<NodeView['holders']> {
    return this.held
  }

  hears(store: StoreId): boolean {
    return !this.silent.has(store) && this.map.nodes.get(store)?.state !== 'down'
  }

  peers(): ReturnType<NodeView['peers']> {
    return this.seen
  }

  localExtents(): readonly ExtentStatus[] {
    return this.extents
  }

  async admin(command: AdminCommand): Promise<VolumeRecord | undefined> {
    this.commands.push(command)
    return this.onCommand(command)
  }

  async versions(extent: ExtentId, firstBlock: number, blocks: number): Promise<readonly VerifiedBlock[] | undefined> {
    return this.blocks.get(extent)?.filter(({ block }) => block >= firstBlock && block < firstBlock + blocks)
  }
}
