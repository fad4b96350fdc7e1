import { crc32 } from 'node:zlib'
import type { Effect, Head, Input, LoadedBlock, LogEntry, StoredReplica, Token } from '@ashlar/node/core'
import type { BlockIndex, BlockKind, BlockVersion, Bytes, ClusterId, ExtentId, StoreId, Voter } from '@ashlar/proto'
import { blockKey } from '../../../packages/node/src/storage/encoding/keyspace.ts'
import { MemoryDisk } from '../../../packages/node/src/storage/memory/memory-driver.ts'
import type { Chance } from './chance.ts'
import type { DiskFaults } from './disk-faults.ts'
import { DiskSpace } from './disk-space.ts'
import { LogImage } from './log-image.ts'
import { applyWrite, bytesOf, cloneOf, RecentWrites, type Write } from './recent-writes.ts'
import type { ReplicaImage } from './replica-image.ts'
import type { Clock } from './time.ts'

/**
 * The disk of one node: one store and one control log. What is on it survives a crash exactly as far as it was synced.
 * What it can do wrong:
 * - slow syncs, with a tail;
 * - a power cut with batches in flight: each survives as a whole or not at all, the last of them first to go; what
 *   still waited for its batch is always lost;
 * - a write error: the store stops, and what was in flight is undecided until it is opened again;
 * - an error of the next write or the next read, likewise; a disk without space, on which every write meets an error;
 * - records of the store's log that were synced and are not there any more when it is opened: it is suspect then;
 * - rot: a block whose bytes no longer match their checksum;
 * - replacement by an empty one (another store at the same address), or by an older copy, whole or its control log;
 * - the last of its synced batches are not there any more when it is opened, without a sign;
 * - where its size is limited: no space for a batch that is larger than what is free.
 */
export class Disk {
  readonly store: StoreId
  identity: {
    cluster: ClusterId | undefined
    voters: readonly Voter[]
    founded: boolean
    counter: number
    featureLevel: number
  }
  readonly replicas = new Map<ExtentId, ReplicaImage>()
  readonly log: LogImage = new LogImage()
  /** Every sync of the store takes so much longer. */
  extraSyncMs = 0
  /** Every sync of the control log, likewise. */
  extraLogSyncMs = 0
  /** Every read takes so much longer, likewise. */
  extraReadMs = 0
  /** The part that hangs: such calls get no answer until a process opens it again and it does not hang. */
  readonly hangs = new Set<'store' | 'log' | 'reads'>()
  /** The next write of the control log meets an error. */
  logFails = false
  /** The next batch of the store meets an error, the next read does, every write does because there is no space. */
  storeFails = false
  readFails = false
  full = false
  /** Extents of which records may have been dropped and that were not compared since (amendment 11). */
  readonly suspicion = new Set<ExtentId>()
  /** Called when the last of them was compared, or dropped. */
  onCleared: (() => void) | undefined
  /** Of those, the extents of which records truly were dropped. */
  readonly incomplete = new Set<ExtentId>()
  /** Of suspect replicas, rotten blocks not read or written in this incarnation: a store that counts knows each. */
  readonly unread = new Map<ExtentId, Set<BlockIndex>>()
  /** Synced writes since some moment, when some of them are to be dropped. */
  recent: RecentWrites | undefined
  /** What the shipped store has written, where that one is used. */
  readonly entries: MemoryDisk = new MemoryDisk()
  /** Bytes of rotten blocks before they rotted, likewise. */
  private readonly unrotten = new Map<string, Uint8Array>()
  /** Room on it; undefined where it has no end. */
  readonly space: DiskSpace | undefined

  constructor(store: StoreId, sizeBytes?: Bytes) {
    this.store = store
    this.space = sizeBytes === undefined ? undefined : new DiskSpace(sizeBytes, () => this.heldBytes())
    this.identity = { cluster: undefined, voters: [], founded: false, counter: 0, featureLevel: 0 }
  }

  rememberWrites(): void {
    this.recent = new RecentWrites(this.replicas)
  }

  forgetWrites(): void {
    this.recent = undefined
  }

  /** Drops some of the writes since `rememberWrites`, while no process has it open. False: there were none. */
  dropWrites(chance: Chance): boolean {
    const left = this.recent?.dropSome(chance)
    this.recent = undefined
    if (left === undefined) return false
    this.replicas.clear()
    for (const [extent, image] of left) {
      this.replicas.set(extent, image)
      this.suspicion.add(extent)
      this.incomplete.add(extent)
    }
    return true
  }

  /** Drops the last of the writes since `rememberWrites`, which no opening misses. False: there were none. */
  dropTail(chance: Chance): boolean {
    const left = this.recent?.dropTail(chance)
    this.recent = undefined
    if (left === undefined) return false
    for (const [extent, image] of left) {
      this.replicas.set(extent, image)
      this.incomplete.add(extent)
    }
    return true
  }

  /** A process opens it. */
  open(): void {
    this.unread.clear()
    for (const extent of this.suspicion) this.unread.set(extent, new Set(this.replicas.get(extent)?.damaged))
  }

