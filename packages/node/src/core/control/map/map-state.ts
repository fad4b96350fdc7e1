import type {
  ClusterId,
  ExtentId,
  ExtentRecord,
  ForcedPromotion,
  MapDelta,
  NodeRecord,
  SessionId,
  StoreId,
  VolumeId,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import { FEATURES, LIMITS, Tombstones } from '@ashlar/proto'
import { type StoredNode, stateOfStored, storedState } from '../log/index.ts'
import { cutDelta } from './deltas.ts'
import { ExtentSet } from './extent-set.ts'
import { type MapRow, type MapRows, rowsOf } from './map-rows.ts'
import { RecentChanges } from './recent-changes.ts'

/** A record as the reducer hands it over: the state stamps it with the map revision that it is changed at. */
export type Unstamped<T> = Omit<T, 'changedAt'>

/**
 * The map as control owns it: what applying the log from its start gives. Only the reducer changes it; records are
 * immutable, so that a delta may share them with whoever receives it.
 *
 * A command opens a revision with its first change and stamps all that it changes with it: what belongs together is
 * learned together.
 */
export class MapState {
  cluster: ClusterId | undefined
  clusterGeneration = 0
  /** What every node knows (amendment 24). */
  featureLevel = 0
  voters: readonly Voter[] = []
  /** Highest volume number ever given: numbers are never used again. */
  lastVolume = 0
  readonly nodes: Map<StoreId, NodeRecord> = new Map()
  readonly volumes: Map<VolumeId, VolumeRecord> = new Map()
  readonly extents: Map<ExtentId, ExtentRecord> = new Map()
  /** Extents whose primary was named by force, the latest time each (A2.10). */
  readonly forced: Map<ExtentId, ForcedPromotion> = new Map()
  readonly removedVolumes: Tombstones = new Tombstones()
  /** Stores that left the map, with the revision of that; the latest ones. */
  readonly removedNodes: Map<StoreId, number> = new Map()
  /** Stores that a person declared lost for good, as long as some extent names them (amendment 15). */
  readonly gone: Set<StoreId> = new Set()
  /** Which store took over the name or address of a store that lost its address by it (amendment 15). */
  readonly successors: Map<StoreId, StoreId> = new Map()
  /** Stores of which a copied or restored directory came: what the next life of one holds is in doubt (A2.0-3). */
  readonly copied: Set<StoreId> = new Set()
  /** The latest sessions of each volume that no longer hold it: a delayed duplicate of their attach must not fence anyone. */
  readonly pastSessions: Map<VolumeId, readonly SessionId[]> = new Map()

  private currentRevision = 0
  private changing = false
  private raised: ExtentId[] = []
  private readonly volumeByName = new Map<string, VolumeId>()
  private readonly extentsLedBy = new Map<StoreId, ExtentSet>()
  private readonly extentsAssignedTo = new Map<StoreId, ExtentSet>()
  private readonly recent = new RecentChanges()

  /** Counts changes of the map; only rises. */
  get revision(): number {
    return this.currentRevision
  }

  volumeNamed(name: string): VolumeRecord | undefined {
    const id = this.volumeByName.get(name)
    return id === undefined ? undefined : this.volumes.get(id)
  }

  /** Extents whose record names this store as primary, ascending. */
  ledBy(store: StoreId): ExtentId[] {
    return this.extentsLedBy.get(store)?.ascending() ?? []
  }

  /** How many extents name this store as primary. */
  ledCount(store: StoreId): number {
    return this.extentsLedBy.get(store)?.size ?? 0
  }

  /** Extents that this store should hold a replica of, ascending. */
  assignedTo(store: StoreId): ExtentId[] {
    return this.extentsAssignedTo.get(store)?.ascending() ?? []
  }

  assignedCount(store: StoreId): number {
    return this.extentsAssignedTo.get(store)?.size ?? 0
  }

  /** Everything that changed after `revision`; 0 gives the whole map. The map must have been founded. */
  deltaSince(revision: number): MapDelta {
    return cutDelta(this, revision)
  }

  /** Extents that changed after `revision`, some of them more than once; undefined when that is too long ago. */
  extentsChangedAfter(revision: number): readonly ExtentId[] | undefined {
    return this.recent.after(revision)
  }

  // ---- snapshots -------------------------------------------------------------------------------------------------

  /** The whole state as it is now, between two commands. Later commands do not change what was given. */
  rows(): MapRows[] {
    const { cluster, clusterGeneration, voters, lastVolume, revision, featureLevel } = this
    const optional = { ...(cluster === undefined ? {} : { cluster }), ...(featureLevel === 0 ? {} : { featureLevel }) }
    const head = { ...optional, clusterGeneration, voters, lastVolume, revision }
    return [
      rowsOf('head', [head]),
      rowsOf('node', this.storedNodes()),
      rowsOf('volume', this.volumes.values()),
      rowsOf('extent', this.extents.values()),
      rowsOf('forced', this.forced.values()),
      rowsOf('removed-volume', this.removedVolumes.latest),
      rowsOf('removed-range', this.removedVolumes.rows()),
      rowsOf('removed-node', this.removedNodes),
      rowsOf('gone', this.gone),
      rowsOf('successor', this.successors),
      rowsOf('copied', this.copied),
      rowsOf('past-sessions', this.pastSessions),
    ]
  }

  private storedNodes(): StoredNode[] {
    return [...this.nodes.values()].map((node) => ({ ...node, state: storedState(node.state) }))
  }

  /** Takes one row of another map's state; all of them, in their order and over an empty map, make up that state. */
  load([section, value]: MapRow): void {
    switch (section) {
      case 'head':
        this.cluster = value.cluster
        this.clusterGeneration = value.clusterGeneration
        this.voters = value.voters
        this.lastVolume = value.lastVolume
        this.featureLevel = value.featureLevel ?? 0
        this.currentRevision = value.revision
        return this.recent.restart(value.revision)
      case 'node':
        return void this.nodes.set(value.store, { ...value, state: stateOfStored(value.state) })
      case 'volume':
        this.volumeByName.set(value.name, value.id)
        return void this.volumes.set(value.id, value)
      case 'extent':
        this.index(undefined, value)
        return void this.extents.set(value.id, value)
      case 'forced':
        return void this.forced.set(value.extent, value)
      case 'removed-volume':
        return this.removedVolumes.add(...value)
      case 'removed-range':
        return this.removedVolumes.addRanges([value], value.revision)
      case 'removed-node':
        return void this.removedNodes.set(...value)
      case 'gone':
        return void this.gone.add(value)
      case 'successor':
        return void this.successors.set(...value)
      case 'copied':
        return void this.copied.add(value)
      case 'past-sessions':
        return void this.pastSessions.set(...value)
    }
  }

  // ---- changes: for the reducer alone ----------------------------------------------------------------------------

  /** Ends the changes of one command: the next change opens a new revision. Gives the extents whose epoch was raised. */
  endCommand(): readonly ExtentId[] {
    const raised = this.raised
    this.raised = []
    this.changing = false
    return raised
  }

  putCluster(cluster: ClusterId, voters: readonly Voter[]): void {
    this.stamp()
    this.cluster = cluster
    this.voters = voters
  }

  /** A level never falls. */
  raiseFeatureLevel(level: number): void {
    if (level <= this.featureLevel) return
    this.stamp()
    this.featureLevel = level
  }

  /** The map was rebuilt: its revisions go on above all that the ones before it can have had. */
  beginGeneration(generation: number): void {
    if (generation <= this.clusterGeneration) return
    this.clusterGeneration = generation
    this.currentRevision = Math.max(this.currentRevision, generation * 2 ** 32)
    this.stamp()
  }

  putNode(node: Unstamped<NodeRecord>): NodeRecord {
    const record: NodeRecord = { ...node, changedAt: this.stamp() }
    this.nodes.set(record.store, record)
    this.removedNodes.delete(record.store)
    return record
  }

  /** Forgets a store that no extent names. Should it ever come back, it is new. */
  removeNode(store: StoreId): void {
    this.nodes.delete(store)
    this.successors.delete(store)
    this.gone.delete(store)
    this.removedNodes.set(store, this.stamp())
    // Whoever missed the removal of an older one dials nobody in vain for it: it has no address, or is down.
    for (const oldest of this.removedNodes.keys()) {
      if (this.removedNodes.size <= LIMITS.nodes) break
      this.removedNodes.delete(oldest)
    }
  }

  /** A person declared a store lost for good. */
  putGone(store: StoreId): void {
    this.stamp()
    this.gone.add(store)
  }

  /** A store that was declared lost is back. */
  takeBack(store: StoreId): void {
    if (this.gone.delete(store)) this.stamp()
  }

  putVolume(volume: Unstamped<VolumeRecord>): VolumeRecord {
    const record: VolumeRecord = { ...volume, changedAt: this.stamp() }
    this.volumes.set(record.id, record)
    this.volumeByName.set(record.name, record.id)
    if (record.id > this.lastVolume) this.lastVolume = record.id
    return record
  }

  removeVolume(volume: VolumeRecord, extents: readonly ExtentId[]): void {
    const revision = this.stamp()
    this.volumes.delete(volume.id)
    this.volumeByName.delete(volume.name)
    this.pastSessions.delete(volume.id)
    this.removedVolumes.add(volume.id, revision)
    if (this.featureLevel >= FEATURES.tombstoneRanges) this.removedVolumes.compact()
    for (const id of extents) {
      const record = this.extents.get(id)
      if (record === undefined) continue
      this.extents.delete(id)
      this.forced.delete(id)
      this.unindex(record)
    }
  }

  putExtent(extent: Unstamped<ExtentRecord>): ExtentRecord {
    const { id, revision, epoch, primary, inSync, eligible, assigned } = extent
    const changedAt = this.stamp()
    const record: ExtentRecord = { id, revision, epoch, primary, inSync, eligible, assigned, changedAt }
    const before = this.extents.get(id)
    if (before !== undefined && epoch > before.epoch) this.raised.push(id)
    if (before?.changedAt !== changedAt) this.recent.add(changedAt, id)
    this.extents.set(id, record)
    this.index(before, record)
    return record
  }

  putForced(forced: Unstamped<ForcedPromotion>): void {
    this.forced.set(forced.extent, { ...forced, changedAt: this.stamp() })
  }

  private stamp(): number {
    if (!this.changing) this.currentRevision++
    this.changing = true
    return this.currentRevision
  }

  /** Only where something moved: most changes of a record leave its primary or its places as they were. */
  private index(before: ExtentRecord | undefined, record: ExtentRecord): void {
    const { id, primary, assigned } = record
    if (before?.primary.store !== primary.store) {
      if (before !== undefined) this.extentsLedBy.get(before.primary.store)?.delete(id)
      setOf(this.extentsLedBy, primary.store).add(id)
    }
    if (before?.assigned === assigned) return
    for (const store of before?.assigned ?? [])
      if (!assigned.includes(store)) this.extentsAssignedTo.get(store)?.delete(id)
    for (const store of assigned) setOf(this.extentsAssignedTo, store).add(id)
  }

  private unindex(record: ExtentRecord): void {
    this.extentsLedBy.get(record.primary.store)?.delete(record.id)
    for (const store of record.assigned) this.extentsAssignedTo.get(store)?.delete(record.id)
  }
}

function setOf(by: Map<StoreId, ExtentSet>, store: StoreId): ExtentSet {
  let extents = by.get(store)
  if (extents === undefined) {
    extents = new ExtentSet()
    by.set(store, extents)
  }
  return extents
}
