import {
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_ZERO,
  type BlockIndex,
  type BlockKind,
  type BlockPart,
  type Bytes,
  type Cancel,
  type Epoch,
  type ErrorCode,
  LIMITS,
  type Operation,
  type Seq,
  type StoreId,
  type StoreSpace,
  splitBlocks,
  type Write,
  type Zero,
} from '@ashlar/proto'
import type { BlockChange, Context, Link } from '../machine.ts'
import type { Admission } from './admission.ts'
import type { Commits } from './commits.ts'
import type { InSyncKeeper } from './in-sync.ts'
import type { OwnDisk } from './own-disk.ts'
import type { PrimaryState } from './primary-state.ts'
import type { Repairs } from './repair.ts'
import { leastSpace } from './space.ts'
import type { OutStream } from './stream.ts'
import type { ReplyTo, Window } from './window.ts'

interface Parts {
  readonly state: PrimaryState
  readonly admission: Admission
  readonly window: Pick<Window, 'at' | 'bytes' | 'size'>
  readonly disk: OwnDisk
  readonly repairs: Pick<Repairs, 'repair'>
  readonly keeper: Pick<InSyncKeeper, 'ackSet' | 'enoughInSync'>
  readonly streams: ReadonlyMap<StoreId, Pick<OutStream, 'space'>>
  readonly commits: Pick<Commits, 'append'>
}

/** A write that has no seq yet: it waits for others on its blocks, or for the old content of blocks it covers in part. */
interface Preparing {
  readonly epoch: Epoch
  readonly operation: Operation
  readonly first: BlockIndex
  readonly count: number
  readonly bytes: Bytes
  readonly replies: ReplyTo[]
  readonly message: Write | Zero
  readonly changes: BlockChange[]
  mergesLeft: number
  /** It has its seq or its response: later completions for it are ignored. */
  settled: boolean
}

/**
 * Admission of writes at the primary (A2.5-1, A2.5-2, A2.5-3, A2.13): refuse, recognize retries, lock blocks, merge
 * partial blocks, then pass on to `Commits.append`, which assigns the seq. Overlapping writes keep their order.
 */
export class Writes {
  private readonly parts: Parts
  /** Writes that hold their blocks while old content is fetched. */
  private readonly preparing: Preparing[] = []
  /** Writes that wait for blocks of others, in order of arrival. */
  private readonly queue: Preparing[] = []
  private bytes: Bytes = 0

  constructor(parts: Parts) {
    this.parts = parts
  }

  get idle(): boolean {
    return this.preparing.length === 0 && this.queue.length === 0
  }

  onWrite(ctx: Context, link: Link, message: Write | Zero): void {
    const { state, window, keeper } = this.parts
    const { extent } = state
    const reply: ReplyTo = { link, request: message.request }
    const refusal = this.refusal(ctx, message) ?? (keeper.enoughInSync() ? undefined : 'WAIT')
    if (refusal !== undefined) return state.respond(ctx, reply, refusal)
    if (this.answerKnown(ctx, reply, message.operation)) return
    const length = message.type === 'write' ? message.payload.length : message.length
    if (length === 0 || message.offset + length > extent.lengthBytes) return state.respond(ctx, reply, 'OUT_OF_RANGE')
    const bytes = message.type === 'write' ? length : 0
    if (
      window.size + this.preparing.length + this.queue.length >= LIMITS.primaryWindowOps ||
      window.bytes + this.bytes + bytes > LIMITS.primaryWindowBytes
    )
      return state.respond(ctx, reply, 'BUSY')
    const write: Preparing = {
      epoch: message.epoch,
      operation: message.operation,
      ...extent.blocksOf(message.offset, length),
      bytes,
      replies: [reply],
      message,
      changes: [],
      mergesLeft: 0,
      settled: false,
    }
    this.bytes += bytes
    if (this.preparing.some((other) => overlaps(other, write)) || this.queue.some((other) => overlaps(other, write)))
      this.queue.push(write)
    else this.prepare(ctx, write)
  }

  /**
   * A write belongs to an attachment: only a read may use generation 0 (A2.11-1). Its session holds the volume
   * (amendment 31), and its unresolved operations fit in one window.
   */
  private refusal(ctx: Context, { epoch, operation }: Pick<Preparing, 'epoch' | 'operation'>): ErrorCode | undefined {
    const { generation, session, op, lowMark } = operation
    const { sessions, windows } = this.parts.state.extent
    if (generation === 0) return 'FENCED'
    const refusal = this.parts.admission.refusal(ctx, epoch, generation)
    if (refusal !== undefined) return refusal
    if (sessions?.holds(session) === false) return 'FENCED'
    if (sessions?.behindWindows) return 'WAIT'
    if (op >= lowMark + LIMITS.sessionOps) return 'OUT_OF_RANGE'
    return sessions?.lacksWindow(windows, session) ? 'BUSY' : undefined
  }

