import type { BlockIndex, Bytes, Operation, Seq } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type { BlockChange, Link } from '../machine.ts'

/** Where the response to an operation goes. */
export interface ReplyTo {
  readonly link: Link
  readonly request: number
}

/** A write that has its seq and is not yet committed. */
export interface PendingWrite {
  readonly seq: Seq
  readonly blocks: readonly BlockChange[]
  readonly bytes: Bytes
  /** Absent for START. */
  readonly operation: Operation | undefined
  readonly cancel: boolean
  readonly replies: ReplyTo[]
}

/** A write before it has its seq. */
export type NewWrite = Omit<PendingWrite, 'seq'>

/** Writes of one primary between seq and commit, in seq order, and which blocks they touch. */
export class Window {
  private readonly writes: PendingWrite[] = []
  /** Newest uncommitted seq of each block. */
  private readonly newest = new Map<BlockIndex, Seq>()
  bytes: Bytes = 0

  get size(): number {
    return this.writes.length
  }

  push(write: PendingWrite): void {
    const last = this.writes.at(-1)
    invariant(last === undefined || write.seq === last.seq + 1, 'seqs of one primary have no gap')
    this.writes.push(write)
    this.bytes += write.bytes
    for (const change of write.blocks) this.newest.set(change.block, write.seq)
  }

  /** Removes and returns, in order, the writes up to and including `seq`. */
  takeThrough(seq: Seq): PendingWrite[] {
    let count = 0
    while (count < this.writes.length && (this.writes[count] as PendingWrite).seq <= seq) count++
    const taken = this.writes.splice(0, count)
    for (const write of taken) {
      this.bytes -= write.bytes
      for (const change of write.blocks)
        if (this.newest.get(change.block) === write.seq) this.newest.delete(change.block)
    }
    return taken
  }

  takeAll(): PendingWrite[] {
    this.newest.clear()
    this.bytes = 0
    return this.writes.splice(0)
  }

  /** Newest uncommitted seq that touches one of these blocks, or 0. */
  newestSeq(first: BlockIndex, count: number): Seq {
    let newest = 0 as Seq
    if (this.newest.size === 0) return newest
    for (let block = first; block < first + count; block++) {
      const seq = this.newest.get(block)
      if (seq !== undefined && seq > newest) newest = seq
    }
    return newest
  }

  /** The uncommitted write with this seq. */
  at(seq: Seq): PendingWrite | undefined {
    const first = this.writes[0]
    return first === undefined ? undefined : this.writes[seq - first.seq]
  }
}
