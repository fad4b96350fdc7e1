import { crc32 } from 'node:zlib'
import type { Effect, Head, Input, LoadedBlock, LogEntry, StoredReplica, Token } from '@ashlar/node/core'
import type { BlockIndex, BlockKind, BlockVersion, Bytes, ExtentId } from '@ashlar/proto'
import type { Chance } from './chance.ts'
import type { Disk } from './disk.ts'
import type { DiskFaults } from './disk-faults.ts'
import { FoundLosses } from './lost-versions.ts'
import { applyWrite, bytesOf, cloneOf, type Write } from './recent-writes.ts'
import type { ReplicaImage } from './replica-image.ts'
import type { Clock } from './time.ts'

/** The effects that go to the store or to the control log. */
export type DiskEffect = Extract<
  Effect,
  {
    type:
      | 'commit'
      | 'load'
      | 'merge'
      | 'digests'
      | 'versions'
      | 'allocation'
      | 'create-replica'
      | 'drop-replica'
      | 'repair'
      | 'log-append'
      | 'raft-persist'
      | 'save-cluster'
      | 'save-level'
  }
>
type LogEffect = Extract<DiskEffect, { type: 'log-append' | 'raft-persist' }>
type OtherEffect = Write | LogEffect | { type: 'save-cluster' } | { type: 'save-level' }

const SAVE_LEVEL_MS = 1

/** One opening of a disk by one process: reads see every write handed over before them, synced or not. */
export class OpenStore {
  protected readonly disk: Disk
  protected readonly world: StoreWorld
  /** State after every write, also those that are not on stable storage. */
  protected readonly visible: Map<ExtentId, ReplicaImage>
  private waiting: Write[] = []
  private readonly inFlight: Write[][] = []
  private readonly logInFlight: LogEffect[] = []
  protected lastSyncAt = 0
  private lastLogSyncAt = 0
  /** Nothing completes any more: a crash, or a write error. */
  failed = false
  private readonly losses: FoundLosses

  constructor(disk: Disk, world: StoreWorld) {
    this.disk = disk
    this.world = world
    this.visible = cloneOf(disk.replicas)
    disk.open()
    this.losses = new FoundLosses(disk, (input) =>
      world.clock.after(0, () => {
        if (!this.failed) world.complete([input])
      }),
    )
    disk.onCleared = disk.suspicion.size === 0 ? undefined : () => this.cleared()
  }

  /** This opening began as suspect, and the next one would not. What was found wrong meanwhile counts more. */
  private cleared(): void {
    this.losses.isSuspect = false
    this.world.clock.after(0, () => {
      if (!this.failed && this.disk.suspicion.size === 0) this.world.complete([{ type: 'store-cleared' }])
    })
  }

  /** The replicas as a machine over this opening sees them. */
  stored(): readonly StoredReplica[] {
    return this.disk.stored()
  }

  execute(effect: DiskEffect): void {
    if (this.failed) return
    switch (effect.type) {
      case 'commit':
      case 'repair':
      case 'create-replica':
      case 'drop-replica':
        return this.writeReplica(effect)
      case 'log-append':
      case 'raft-persist':
        return this.writeLog(effect)
      case 'save-cluster':
        return this.saveCluster(effect)
      case 'save-level':
        return this.saveLevel(effect.level)
      default:
        return this.read(effect)
    }
  }

  private writeReplica(effect: Write): void {
    const write = this.asCompared(effect)
    if (write.type === 'commit') {
      const { extent, blocks } = write.change
      this.losses.wrote(
        extent,
        blocks.map(({ block }) => block),
      )
    } else if (write.type === 'repair') this.losses.wrote(write.extent, [write.block])
    applyWrite(this.visible, write)
    this.waiting.push(write)
    this.startBatch()
  }

  /** A MARK after versions were found lost clears nothing. */
  private asCompared(write: Write): Write {
    if (write.type !== 'commit' || write.change.marked !== true || this.losses.clears(write.change.extent)) return write
    const { marked: _, ...change } = write.change
    return { ...write, change }
  }

  /** Ends this opening. A random prefix of what was being synced survives; `luckless`: nothing of it. */
  crash(luckless = false): void {
    // After a write error the process that had it opened ends too; what survived is decided already.
    if (this.failed) return
    this.failed = true
    if (luckless) return
    for (const batch of this.inFlight) {
      if (!this.world.chance.happens(0.5)) break
      this.disk.keep(batch)
    }
    for (const effect of this.logInFlight) {
      const survives = this.world.chance.happens(0.5)
      if (survives || effect.type === 'raft-persist') this.makeLogDurable(effect, survives)
      if (!survives) break
    }
  }

  /** Rots one block on the disk and in the cache above it. */
  rot(extent: ExtentId, block: BlockIndex): void {
    this.visible.get(extent)?.rot(block)
    this.disk.replicas.get(extent)?.rot(block)
  }