  /** Blocks were read, or written: what was wrong with them is known, or no more. */
  seen(extent: ExtentId, blocks: readonly BlockIndex[]): void {
    const unread = this.unread.get(extent)
    if (unread !== undefined) for (const block of blocks) unread.delete(block)
  }

  /** Takes what was synced. A replica that was compared with a primary, or dropped, is no longer suspect. */
  keep(batch: readonly Write[]): void {
    this.recent?.add(batch)
    if (this.space === undefined) this.apply(batch)
    else this.space.write(bytesOf(batch), () => this.apply(batch))
  }

  private apply(batch: readonly Write[]): void {
    for (const write of batch) {
      applyWrite(this.replicas, write)
      if (write.type === 'drop-replica') this.clearSuspicion(write.extent)
      else if (write.type === 'create-replica') {
        if (this.suspicion.size > 0) this.suspicion.add(write.extent)
      } else if (write.type === 'commit') {
        const { extent, blocks, marked } = write.change
        this.seen(
          extent,
          blocks.map(({ block }) => block),
        )
        if (marked) this.clearSuspicion(extent)
      }
    }
  }

  /** Flips a bit of a block that the shipped store has written. */
  rotEntry(extent: ExtentId, block: BlockIndex): void {
    const key = blockKey('bytes', extent, block)
    const bytes = this.entries.entries.get(key)
    if (bytes === undefined) return
    this.unrotten.set(`${extent}:${block}`, bytes)
    const rotten = bytes.slice()
    rotten[0] = (rotten[0] as number) ^ 1
    this.entries.entries.set(key, rotten)
  }

  /** Flips it back. */
  mendEntry(extent: ExtentId, block: BlockIndex): void {
    const bytes = this.unrotten.get(`${extent}:${block}`)
    if (bytes !== undefined) this.entries.entries.set(blockKey('bytes', extent, block), bytes)
  }

  private heldBytes(): Bytes {
    let bytes = 0
    for (const image of this.replicas.values()) bytes += image.heldBytes
    return bytes
  }

  private clearSuspicion(extent: ExtentId): void {
    this.incomplete.delete(extent)
    if (this.suspicion.delete(extent) && this.suspicion.size === 0) this.onCleared?.()
  }

  /** What opening gives: replicas as they are on stable storage. */
  stored(): StoredReplica[] {
    return [...this.replicas].map(([extent, image]) => image.stored(extent))
  }
}

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

  constructor(disk: Disk, world: StoreWorld) {
    this.disk = disk
    this.world = world
    this.visible = cloneOf(disk.replicas)
    disk.open()
    disk.onCleared = disk.suspicion.size === 0 ? undefined : () => this.cleared()
  }

  /** This opening began as suspect, and the next one would not. What was found wrong meanwhile counts more. */
  private cleared(): void {
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
        applyWrite(this.visible, effect)
        this.waiting.push(effect)
        return this.startBatch()
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
      if (this.visible.has(effect.extent)) this.world.complete([early ?? this.answer(effect)])
    })
  }

  private answer(effect: Exclude<DiskEffect, OtherEffect>): Input {
    const { token } = effect
    const image = this.visible.get(effect.extent)
    if (image === undefined) throw new Error(`${effect.type} of extent ${effect.extent}, which the store does not have`)
    switch (effect.type) {
      case 'load':
        this.disk.seen(effect.extent, effect.blocks)
        return { type: 'loaded', token, blocks: effect.blocks.map((block) => image.load(block)) }
      case 'merge':
        this.disk.seen(effect.extent, [effect.block])
        return mergeBlock(image, effect)
      case 'digests': {
        const { digests } = image.versions
        return { type: 'digests', token, root: digests.rootBytes(), leaves: digests.leafBytes() }
      }
      case 'versions': {
        const leaves = effect.leaves.map((leaf) => ({ leaf, versions: image.versions.versionsOf(leaf) }))
        return { type: 'versions', token, leaves }
      }
      case 'allocation':
        return { type: 'allocation', token, runs: image.versions.runs(effect.firstBlock, effect.blocks) }
    }
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

function mergeBlock(image: ReplicaImage, effect: Extract<DiskEffect, { type: 'merge' }>): Input {
  const { token } = effect
  const base = image.load(effect.block)
  const bytes = new Uint8Array(image.shape.blockSizeBytes)
  if (base.damaged) return merged(token, base.version, true, bytes)
  if (base.bytes !== undefined) bytes.set(base.bytes)
  for (const patch of effect.patches) {
    if (patch.bytes === undefined) bytes.fill(0, patch.offset, patch.offset + patch.length)
    else bytes.set(patch.bytes.subarray(0, patch.length), patch.offset)
  }
  return merged(token, base.version, false, bytes)
}

function merged(token: Token, base: BlockVersion, damaged: boolean, bytes: Uint8Array): Input {
  return { type: 'merged', token, base, damaged, bytes, checksum: damaged ? 0 : crc32(bytes) }
}
