import { type BlockIndex, type BlockVersion, type Bytes, type ExtentId, invariant } from '@ashlar/proto'
import { ExtentDigests, type LeafTable, leafOf } from '../../core/blocks/index.ts'
import type { Head, StoredReplica } from '../../core/machine.ts'
import { DedupeWindows } from '../../core/replication/index.ts'
import { EMPTY_HEAD, type HeadValue } from '../repositories/head-repository.ts'

/** Newest content of a block that was handed over and is not yet on stable storage. */
export interface PendingBlock {
  readonly version: BlockVersion
  readonly bytes: Uint8Array | undefined
}

/** Leaves whose digests share one `d` key: the fan-out of the digest tree (amendment 10). */
export const CHUNK_LEAVES = 256

/**
 * What a store keeps in memory of one replica. `head`, `windows`, `digests` and `damaged` are as of the newest batch that
 * was built; a checkpoint, itself a batch, can therefore write them as they are. `pending` is ahead of them: it has every
 * change that was handed over, so that reads see it.
 */
export class LocalReplica {
  readonly extent: ExtentId
  readonly blockSizeBytes: Bytes
  readonly lengthBytes: Bytes
  readonly volumeName: string
  /** Blocks of this extent; the last one is whole even if the extent ends inside it. */
  readonly blocks: number
  head: Head
  readonly windows: DedupeWindows
  readonly digests: ExtentDigests
  readonly damaged = new Set<BlockIndex>()
  readonly pending = new Map<BlockIndex, PendingBlock>()
  /** Rises with each repair: a read that began before one proves nothing about the block after it. */
  repairs = 0
  /**
   * Blocks whose versions are those of the disk, in a leaf that had another digest: they may be older than what was
   * acknowledged, so that a reader gets none of them. Written blocks leave it, and all do once the replica was compared.
   */
  readonly unproven = new Set<BlockIndex>()
  /** Rises with each loss of versions; as it was when the digests were last read: a comparison found no later one. */
  losses = 0
  comparedLosses = 0
  /** Bytes of blocks that were discarded or overwritten since the range was compacted: the engine still keeps some of them. */
  garbageBytes: Bytes = 0
  /** Changed since the last checkpoint: head or windows, and digests by chunk. */
  headDirty = false
  readonly dirtyChunks = new Set<number>()

  constructor(extent: ExtentId, value: HeadValue) {
    this.extent = extent
    this.blockSizeBytes = value.blockSizeBytes
    this.lengthBytes = value.lengthBytes
    this.volumeName = value.volumeName
    this.blocks = Math.ceil(value.lengthBytes / value.blockSizeBytes)
    this.head = value.head
    this.windows = DedupeWindows.from(value.windows)
    this.digests = new ExtentDigests(this.blocks)
  }

  /** A replica of which nothing was written yet. */
  static empty(extent: ExtentId, blockSizeBytes: Bytes, lengthBytes: Bytes, volumeName: string): LocalReplica {
    return new LocalReplica(extent, { blockSizeBytes, lengthBytes, volumeName, head: EMPTY_HEAD, windows: [] })
  }

  /** What an `m` key holds. */
  headValue(): HeadValue {
    const { blockSizeBytes, lengthBytes, volumeName, head } = this
    return { blockSizeBytes, lengthBytes, volumeName, head, windows: this.windows.snapshot() }
  }

  /** A block went from one version to another in the batch that is being built. */
  replaceVersion(block: BlockIndex, before: BlockVersion, after: BlockVersion): void {
    this.digests.replace(block, before, after)
    this.dirtyChunks.add(Math.floor(leafOf(block) / CHUNK_LEAVES))
  }

  /** Takes the versions of a leaf as they are on disk, whatever digest was kept for it. */
  adoptLeaf(table: LeafTable): void {
    this.digests.adopt(table)
    this.dirtyChunks.add(Math.floor(table.leaf / CHUNK_LEAVES))
  }

  /** Forgets a pending change that reached stable storage, unless a newer one took its place. */
  settle(block: BlockIndex, change: PendingBlock): void {
    if (this.pending.get(block) === change) this.pending.delete(block)
  }

  assertBlocks(first: BlockIndex, count: number): void {
    invariant(
      first >= 0 && count >= 0 && first + count <= this.blocks,
      `blocks ${first} to ${first + count} of extent ${this.extent}, which has ${this.blocks}`,
    )
  }
}

/** A replica as the machines get it at the opening. */
export function storedReplica({ extent, head, windows, damaged }: LocalReplica): StoredReplica {
  return { extent, head, windows: windows.snapshot(), damaged: [...damaged].sort((a, b) => a - b) }
}
