import type { ErrorCode, Seq, StoreId } from '@ashlar/proto'
import type { Context, Token } from '../machine.ts'
import type { CommitNotice } from './commit-notice.ts'
import type { InSyncKeeper } from './in-sync.ts'
import type { OwnDisk } from './own-disk.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'
import type { NewWrite, PendingWrite, Window } from './window.ts'

interface Parts {
  readonly state: PrimaryState
  readonly window: Window
  readonly disk: OwnDisk
  readonly keeper: InSyncKeeper
  readonly notice: CommitNotice
  readonly streams: ReadonlyMap<StoreId, OutStream>
  /** Writes were committed, and their callers have their responses. */
  onCommitted(ctx: Context): void
}

/** The order of writes of one primary: each gets its seq, is sent to every replica, and commits in that order (A2.5). */
export class Commits {
  private readonly parts: Parts
  /** Newest seq that is on this store's own stable storage. */
  private durableSeq = 0 as Seq
  /** The record that this primary acts under is not yet durable: nothing is acknowledged until it is (amendment 16). */
  private recordToken: Token | undefined

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Some write is not on this store's own stable storage. */
  get undurable(): boolean {
    return this.durableSeq < this.parts.state.extent.lastSeq
  }

  /** All that this store holds is on its stable storage. */
  onAllDurable(): void {
    this.durableSeq = this.parts.state.extent.lastSeq
  }

  /** A newer record is being written: commits wait until it is durable. */
  waitForRecord(token: Token): void {
    this.recordToken = token
    this.parts.state.services.when(token, (later) => {
      if (this.recordToken !== token) return
      this.recordToken = undefined
      this.advance(later)
    })
  }

  /** Gives a write its seq, persists it and streams it to every replica in the same step (A2.5-3). */
  append(ctx: Context, write: NewWrite): void {
    const { state, window, disk, streams } = this.parts
    const { extent, epoch } = state
    const { operation, cancel } = write
    const [prevEpoch, prevSeq] = [extent.lastEpoch, extent.lastSeq]
    const seq = extent.nextSeq(state.timelineEpoch)
    const blocks = write.blocks.map((change) => ({ ...change, version: { ...change.version, epoch, seq } }))
    const pending: PendingWrite = { ...write, seq, blocks }
    if (this.durableSeq === prevSeq) disk.wrote(ctx)
    const head = { lastEpoch: epoch, lastSeq: seq, commitSeq: extent.commitSeq }
    const token = extent.commit(
      ctx,
      operation === undefined
        ? { blocks, head }
        : {
            blocks,
            head: { ...head, generation: Math.max(extent.generation, operation.generation) },
            operation: { operation, seq, cancel },
          },
    )
    window.push(pending)
    for (const stream of streams.values()) stream.offer(ctx, pending, prevEpoch, prevSeq)
    state.services.when(token, (later) => {
      if (seq > this.durableSeq) this.durableSeq = seq
      disk.wrote(later)
      this.advance(later)
    })
  }

  /** Commits, in seq order, what every member of the ack set has made durable (A2.5-5, A2.10-1). */
  advance(ctx: Context): void {
    const { state, window, keeper, notice, streams } = this.parts
    if (state.releaseRequested || state.over || this.recordToken !== undefined || !keeper.enoughInSync()) return
    let through = this.durableSeq
    const ackSet = keeper.ackSet()
    for (const store of ackSet) {
      if (store === state.services.self) continue
      const stream = streams.get(store)
      through = Math.min(through, stream?.marked === true ? stream.ackedSeq : 0) as Seq
    }
    const committed = window.takeThrough(through)
    const last = committed.at(-1)
    if (last === undefined) return
    state.extent.commitSeq = last.seq
    keeper.complete.committed(ackSet)
    notice.onCommit(ctx)
    for (const write of committed) this.settle(ctx, write)
    this.parts.onCommitted(ctx)
  }

  private settle(ctx: Context, write: PendingWrite): void {
    const { state } = this.parts
    const { services, extent, epoch } = state
    if (write.operation === undefined) {
      if (state.phase === 'recovering') state.phase = 'active'
      ctx.event('info', 'extent-active', { extent: extent.id, epoch, store: services.self })
      return
    }
    // The lease is checked again before the response: without it the caller learns that the outcome is open (A2.3-5, A2.5-6).
    const code: ErrorCode = !services.control.leaseHeld(ctx) ? 'INDETERMINATE' : write.cancel ? 'CANCELLED' : 'OK'
    for (const reply of write.replies) state.respond(ctx, reply, code)
  }
}
