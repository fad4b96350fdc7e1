import type { ReplicaChange, StoredReplica } from '@ashlar/node/core'
import type { BlockIndex, Bytes, ClusterId, ExtentId, StoreId, Voter } from '@ashlar/proto'
import { blockKey } from '../../../packages/node/src/storage/encoding/keyspace.ts'
import { MemoryDisk } from '../../../packages/node/src/storage/memory/memory-driver.ts'
import type { Chance } from './chance.ts'
import { DiskSpace } from './disk-space.ts'
import { LogImage } from './log-image.ts'
import { LostVersions } from './lost-versions.ts'
import { applyWrite, bytesOf, RecentWrites, type Write } from './recent-writes.ts'
import type { ReplicaImage } from './replica-image.ts'

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
 * - versions of a leaf are older ones, or gone, which it finds when it reads the leaf;
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
  /** Changes that were synced and are gone. */
  readonly dropped: ReplicaChange[] = []
  /** Synced writes since some moment, when some of them are to be dropped. */
  recent: RecentWrites | undefined
  /** Leaves whose versions do not match their digest. */
  readonly lost: LostVersions = new LostVersions()
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
    this.dropped.push(...left.dropped)
    for (const [extent, image] of left.replicas) {
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
    this.dropped.push(...left.dropped)
    for (const [extent, image] of left.replicas) {
      this.replicas.set(extent, image)
      this.incomplete.add(extent)
    }
    return true
  }

  /**
   * Blocks are as they were without some of the writes since `rememberWrites`, while heads and digests are of now. False:
   * there were none.
   */
  loseVersions(chance: Chance): boolean {
    const left = this.recent?.dropSome(chance)
    this.recent = undefined
    for (const [extent, image] of left?.replicas ?? []) {
      const whole = this.replicas.get(extent)
      if (whole === undefined || !this.lost.add(extent, whole, image)) continue
      image.head = whole.head
      image.windows.replace(whole.windows.snapshot())
      this.replicas.set(extent, image)
      this.incomplete.add(extent)
    }
    return !this.lost.none
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
      if (write.type === 'drop-replica') {
        this.lost.delete(write.extent)
        this.clearSuspicion(write.extent)
      } else if (write.type === 'create-replica') {
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
    this.lost.compared(extent)
    if (!this.lost.has(extent)) this.incomplete.delete(extent)
    if (this.suspicion.delete(extent) && this.suspicion.size === 0) this.onCleared?.()
  }

  /** What opening gives: replicas as they are on stable storage. */
  stored(): StoredReplica[] {
    return [...this.replicas].map(([extent, image]) => image.stored(extent))
  }
}
