import {
  type BlockIndex,
  type Bytes,
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  type Operation,
  type Seq,
  type SessionWindow,
  splitBlocks,
  type Tombstones,
  type VolumeRecord,
  volumeOf,
} from '@ashlar/proto'
import type { BlockChange, Context, Head, HeadRecord, ReplicaChange, StoredReplica, Token } from '../machine.ts'
import { DedupeWindows, type Span } from './dedupe.ts'
import type { Sessions } from './sessions.ts'

/** One change of a replica, before its head fields are filled in. */
export interface Change {
  readonly blocks?: readonly BlockChange[]
  readonly head?: Partial<Head>
  readonly operation?: { readonly operation: Operation; readonly seq: Seq; readonly cancel: boolean }
  /** At the MARK of a primary: its windows, in place of all others. */
  readonly windows?: readonly SessionWindow[]
  /** The windows come with the state of another store, without a MARK: a suspect store stays suspect. */
  readonly staysSuspect?: true
  /**
   * Windows of a primary whose version of `blocks` replaces the own one: operations that it does not have are forgotten
   * with them.
   */
  readonly rolledBackTo?: DedupeWindows
}

/**
 * Seqs between two timelines of an extent: more than any store can be ahead of another, with space for a thousand
 * timelines.
 */
const TIMELINE_GAP = 2 ** 42

/**
 * What one store knows of one extent: the state after every change that was passed to the store, durable or not. Both
 * roles (primary and replica) read it and change it only through `commit`, which keeps memory and disk in one order.
 */
export class ExtentState {
  readonly id: ExtentId
  readonly blockSizeBytes: Bytes
  readonly lengthBytes: Bytes
  promised: Epoch
  led: Epoch
  lastEpoch: Epoch
  lastSeq: Seq
  commitSeq: Seq
  generation: number
  record: HeadRecord | undefined
  readonly windows: DedupeWindows
  readonly damaged: Set<BlockIndex>
  /** The replica was here when the store was opened, or has been compared with a primary since. */
  compared: boolean
  /** The sessions that may hold the volume; absent while no role of this node acts on the extent. */
  sessions: Sessions | undefined

  constructor(id: ExtentId, shape: { blockSizeBytes: Bytes; lengthBytes: Bytes }, stored?: StoredReplica) {
    this.id = id
    this.blockSizeBytes = shape.blockSizeBytes
    this.lengthBytes = shape.lengthBytes
    this.promised = stored?.head.promised ?? (0 as Epoch)
    this.led = stored?.head.led ?? (0 as Epoch)
    this.lastEpoch = stored?.head.lastEpoch ?? (0 as Epoch)
    this.lastSeq = stored?.head.lastSeq ?? (0 as Seq)
    this.commitSeq = stored?.head.commitSeq ?? (0 as Seq)
    this.generation = stored?.head.generation ?? 0
    this.record = stored?.head.record
    this.windows = DedupeWindows.from(stored?.windows ?? [])
    this.damaged = new Set(stored?.damaged ?? [])
    this.compared = stored !== undefined
  }

  get blockCount(): number {
    return this.lengthBytes / this.blockSizeBytes
  }

  /**
   * Seq of the next write. A timeline that a forced promotion began leaves a gap larger than the timeline before can
   * have used, so that commits of the old timeline, as stores remember them, never reach into the new one (A2.10).
   */
  nextSeq(timelineEpoch: Epoch): Seq {
    return (this.lastSeq + (this.lastEpoch < timelineEpoch ? TIMELINE_GAP : 1)) as Seq
  }

  /** First block and number of blocks that a byte range touches. */
  blocksOf(offset: Bytes, length: Bytes): { first: BlockIndex; count: number } {
    const parts = splitBlocks(this.blockSizeBytes, offset, length)
    const first = parts[0]?.block ?? 0
    return { first, count: (parts.at(-1)?.block ?? first) - first + 1 }
  }

