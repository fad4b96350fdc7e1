import { crc32 } from 'node:zlib'
import { type ClusterId, type ExtentId, invariant, type VolumeId, type Voter, volumeOf } from '@ashlar/proto'
import type { HeadRecord, ReplicaChange, StoredReplica } from '../core/machine.ts'
import type { Batch } from './commit/batch.ts'
import { Checkpointer } from './commit/checkpoint.ts'
import { CommitQueue } from './commit/commit-queue.ts'
import type { StorageDriver } from './driver.ts'
import { extentKey } from './encoding/keyspace.ts'
import { driverPoisonedError, isDiskFull } from './errors.ts'
import { IdentityKeeper } from './identity/identity-keeper.ts'
import { Losses } from './identity/losses.ts'
import type { StoreMetrics } from './metrics.ts'
import type { StoreTuning } from './options.ts'
import { loadBlocks } from './replicas/block-reader.ts'
import { ChangeEntry, DamageEntry, RepairEntry } from './replicas/change-entry.ts'
import { Dropper } from './replicas/dropper.ts'
import { GatheredReads } from './replicas/gathered-reads.ts'
import { LeafCache } from './replicas/leaf-cache.ts'
import { LocalReplica, storedReplica } from './replicas/local-replica.ts'
import { applyPatches } from './replicas/patch-block.ts'
import { readAllocation, readVersions } from './replicas/version-reader.ts'
import { encodeHead } from './repositories/head-repository.ts'
import type { IdentityValue } from './repositories/identity-repository.ts'
import { putVolume, type VolumeValue } from './repositories/volume-repository.ts'
import { ScrubSource } from './scrub/index.ts'
import { FreeSpace, type SpaceStart, type SpaceView } from './space/free-space.ts'
import type { Complete, Store, StoreEffect, StoreIdentity } from './store.ts'

/** What a store is built from once its data directory was read. */
export interface OpenedStore {
  readonly driver: StorageDriver
  readonly identity: IdentityValue
  readonly replicas: Map<ExtentId, LocalReplica>
  readonly volumes: Map<VolumeId, VolumeValue>
  readonly tombstones: Set<ExtentId>
  readonly journalStart: number
  readonly journalNext: number
  readonly space: SpaceStart
  readonly tuning: StoreTuning
  readonly metrics: StoreMetrics
}

type EffectOf<T extends StoreEffect['type']> = Extract<StoreEffect, { type: T }>

const NO_BYTES = new Uint8Array(0)

/** The Store over any driver: replicas in memory (replicas/), one commit queue, checkpoints in between. */
export class ReplicaStore implements Store {
  readonly replicas: readonly StoredReplica[]
  readonly metrics: StoreMetrics
  readonly #driver: StorageDriver
  readonly #reads: GatheredReads
  readonly #complete: Complete
  readonly #replicas: Map<ExtentId, LocalReplica>
  readonly #volumes: Map<VolumeId, VolumeValue>
  readonly #queue: CommitQueue
  readonly #leaves: LeafCache
  readonly #freeSpace: FreeSpace
  readonly #dropper: Dropper
  readonly #checkpointer: Checkpointer
  readonly #identity: IdentityKeeper
  /** Reads and deletions in progress: `close` waits for them. */
  readonly #running = new Set<Promise<void>>()
  readonly #losses: Losses
  /** The view of this store for the scrub. */
  readonly scrubbed: ScrubSource
  #failure: { readonly cause: unknown } | undefined
  readonly #failed = Promise.withResolvers<void>()
  #closing = false