  /** Takes the rot from a block again. */
  mend(extent: ExtentId, block: BlockIndex): void {
    this.visible.get(extent)?.damaged.delete(block)
  }

  /** Reads every block, and returns the damaged ones of each replica that has any. */
  readAll(): { readonly extent: ExtentId; readonly blocks: readonly LoadedBlock[] }[] {
    return [...this.visible].flatMap(([extent, image]) => {
      this.losses.read(extent)
      const blocks = [...image.damaged].map((block) => image.load(block)).filter(({ damaged }) => damaged)
      const numbers = blocks.map(({ block }) => block)
      this.disk.seen(extent, numbers)
      return blocks.length === 0 ? [] : [{ extent, blocks }]
    })
  }

  /** The head of a replica after every change so far, durable or not. */
  head(extent: ExtentId): Head | undefined {
    return this.visible.get(extent)?.head
  }

  /** The version of a block after every change so far, durable or not. */
  versionOf(extent: ExtentId, block: BlockIndex): BlockVersion | undefined {
    return this.visible.get(extent)?.versions.get(block)
  }

  /** What is written to a block now would go over, durable or not. */
  kindOf(extent: ExtentId, block: BlockIndex): BlockKind | undefined {
    return this.visible.get(extent)?.versions.get(block).kind
  }

  /** Nothing waits for a sync. */
  get idle(): boolean {
    return this.waiting.length + this.inFlight.length + this.logInFlight.length === 0
  }

  // ---- writing ----------------------------------------------------------------------------------------------------

  private startBatch(): void {
    if (this.waiting.length === 0 || this.inFlight.length >= this.world.faults.batchesInFlight) return
    const batch = this.waiting
    this.waiting = []
    this.inFlight.push(batch)
    const { clock } = this.world
    this.lastSyncAt = Math.max(this.lastSyncAt, clock.now + this.syncMs() + this.disk.extraSyncMs)
    clock.at(this.lastSyncAt, () => this.endBatch(batch))
  }

  private endBatch(batch: Write[]): void {
    if (this.failed || this.disk.hangs.has('store')) return
    if (!this.world.calm() && this.world.chance.happens(this.world.faults.errorPerBatch))
      return this.fail('write error')
    if (this.disk.full) return this.fail('no space left on device')
    if (this.disk.space !== undefined && this.disk.space.freeBytes < bytesOf(batch)) {
      this.world.outOfRoom(bytesOf(batch), this.disk.space.freeBytes)
      return this.fail('no space left on device')
    }
    if (this.disk.storeFails) {
      this.disk.storeFails = false
      return this.fail('write error')
    }
    this.inFlight.shift()
    this.disk.keep(batch)
    this.world.synced(bytesOf(batch))
    const tokens = batch.flatMap((write) => (write.type === 'commit' || write.type === 'repair' ? [write.token] : []))
    this.world.complete(tokens.map((token) => ({ type: 'committed', token })))
    this.startBatch()
  }

  /** The store acknowledges nothing more (finding 2); what was in flight is undecided. */
  private fail(reason: string): void {
    this.crash()
    this.world.complete([{ type: 'store-failed', reason: `simulated ${reason}` }])
  }

  private writeLog(effect: LogEffect): void {
    const { clock } = this.world
    this.logInFlight.push(effect)
    this.lastLogSyncAt = Math.max(this.lastLogSyncAt, clock.now + this.syncMs() + this.disk.extraLogSyncMs)
    clock.at(this.lastLogSyncAt, () => {
      if (this.failed || this.disk.hangs.has('log')) return
      if (this.disk.full) return this.fail('no space left on device')
      if (this.disk.logFails) {
        this.disk.logFails = false
        return this.fail('write error of the control log')
      }
      this.logInFlight.shift()
      this.makeLogDurable(effect, true)
      if (effect.type === 'log-append') this.world.complete([{ type: 'log-appended', index: effect.index }])
      else this.world.complete([{ type: 'raft-persisted', token: effect.request.token }])
    })
  }

  /** `whole` false: the power went meanwhile. Of a request of raft the front is there, as far as luck goes. */
  private makeLogDurable(effect: LogEffect, whole: boolean): void {
    const { disk, world } = this
    if (effect.type === 'log-append') {
      disk.log.append(effect.entry)
      return world.logDurable(effect.entry)
    }
    disk.log.executeEffects(effect.request, () => whole || world.chance.happens(0.6))
  }

  private saveCluster({ cluster, voters, founded }: Extract<DiskEffect, { type: 'save-cluster' }>): void {
    this.world.clock.after(this.syncMs(), () => {
      if (this.failed) return
      this.disk.identity = { ...this.disk.identity, cluster, voters, founded }
      this.world.complete([{ type: 'cluster-saved' }])
    })
  }