  /** A retry of a known operation gets its response or joins it, and is never done again (amendment 13). */
  private answerKnown(ctx: Context, reply: ReplyTo, operation: Operation): boolean {
    const { state, window } = this.parts
    const known = state.extent.windows.find(operation.session, operation.op)
    if (known.state === 'resolved') {
      state.respond(ctx, reply, 'CANCELLED')
      return true
    }
    if (known.state === 'applied') {
      if (known.seq <= state.extent.commitSeq) state.respond(ctx, reply, known.cancelled ? 'CANCELLED' : 'OK')
      else window.at(known.seq)?.replies.push(reply)
      return true
    }
    const waiting = this.findWaiting(operation)
    waiting?.replies.push(reply)
    return waiting !== undefined
  }

  private findWaiting(operation: Operation): Preparing | undefined {
    const same = (write: Preparing) =>
      write.operation.session === operation.session && write.operation.op === operation.op
    return this.preparing.find(same) ?? this.queue.find(same)
  }

  /** The least space of any store that has to acknowledge a write, the own one included. */
  private leastSpace(): StoreSpace {
    const { state, keeper, streams } = this.parts
    return leastSpace(state.services.space().space, keeper.ackSet(), streams)
  }

  private prepare(ctx: Context, write: Preparing): void {
    if (write.message.type === 'zero') return this.prepareZero(ctx, write, write.message)
    const space = this.leastSpace()
    if (space === 'full') return this.drop(ctx, write, 'NO_SPACE')
    if (space === 'tight') return this.prepareOverwrite(ctx, write, write.message)
    this.split(ctx, write, write.message)
  }

  /** Where space is short only blocks that already hold data are written (amendment 17). */
  private prepareOverwrite(ctx: Context, write: Preparing, message: Write): void {
    const { state, disk } = this.parts
    const { extent, services } = state
    this.preparing.push(write)
    const token = ctx.token()
    ctx.emit({ type: 'allocation', token, extent: extent.id, firstBlock: write.first, blocks: write.count })
    disk.whenRead(ctx, services, token, (later, completion) => {
      if (write.settled || state.over || completion.type !== 'allocation') return
      if (completion.runs.some(({ kind }) => kind !== BLOCK_DATA)) return this.drop(later, write, 'NO_SPACE')
      this.split(later, write, message)
    })
  }

  private split(ctx: Context, write: Preparing, { payload, offset, checksums }: Write): void {
    const { extent } = this.parts.state
    const parts = splitBlocks(extent.blockSizeBytes, offset, payload.length)
    const partial: BlockPart[] = []
    parts.forEach((part, index) => {
      if (part.length < extent.blockSizeBytes) partial.push(part)
      else
        write.changes.push(
          change(part.block, BLOCK_DATA, checksums[index] ?? 0, payload.subarray(part.at, part.at + part.length)),
        )
    })
    if (partial.length === 0) return this.sequence(ctx, write)
    if (!this.preparing.includes(write)) this.preparing.push(write)
    write.mergesLeft = partial.length
    for (const part of partial) this.merge(ctx, write, part, payload.subarray(part.at, part.at + part.length))
  }

  /** A block without a version is zero already: nothing is written for it (amendment 21). */
  private prepareZero(ctx: Context, write: Preparing, message: Zero): void {
    const { state, disk } = this.parts
    const { extent, services } = state
    this.preparing.push(write)
    const token = ctx.token()
    ctx.emit({ type: 'allocation', token, extent: extent.id, firstBlock: write.first, blocks: write.count })
    disk.whenRead(ctx, services, token, (later, completion) => {
      if (write.settled || state.over || completion.type !== 'allocation') return
      const kinds = completion.runs.flatMap((run) => new Array<BlockKind>(run.blocks).fill(run.kind))
      const merges: BlockPart[] = []
      for (const part of splitBlocks(extent.blockSizeBytes, message.offset, message.length)) {
        const kind = kinds[part.block - write.first] ?? BLOCK_ABSENT
        if (kind === BLOCK_ABSENT) continue
        if (part.length === extent.blockSizeBytes) write.changes.push(change(part.block, message.kind, 0))
        else if (kind === BLOCK_DATA) merges.push(part)
        else write.changes.push(change(part.block, BLOCK_ZERO, 0))
      }
      // On a full disk a discard is executed as long as it frees more than it writes (amendment 17).
      const frees = merges.length === 0 || write.changes.length > 0
      if (!frees && this.leastSpace() === 'full') return this.drop(later, write, 'NO_SPACE')
      write.mergesLeft = merges.length
      if (merges.length === 0) this.sequence(later, write)
      for (const part of merges) this.merge(later, write, part, undefined)
    })
  }