  constructor(opened: OpenedStore, complete: Complete) {
    const { driver, identity, replicas, tuning, metrics } = opened
    this.#driver = driver
    this.#reads = new GatheredReads(driver)
    this.#complete = complete
    this.#replicas = replicas
    this.#volumes = opened.volumes
    this.metrics = metrics
    this.replicas = [...replicas.values()].map(storedReplica)
    this.#queue = new CommitQueue(driver, {
      batchBytes: tuning.batchBytes,
      nextNumber: opened.journalNext,
      onSynced: (batch, seconds) => this.#onSynced(batch, seconds),
      onFailed: (error) => this.#onFailed(error),
    })
    const checkpointed = {
      replicas: new Map(replicas),
      deletedTombstones: new Set<ExtentId>(),
      journalStart: opened.journalStart,
    }
    this.#checkpointer = new Checkpointer(this.#queue, checkpointed, tuning, () => metrics.checkpoints++)
    this.#identity = new IdentityKeeper(this.#queue, identity, () => this.#report({ type: 'store-cleared' }))
    this.#leaves = new LeafCache(driver, tuning.leafCapacity, {
      loaded: () => {
        metrics.leafLoads = this.#leaves.loads
        this.#queue.wake()
      },
      failed: (error) => this.#queue.fail(error),
      mismatch: (replica, table) => this.#losses.onMismatch(replica, table),
      isSuspect: () => this.#identity.trustNow === 'suspect',
    })
    this.#losses = new Losses({
      ...{ identity: this.#identity, leaves: this.#leaves, replicas, metrics },
      maxRepairsPerHour: tuning.maxRepairsPerHour,
      report: (input) => this.#report(input),
    })
    const run = (work: () => Promise<void>) => this.#run(work)
    const stopped = () => this.#stopped
    this.#freeSpace = new FreeSpace({ driver, replicas, run, stopped, start: opened.space })
    this.scrubbed = new ScrubSource({
      driver,
      queue: this.#queue,
      leaves: this.#leaves,
      replicas,
      run,
      load: (replica, blocks) => this.#loadBlocks(replica, blocks),
      onDamaged: (extent, blocks) => this.#report({ type: 'damage-found', extent, blocks }),
      onLost: (replica, found) => this.#losses.onScrubbed(replica, found),
    })
    const onDropped = (extent: ExtentId) => this.#checkpointer.state.deletedTombstones.add(extent)
    this.#dropper = new Dropper({ driver, queue: this.#queue, run, stopped, onDropped })
    for (const extent of opened.tombstones) this.#dropper.drop(extent)
  }

  get identity(): StoreIdentity {
    return this.#identity.identity
  }

  execute(effect: StoreEffect): void {
    // A store that failed or closes completes nothing.
    if (this.#stopped) return
    switch (effect.type) {
      case 'commit':
        return this.#commit(effect)
      case 'load':
        return this.#load(effect)
      case 'merge':
        return this.#merge(effect)
      case 'digests':
        return this.#digests(effect)
      case 'versions':
        return this.#versions(effect)
      case 'allocation':
        return this.#allocation(effect)
      case 'create-replica':
        return this.#create(effect)
      case 'drop-replica':
        return this.#drop(effect)
      case 'repair':
        return this.#repair(effect)
      case 'save-level':
        return this.#identity.saveLevel(effect.level)
    }
  }

  saveCluster(cluster: ClusterId, voters: readonly Voter[], founded: boolean): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(driverPoisonedError(this.#failure.cause))
    return this.#identity.saveCluster(cluster, voters, founded)
  }

  /** Statistics of the driver, for metrics; empty once it is closed. */
  statistics(): Readonly<Record<string, number>> {
    return this.#driver.statistics()
  }

  space(): SpaceView {
    return this.#freeSpace.view()
  }

  get #stopped(): boolean {
    return this.#closing || this.#failure !== undefined
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#checkpointer.stop()
    this.#freeSpace.stop()
    while (this.#failure === undefined && (this.#running.size > 0 || !this.#queue.isIdle)) {
      await Promise.race([Promise.all([this.#queue.idle(), ...this.#running]), this.#failed.promise])
    }
    if (this.#failure === undefined) {
      this.#checkpointer.checkpoint()
      this.#identity.endCleanly()
      await this.#queue.idle()
    }
    await this.#driver.close()
  }

  // ---- writes -------------------------------------------------------------------------------------------------------

  #commit({ token, change }: EffectOf<'commit'>): void {
    const replica = this.#replica(change.extent)
    // No journal key says which digests replaced those of lost versions: a replay would suspect a store that was cleared.
    if (change.marked === true && replica.losses > 0) this.#checkpointer.checkpoint()
    const entry = new ChangeEntry(
      this.#leaves,
      replica,
      change,
      (_, batch) => this.#onBuilt(change, batch),
      () => this.#complete({ type: 'committed', token }),
    )
    this.#queue.push(entry)
  }

  #repair({ token, extent, block, version, bytes }: EffectOf<'repair'>): void {
    const entry = new RepairEntry(this.#leaves, this.#replica(extent), { block, version, bytes }, (repaired) => {
      if (repaired) this.#losses.onRepaired()
      this.#complete({ type: 'committed', token })
    })
    this.#queue.push(entry)
  }

  #create({ extent, blockSizeBytes, lengthBytes, volumeName }: EffectOf<'create-replica'>): void {
    const known = this.#replicas.get(extent)
    if (known !== undefined) {
      const isSame = known.blockSizeBytes === blockSizeBytes && known.lengthBytes === lengthBytes
      return invariant(isSame, `extent ${extent} is here with other sizes`)
    }
    invariant(!this.#dropper.isDropping(extent), `extent ${extent} is created while its keys are being deleted`)
    const replica = LocalReplica.empty(extent, blockSizeBytes, lengthBytes, volumeName)
    this.#replicas.set(extent, replica)
    this.#queue.push({
      bytes: 256,
      ready: () => true,
      build: (batch) => {
        this.#checkpointer.state.replicas.set(extent, replica)
        batch.put(extentKey('head', extent), encodeHead(replica.headValue()))
        this.#identity.created(extent, batch)
        this.#noteVolume(replica, undefined, batch)
      },
      done: noop,
    })
  }

  #drop({ extent }: EffectOf<'drop-replica'>): void {
    const replica = this.#replicas.get(extent)
    if (replica === undefined) return
    this.#replicas.delete(extent)
    this.#queue.push({
      bytes: 64,
      ready: () => true,
      build: (batch) => {
        this.#checkpointer.state.replicas.delete(extent)
        batch.del(extentKey('head', extent))
        batch.put(extentKey('tombstone', extent), NO_BYTES)
        this.#identity.clearSuspicion(extent, batch)
      },
      done: () => {
        this.#leaves.drop(replica)
        this.#dropper.drop(extent)
      },
    })
  }

  // ---- reads --------------------------------------------------------------------------------------------------------

  #load({ token, extent, blocks }: EffectOf<'load'>): void {
    const replica = this.#replica(extent)
    for (const block of blocks) replica.assertBlocks(block, 1)
    this.#run(async () => {
      const loaded = await this.#loadBlocks(replica, blocks)
      this.#report({ type: 'loaded', token, blocks: loaded })
    })
  }

  #merge({ token, extent, block, patches }: EffectOf<'merge'>): void {
    const replica = this.#replica(extent)
    replica.assertBlocks(block, 1)
    this.#run(async () => {
      const [loaded] = await this.#loadBlocks(replica, [block])
      invariant(loaded !== undefined, 'a load of one block gives one block')
      const { version: base, damaged, unproven } = loaded
      const bytes = damaged ? NO_BYTES : applyPatches(loaded.bytes, replica.blockSizeBytes, patches)
      const checksum = damaged ? 0 : crc32(bytes)
      this.#report({ type: 'merged', token, base, damaged, ...(unproven ? { unproven } : {}), bytes, checksum })
    })
  }

  async #loadBlocks(replica: LocalReplica, blocks: readonly number[]) {
    const { repairs } = replica
    const result = await loadBlocks(this.#driver, this.#reads, this.#leaves, replica, blocks)
    this.metrics.blocksRead += blocks.length
    for (const { block, version } of result.damaged) {
      this.metrics.damagedBlocksFound++
      if (!this.#closing) this.#queue.push(new DamageEntry(this.#leaves, replica, block, version, repairs))
    }
    return result.blocks
  }

  /** Queued behind earlier changes, so that digests include all of them. */
  #digests({ token, extent }: EffectOf<'digests'>): void {
    const replica = this.#replica(extent)
    let root: Uint8Array = NO_BYTES
    let leaves: Uint8Array = NO_BYTES
    this.#queue.push({
      bytes: 0,
      ready: () => true,
      build: () => {
        root = replica.digests.rootBytes()
        leaves = replica.digests.leafBytes()
        replica.comparedLosses = replica.losses
      },
      done: () => this.#complete({ type: 'digests', token, root, leaves }),
    })
  }

  #versions({ token, extent, leaves }: EffectOf<'versions'>): void {
    const replica = this.#replica(extent)
    this.#run(async () => {
      const found = await readVersions(this.#leaves, replica, leaves, this.#identity.trustNow)
      if (found !== undefined) this.#report({ type: 'versions', token, leaves: found })
    })
  }

  #allocation({ token, extent, firstBlock, blocks }: EffectOf<'allocation'>): void {
    const replica = this.#replica(extent)
    replica.assertBlocks(firstBlock, blocks)
    this.#run(async () => {
      const runs = await readAllocation(this.#leaves, replica, firstBlock, blocks, this.#identity.trustNow)
      if (runs !== undefined) this.#report({ type: 'allocation', token, runs })
    })
  }

  // ---- what follows -------------------------------------------------------------------------------------------------

  #onBuilt(change: ReplicaChange, batch: Batch): void {
    const replica = this.#replicas.get(change.extent)
    if (replica !== undefined && change.head.record !== undefined) this.#noteVolume(replica, change.head.record, batch)
    // What was lost since the digests were read was not compared.
    const isCompared = change.marked === true && replica?.comparedLosses === replica?.losses
    if (!isCompared) return
    this.#identity.clearSuspicion(change.extent, batch)
    replica?.unproven.clear()
  }

  /** Stores the shape of the volume on disk, to rebuild a lost map from (amendment 16). */
  #noteVolume(replica: LocalReplica, record: HeadRecord | undefined, batch: Batch): void {
    const id = volumeOf(replica.extent)
    const before = this.#volumes.get(id)
    const value: VolumeValue = {
      name: record?.volumeName ?? replica.volumeName,
      blockSizeBytes: replica.blockSizeBytes,
      longestExtentBytes: Math.max(before?.longestExtentBytes ?? 0, replica.lengthBytes),
      replicas: record?.assigned.length ?? before?.replicas ?? 0,
    }
    if (JSON.stringify(value) === JSON.stringify(before)) return
    this.#volumes.set(id, value)
    batch.operations.push(putVolume(id, value))
  }

  #onSynced(batch: Batch, seconds: number): void {
    const { metrics } = this
    metrics.batches++
    metrics.blocks += batch.blocks
    metrics.bytes += batch.bytes
    metrics.onSync?.(seconds)
    this.#identity.synced(batch)
    this.#freeSpace.wrote(batch.bytes)
    if (batch.journaled && !this.#closing) this.#checkpointer.synced()
  }

  #onFailed(error: unknown): void {
    this.#failure = { cause: error }
    this.#checkpointer.stop()
    this.#freeSpace.stop()
    this.#identity.fail(error)
    this.#failed.resolve()
    const reason = error instanceof Error ? error.message : String(error)
    this.#complete({ type: 'store-failed', reason, ...(isDiskFull(error) ? { kind: 'disk-full' } : {}) })
  }

  #replica(extent: ExtentId): LocalReplica {
    const replica = this.#replicas.get(extent)
    invariant(replica !== undefined, `extent ${extent} has no replica in this store`)
    return replica
  }

  #report(input: Parameters<Complete>[0]): void {
    // In a microtask of its own, so that an error of the machine is not taken for a failed read.
    queueMicrotask(() => {
      if (this.#failure === undefined) this.#complete(input)
    })
  }

  /** Runs work that reads; a failed read fails the store. */
  #run(work: () => Promise<void>): void {
    const running = work().catch((error: unknown) => this.#queue.fail(error))
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }
}

function noop(): void {}