  /**
   * Changes memory now and passes the same change to the store. The token comes back as `committed` once it is durable.
   */
  commit(ctx: Context, change: Change): Token {
    const head = change.head ?? {}
    if (head.promised !== undefined) this.promised = head.promised
    if (head.led !== undefined) this.led = head.led
    if (head.lastEpoch !== undefined) this.lastEpoch = head.lastEpoch
    if (head.lastSeq !== undefined) this.lastSeq = head.lastSeq
    if (head.commitSeq !== undefined) this.commitSeq = head.commitSeq
    if (head.record !== undefined) this.record = head.record
    if (head.generation !== undefined && head.generation > this.generation) {
      this.generation = head.generation
      this.windows.dropBelow(head.generation)
    }
    if (change.windows !== undefined) {
      this.windows.replace(change.windows, ctx.now)
      this.sessions?.adopted(ctx.now)
    }
    const operation = appliedBy(change)
    const forgotten = this.forgotten(change)
    if (operation !== undefined) this.windows.record(operation, ctx.now)
    const windows = change.windows ?? this.rolledBack(change) ?? forgotten
    for (const block of change.blocks ?? []) this.damaged.delete(block.block)
    const marked = change.windows !== undefined && change.staysSuspect !== true
    this.compared ||= marked
    const token = ctx.token()
    ctx.emit({
      type: 'commit',
      token,
      change: {
        extent: this.id,
        blocks: change.blocks ?? [],
        head,
        ...(windows === undefined ? {} : { windows }),
        ...(marked ? { marked: true as const } : {}),
        ...(operation === undefined ? {} : { operation }),
      },
    })
    return token
  }

  /** The remaining windows where a new session arrives and ended ones are dropped (A2.11-8); undefined when none is. */
  private forgotten({ operation: applied }: Change): SessionWindow[] | undefined {
    if (applied === undefined || this.windows.has(applied.operation.session)) return undefined
    return this.sessions?.forgetEnded(this.windows) ? this.windows.snapshot() : undefined
  }

  /** The remaining windows once operations were rolled back with their blocks; undefined when none was. */
  private rolledBack({ blocks = [], rolledBackTo }: Change): SessionWindow[] | undefined {
    if (rolledBackTo === undefined) return undefined
    let forgotten = false
    for (const { block } of blocks) if (this.windows.rollBack(block, rolledBackTo)) forgotten = true
    return forgotten ? this.windows.snapshot() : undefined
  }
}

/** The operation of a change as it is remembered, with the blocks that it wrote. */
function appliedBy({ blocks = [], operation: applied }: Change): ReplicaChange['operation'] {
  if (applied === undefined) return undefined
  const { session, op, lowMark, generation } = applied.operation
  const { seq, cancel } = applied
  return { session, op, lowMark, generation, seq, cancel, ...spanOf(blocks) }
}

/** The span of these blocks, which are in no order. */
function spanOf(blocks: readonly BlockChange[]): Span {
  let [first, last] = [Number.POSITIVE_INFINITY, -1]
  for (const { block } of blocks) {
    first = Math.min(first, block)
    last = Math.max(last, block)
  }
  return last < 0 ? { first: 0 as BlockIndex, count: 0 } : { first: first as BlockIndex, count: last - first + 1 }
}

/** The part of the map that a store keeps beside its blocks (amendment 16). */
export function headRecordOf(
  record: ExtentRecord,
  volume: VolumeRecord,
  lengthBytes: Bytes,
  historyEpoch: Epoch,
): HeadRecord {
  return {
    revision: record.revision,
    epoch: record.epoch,
    primary: record.primary.store,
    inSync: record.inSync,
    eligible: record.eligible,
    assigned: record.assigned,
    minInSync: volume.minInSync,
    blockSizeBytes: volume.blockSizeBytes,
    lengthBytes,
    volumeName: volume.name,
    ...(historyEpoch === 0 ? {} : { historyEpoch }),
  }
}

/**
 * Replicas of volumes that were removed while this store was away. The first map of an incarnation has the tombstones
 * of those volumes but not their extents, so no later change would name them; and a suspect store that keeps one would
 * never be cleared.
 */
export class Leftovers {
  private held: readonly ExtentId[]

  constructor(replicas: readonly StoredReplica[]) {
    this.held = replicas.map(({ extent }) => extent)
  }

  /** The leftovers that this map has tombstones of; none after the first map. */
  take({ removedVolumes }: { readonly removedVolumes: Pick<Tombstones, 'has'> }): ExtentId[] {
    const left = this.held.filter((extent) => removedVolumes.has(volumeOf(extent)))
    this.held = []
    return left
  }
}
