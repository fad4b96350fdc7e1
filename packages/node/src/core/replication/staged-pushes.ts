import { ABSENT_VERSION, BLOCK_ABSENT, type BlockIndex, type Bytes, LIMITS, type Push } from '@ashlar/proto'
import type { BlockChange } from '../machine.ts'

/** Memory of an entry beside its bytes. */
const ENTRY_BYTES = 64

/** Memory for the staged blocks of all replicas of a store, up to `LIMITS.stagedPushBytes`. */
export class StagingSpace {
  private bytes: Bytes = 0

  get left(): Bytes {
    return LIMITS.stagedPushBytes - this.bytes
  }

  /** False, and nothing taken, when so much is not left. */
  take(bytes: Bytes): boolean {
    if (bytes > this.left) return false
    this.bytes += bytes
    return true
  }

  release(bytes: Bytes): void {
    this.bytes -= bytes
  }
}

/**
 * Blocks copied to a replica that counts, until the MARK: the replica applies all of them with the MARK, in one batch
 * (amendment 25). Until then its state is unchanged, so that the operations that it remembers match the blocks that it
 * holds whenever it has to lead.
 */
export class StagedPushes {
  private readonly space: StagingSpace
  private readonly blocks = new Map<BlockIndex, BlockChange>()
  private bytes: Bytes = 0

  constructor(space: StagingSpace) {
    this.space = space
  }

  /** Stages a block in place of an earlier version. False when there is no space for it. */
  add(change: BlockChange): boolean {
    const before = sizeOf(this.blocks.get(change.block))
    const size = sizeOf(change)
    if (!this.space.take(size)) return false
    this.space.release(before)
    this.bytes += size - before
    this.blocks.set(change.block, change)
    return true
  }

  /** More than two windows of a primary: the limit itself is too small for this copy, whatever other extents use. */
  get isLarge(): boolean {
    return this.bytes > 2 * LIMITS.primaryWindowBytes
  }

  /** All staged blocks, in no order; none is staged any more. */
  take(): readonly BlockChange[] {
    const blocks = [...this.blocks.values()]
    this.drop()
    return blocks
  }

  drop(): void {
    this.space.release(this.bytes)
    this.bytes = 0
    this.blocks.clear()
  }
}

function sizeOf(change: BlockChange | undefined): Bytes {
  return change === undefined ? 0 : ENTRY_BYTES + (change.bytes?.length ?? 0)
}

/** The change that a PUSH makes to its block. */
export function pushedChange({ block, versionEpoch, versionSeq, kind, checksum, bytes }: Push): BlockChange {
  const version = kind === BLOCK_ABSENT ? ABSENT_VERSION : { epoch: versionEpoch, seq: versionSeq, kind, checksum }
  return { block, version, ...(bytes === undefined ? {} : { bytes }) }
}
