import type { BlockChange, Head, LoadedBlock, ReplicaChange, StoredReplica } from '@ashlar/node/core'
import { DedupeWindows, VersionTable } from '@ashlar/node/core'
import {
  BLOCK_ABSENT,
  BLOCK_DATA,
  type BlockIndex,
  type Bytes,
  type Epoch,
  type ExtentId,
  type Seq,
} from '@ashlar/proto'

/** What a store holds of one extent: the shape, the head, the blocks, the operations that it remembers. */
export class ReplicaImage {
  readonly shape: ReplicaShape
  head: Head = EMPTY_HEAD
  readonly windows = new DedupeWindows()
  readonly versions: VersionTable
  readonly damaged = new Set<BlockIndex>()
  private readonly bytes = new Map<BlockIndex, Uint8Array>()

  constructor(shape: ReplicaShape) {
    this.shape = shape
    this.versions = new VersionTable(shape.lengthBytes / shape.blockSizeBytes)
  }

  /** Bytes of the blocks that it holds. */
  get heldBytes(): Bytes {
    return this.bytes.size * this.shape.blockSizeBytes
  }

  apply(change: ReplicaChange): void {
    if (change.head.generation !== undefined && change.head.generation > this.head.generation) {
      this.windows.dropBelow(change.head.generation)
    }
    this.head = { ...this.head, ...change.head }
    if (change.windows !== undefined) this.windows.replace(change.windows)
    if (change.operation !== undefined) {
      this.windows.record(change.operation)
    }
    for (const block of change.blocks) this.put(block)
  }

  /** New bytes for a damaged block, if it still has the version that they belong to. */
  repair(block: BlockChange): void {
    const held = this.versions.get(block.block)
    if (held.epoch === block.version.epoch && held.seq === block.version.seq) this.put(block)
  }

  /** The bytes of a block rot: its version stays, and every read finds the checksum wrong. */
  rot(block: BlockIndex): void {
    if (this.versions.get(block).kind === BLOCK_DATA) this.damaged.add(block)
  }

  load(block: BlockIndex): LoadedBlock {
    const version = this.versions.get(block)
    const bytes = this.bytes.get(block)
    if (version.kind !== BLOCK_DATA) return { block, version, damaged: false }
    if (this.damaged.has(block) || bytes === undefined) return { block, version, damaged: true }
    return { block, version, bytes, damaged: false }
  }

  blocks(): LoadedBlock[] {
    const loaded: LoadedBlock[] = []
    for (let leaf = 0; leaf < this.versions.digests.leaves; leaf++) {
      for (const { block } of this.versions.versionsOf(leaf)) loaded.push(this.load(block))
    }
    return loaded
  }

  /** What opening the store reports of this replica. Damage is found by reading, so it is not reported. */
  stored(extent: ExtentId): StoredReplica {
    return { extent, head: this.head, windows: this.windows.snapshot(), damaged: [] }
  }

  clone(): ReplicaImage {
    const copy = new ReplicaImage(this.shape)
    copy.head = this.head
    copy.windows.replace(this.windows.snapshot())
    for (const { block, version } of this.blocks()) {
      const bytes = this.bytes.get(block)
      copy.put({ block, version, ...(bytes && { bytes }) })
    }
    for (const block of this.damaged) copy.damaged.add(block)
    return copy
  }

  put({ block, version, bytes }: BlockChange): void {
    this.versions.set(block, version)
    this.damaged.delete(block)
    if (bytes === undefined || version.kind === BLOCK_ABSENT) this.bytes.delete(block)
    else this.bytes.set(block, bytes)
  }
}

export interface ReplicaShape {
  readonly blockSizeBytes: Bytes
  readonly lengthBytes: Bytes
  readonly volumeName: string
}

const EMPTY_HEAD: Head = {
  promised: 0 as Epoch,
  led: 0 as Epoch,
  lastEpoch: 0 as Epoch,
  lastSeq: 0 as Seq,
  commitSeq: 0 as Seq,
  generation: 0,
  record: undefined,
}
