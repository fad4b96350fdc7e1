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

/** A record as the reducer writes it: the map adds the revision of the change. */
export type Unstamped<T> = Omit<T, 'changedAt'>

/**
 * Control's map: the result of applying the log from its start. Only the reducer changes it. Records are immutable, so
 * that deltas share them.
 *
 * The first change of a command begins a revision, and all changes of the command have it: one delta contains all of
 * them.
 */
export class MapState {
  cluster: ClusterId | undefined
  clusterGeneration = 0
  /** Feature level that every node supports (amendment 24). */
  featureLevel = 0
  voters: readonly Voter[] = []
  /** Voters from before a recovery, until there are as many again (A2.18-7). */
  formerVoters: readonly Voter[] = []
  /** Highest volume number so far: numbers are never reused. */
  lastVolume = 0
  readonly nodes: Map<StoreId, NodeRecord> = new Map()
  readonly volumes: Map<VolumeId, VolumeRecord> = new Map()
  readonly extents: Map<ExtentId, ExtentRecord> = new Map()
  /** The latest forced promotion of each extent (A2.10). */
  readonly forced: Map<ExtentId, ForcedPromotion> = new Map()
  readonly removedVolumes: Tombstones = new Tombstones()
  /** The latest stores that left the map, with the revision. */
  readonly removedNodes: Map<StoreId, number> = new Map()
  /** Stores that an operator declared removed, while some extent names them (amendment 15). */
  readonly gone: Set<StoreId> = new Set()
  /** The store that took over the name or address of another one (amendment 15). */
  readonly successors: Map<StoreId, StoreId> = new Map()
  /** Stores of which a copied or restored directory registered: the next incarnation is suspect (A2.0-3). */
  readonly copied: Set<StoreId> = new Set()
  /** The latest ended sessions of each volume: a late duplicate of their attach must not fence a session. */
  readonly pastSessions: Map<VolumeId, readonly SessionId[]> = new Map()

  private currentRevision = 0
  private changing = false
  private raised: ExtentId[] = []
  private readonly volumeByName = new Map<string, VolumeId>()
  private readonly extentsLedBy = new Map<StoreId, ExtentSet>()
  private readonly extentsAssignedTo = new Map<StoreId, ExtentSet>()
  private readonly recent = new RecentChanges()

  /** Number of the last change of the map. */
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

  /** Extents to which this store is assigned, ascending. */
  assignedTo(store: StoreId): ExtentId[] {
    return this.extentsAssignedTo.get(store)?.ascending() ?? []
  }

  assignedCount(store: StoreId): number {
    return this.extentsAssignedTo.get(store)?.size ?? 0
  }

  /** Everything that changed after `revision`; 0 gives the whole map, which must have a cluster. */
  deltaSince(revision: number): MapDelta {
    return cutDelta(this, revision)
  }

  /** Extents that changed after `revision`, possibly repeated; undefined when that is too long ago. */
  extentsChangedAfter(revision: number): readonly ExtentId[] | undefined {
    return this.recent.after(revision)
  }

  // ---- snapshots ---------------------------------------------------------------------------------------------------

  /** The whole state between two commands; later commands do not change the result. */
  rows(): MapRows[] {
    const { cluster, clusterGeneration, voters, formerVoters, lastVolume, revision, featureLevel } = this
    const optional = {
      ...(cluster === undefined ? {} : { cluster }),
      ...(featureLevel === 0 ? {} : { featureLevel }),
      ...(formerVoters.length === 0 ? {} : { formerVoters }),
    }
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

  /** Restores one row. All rows of a map, in order over an empty one, restore its state. */
  load([section, value]: MapRow): void {
    switch (section) {
      case 'head':
        this.cluster = value.cluster
        this.clusterGeneration = value.clusterGeneration
        this.voters = value.voters
        this.formerVoters = value.formerVoters ?? []
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

  // ---- changes, by the reducer only --------------------------------------------------------------------------------

  /** Ends a command: the next change begins a new revision. Returns the extents whose epoch was raised. */
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
    if (voters.length >= this.formerVoters.length) this.formerVoters = []
  }

  /** A level never falls. */
  raiseFeatureLevel(level: number): void {
    if (level <= this.featureLevel) return
    this.stamp()
    this.featureLevel = level
  }

  /** The map was rebuilt: its revisions continue above all earlier ones. */
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

  /** Removes a store that no extent names. If it returns, it is new. */
  removeNode(store: StoreId): void {
    this.nodes.delete(store)
    this.successors.delete(store)
    this.gone.delete(store)
    this.removedNodes.set(store, this.stamp())
    // A node that missed an older removal keeps a harmless record: it has no address, or is down.
    for (const oldest of this.removedNodes.keys()) {
      if (this.removedNodes.size <= LIMITS.nodes) break
      this.removedNodes.delete(oldest)
    }
  }

  /** An operator declared a store removed. */
  putGone(store: StoreId): void {
    this.stamp()
    this.gone.add(store)
  }

  /** A removed store returned. */
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

  /** Updates the indexes only where the primary or the assignments changed. */
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