  /** The shipped store makes it durable before later batches; here a crash may lose it for a moment. */
  private saveLevel(level: number): void {
    this.world.clock.after(SAVE_LEVEL_MS, () => {
      if (!this.failed) this.disk.identity = { ...this.disk.identity, featureLevel: level }
    })
  }

  // ---- reading ----------------------------------------------------------------------------------------------------

  private read(effect: Exclude<DiskEffect, OtherEffect>): void {
    // Digests are those of the moment of asking: they have a place between the writes. Other reads may see later ones.
    const early = this.world.faults.lateReads && effect.type !== 'digests' ? undefined : this.answer(effect)
    this.world.clock.after(this.readMs() + this.disk.extraReadMs, () => {
      if (this.failed || this.disk.hangs.has('reads')) return
      if (this.disk.readFails) {
        this.disk.readFails = false
        return this.fail('read error')
      }
      if (!this.visible.has(effect.extent)) return
      const answer = early ?? this.answer(effect)
      if (answer !== 'none') this.world.complete([answer])
    })
  }

  /** None: a trusted store does not list versions of which it just found that others are lost beside them. */
  private answer(effect: Exclude<DiskEffect, OtherEffect>): Input | 'none' {
    const { token } = effect
    const image = this.visible.get(effect.extent)
    if (image === undefined) throw new Error(`${effect.type} of extent ${effect.extent}, which the store does not have`)
    switch (effect.type) {
      case 'load':
        this.disk.seen(effect.extent, effect.blocks)
        this.losses.readBlocks(effect.extent, effect.blocks)
        return { type: 'loaded', token, blocks: effect.blocks.map((block) => this.load(image, effect.extent, block)) }
      case 'merge':
        this.disk.seen(effect.extent, [effect.block])
        this.losses.readBlocks(effect.extent, [effect.block])
        return mergeBlock(this.load(image, effect.extent, effect.block), image.shape.blockSizeBytes, effect)
      case 'digests': {
        this.losses.digestsRead(effect.extent)
        return { type: 'digests', token, ...this.disk.lost.digestsOf(effect.extent, image) }
      }
      case 'versions': {
        if (this.losses.read(effect.extent, effect.leaves) && !this.losses.isSuspect) return 'none'
        const leaves = effect.leaves.map((leaf) => ({ leaf, versions: image.versions.versionsOf(leaf) }))
        return { type: 'versions', token, leaves }
      }
      case 'allocation':
        return { type: 'allocation', token, runs: image.versions.runs(effect.firstBlock, effect.blocks) }
    }
  }

  private load(image: ReplicaImage, extent: ExtentId, block: BlockIndex): LoadedBlock {
    return this.losses.asRead(extent, image.load(block))
  }

  protected syncMs(): number {
    const { chance, faults } = this.world
    if (!this.world.calm() && chance.happens(faults.tailPerSync)) return chance.between(20, faults.tailMs)
    return chance.between(0.5, faults.syncMs)
  }

  protected readMs(): number {
    const { chance, faults } = this.world
    const { slowPerRead = 0, slowReadMs = 0 } = faults
    if (!this.world.calm() && chance.happens(slowPerRead)) return chance.between(5, slowReadMs)
    return !this.world.calm() && chance.happens(0.01) ? chance.between(5, 100) : chance.between(0.05, 1)
  }
}

/** What an opened store needs from the world around it. */
export interface StoreWorld {
  readonly clock: Clock
  readonly chance: Chance
  readonly faults: DiskFaults
  calm(): boolean
  complete(inputs: readonly Input[]): void
  logDurable(entry: LogEntry): void
  violation(rule: string, text: string): void
  /** A batch of so many bytes is on stable storage. */
  synced(bytes: Bytes): void
  /** A batch is larger than what is free on the disk. */
  outOfRoom(bytes: Bytes, freeBytes: Bytes): void
}

function mergeBlock(base: LoadedBlock, size: Bytes, effect: Extract<DiskEffect, { type: 'merge' }>): Input {
  const { token } = effect
  const bytes = new Uint8Array(size)
  if (base.damaged) {
    const { unproven } = base
    return { ...merged(token, base.version, true, bytes), ...(unproven === true ? { unproven } : {}) }
  }
  if (base.bytes !== undefined) bytes.set(base.bytes)
  for (const patch of effect.patches) {
    if (patch.bytes === undefined) bytes.fill(0, patch.offset, patch.offset + patch.length)
    else bytes.set(patch.bytes.subarray(0, patch.length), patch.offset)
  }
  return merged(token, base.version, false, bytes)
}

function merged(
  token: Token,
  base: BlockVersion,
  damaged: boolean,
  bytes: Uint8Array,
): Extract<Input, { type: 'merged' }> {
  return { type: 'merged', token, base, damaged, bytes, checksum: damaged ? 0 : crc32(bytes) }
}