  private merge(ctx: Context, write: Preparing, part: BlockPart, bytes: Uint8Array | undefined): void {
    const { state, disk, repairs } = this.parts
    const token = ctx.token()
    const patch = { offset: part.offset, length: part.length, ...(bytes === undefined ? {} : { bytes }) }
    ctx.emit({ type: 'merge', token, extent: state.extent.id, block: part.block, patches: [patch] })
    disk.whenRead(ctx, state.services, token, (later, completion) => {
      if (write.settled || state.over || completion.type !== 'merged') return
      if (completion.damaged) {
        const { base: version, unproven } = completion
        const damaged = { block: part.block, version, damaged: true, ...(unproven === true ? { unproven } : {}) }
        return repairs.repair(
          later,
          damaged,
          (repaired) => {
            if (!write.settled && !state.over) this.merge(repaired, write, part, bytes)
          },
          (failed) => this.drop(failed, write, state.codeOfDamage(damaged)),
        )
      }
      write.changes.push(change(part.block, BLOCK_DATA, completion.checksum, completion.bytes))
      write.mergesLeft -= 1
      if (write.mergesLeft === 0) this.sequence(later, write)
    })
  }

  /** All content has arrived: check again what may have changed meanwhile, then assign the seq. */
  private sequence(ctx: Context, write: Preparing): void {
    const refusal = this.refusal(ctx, write)
    if (refusal !== undefined) return this.drop(ctx, write, refusal)
    this.forget(write)
    // A discard that changes nothing gets its seq too: if it were forgotten, a late duplicate could discard what was
    // written since.
    const blocks = write.changes.sort((a, b) => a.block - b.block)
    this.parts.commits.append(ctx, {
      blocks,
      bytes: write.bytes,
      operation: write.operation,
      cancel: false,
      replies: write.replies,
    })
    this.runQueue(ctx)
  }

  private drop(ctx: Context, write: Preparing, code: ErrorCode): void {
    if (write.settled) return
    this.forget(write)
    for (const reply of write.replies) this.parts.state.respond(ctx, reply, code)
    this.runQueue(ctx)
  }

  private forget(write: Preparing): void {
    write.settled = true
    this.bytes -= write.bytes
    for (const list of [this.preparing, this.queue]) {
      const index = list.indexOf(write)
      if (index >= 0) list.splice(index, 1)
    }
  }

  private runQueue(ctx: Context): void {
    for (const write of [...this.queue]) {
      const index = this.queue.indexOf(write)
      if (index < 0) continue
      const blocked =
        this.preparing.some((other) => overlaps(other, write)) ||
        this.queue.slice(0, index).some((other) => overlaps(other, write))
      if (blocked) continue
      this.queue.splice(index, 1)
      this.prepare(ctx, write)
    }
  }

  /** Settles an operation permanently: it was applied, or every replica refuses it from now on (amendment 13). */
  onCancel(ctx: Context, link: Link, message: Cancel): void {
    const { state, keeper, commits } = this.parts
    const reply: ReplyTo = { link, request: message.request }
    const refusal = this.refusal(ctx, message) ?? (keeper.enoughInSync() ? undefined : 'WAIT')
    if (refusal !== undefined) return state.respond(ctx, reply, refusal)
    const waiting = this.findWaiting(message.operation)
    if (waiting !== undefined) this.drop(ctx, waiting, 'CANCELLED')
    if (this.answerKnown(ctx, reply, message.operation)) return
    commits.append(ctx, { blocks: [], bytes: 0, operation: message.operation, cancel: true, replies: [reply] })
  }

  refuseAll(ctx: Context, code: ErrorCode): void {
    const all = [...this.preparing, ...this.queue]
    this.preparing.length = 0
    this.queue.length = 0
    this.bytes = 0
    for (const write of all) {
      write.settled = true
      for (const reply of write.replies) this.parts.state.respond(ctx, reply, code)
    }
  }
}

function change(block: BlockIndex, kind: BlockKind, checksum: number, bytes?: Uint8Array): BlockChange {
  // Epoch and seq are filled in by `append`.
  const version = { epoch: 0 as Epoch, seq: 0 as Seq, kind, checksum }
  return bytes === undefined ? { block, version } : { block, version, bytes }
}

function overlaps(a: Preparing, b: Preparing): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count
}
