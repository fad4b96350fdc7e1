import { ABSENT_VERSION, BLOCK_ABSENT, type BlockIndex, type Bytes, LIMITS, type Push } from '@ashlar/proto'
import type { BlockChange } from '../machine.ts'

/** What a block takes beside its bytes. */
const ENTRY_BYTES = 64

/** Bytes that all replicas of a store keep aside, of those that it may (`LIMITS.stagedPushBytes`). */
export class StagingSpace {
  private bytes: Bytes = 0
  /** How often some extent gave all of its room back: one that lacks room waits until this rises. */
  ended = 0

  get left(): Bytes {
    return LIMITS.stagedPushBytes - this.bytes
  }

  /** False, and nothing taken, when there is no room for so many more. */
  take(bytes: Bytes): boolean {
    if (bytes > this.left) return false
    this.bytes += bytes
    return true
  }

  releaseBuffer(bytes: Bytes): void {
    this.bytes -= bytes
  }
}

/**
 * What a primary pushed to a replica that counts, until its MARK: the replica takes all of it in with the MARK, in one batch
 * (amendment 25). Until then the replica is what it was, so that what it remembers of operations fits the blocks that it holds
 * whenever it has to lead.
 */
export class StagedPushes {
  private readonly room: StagingSpace
  private readonly blocks = new Map<BlockIndex, BlockChange>()
  private bytes: Bytes = 0

  constructor(room: StagingSpace) {
    this.room = room
  }

  /** Keeps a block aside, in place of what was pushed of it before. False when there is no room for it. */
  add(change: BlockChange): boolean {
    const before = sizeOf(this.blocks.get(change.block))
    const size = sizeOf(change)
    if (!this.room.take(size)) return false
    this.room.releaseBuffer(before)
    this.bytes += size - before
    this.blocks.set(change.block, change)
    return true
  }

  /** More than two windows of a primary: what a store lacks by itself, and not what others leave no room for. */
  get isLarge(): boolean {
    return this.bytes > 2 * LIMITS.primaryWindowBytes
  }

  /** All that is kept aside, in no order; nothing is any more. */
  take(): readonly BlockChange[] {
    const blocks = [...this.blocks.values()]
    this.drop()
    return blocks
  }

  drop(): void {
    if (this.bytes > 0) this.room.ended += 1
    this.room.releaseBuffer(this.bytes)
    this.bytes = 0
    this.blocks.clear()
  }
}

function sizeOf(change: BlockChange | undefined): Bytes {
  return change === undefined ? 0 : ENTRY_BYTES + (change.bytes?.length ?? 0)
}

/** What a PUSH makes of its block. */
export function pushedChange({ block, versionEpoch, versionSeq, kind, checksum, bytes }: Push): BlockChange {
  const version = kind === BLOCK_ABSENT ? ABSENT_VERSION : { epoch: versionEpoch, seq: versionSeq, kind, checksum }
  return { block, version, ...(bytes === undefined ? {} : { bytes }) }
}
