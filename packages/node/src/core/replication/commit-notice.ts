import { type Millis, type Seq, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'
import type { Window } from './window.ts'

/** Wire version from which on a replica can be notified of commits without a write. */
const SINCE_WIRE = 3

/**
 * The commit point travels with the next write, so that after the last write only the primary knows it, and a store that lost
 * that write would not be noticed (A2.8-4). So the primary sends the commit point once, a moment after the last commit, and
 * writes it to its own disk; then the extent is idle (A2.8-9).
 */
export class CommitNotice {
  private readonly state: PrimaryState
  private readonly window: Pick<Window, 'size'>
  private readonly streams: ReadonlyMap<StoreId, OutStream>
  private sentSeq = 0 as Seq
  private committedAt: Millis = 0

  constructor(state: PrimaryState, window: Pick<Window, 'size'>, streams: ReadonlyMap<StoreId, OutStream>) {
    this.state = state
    this.window = window
    this.streams = streams
  }

  onCommit(ctx: Context): void {
    this.committedAt = ctx.now
  }

  /** Something was committed that no replica was notified of. */
  get pending(): boolean {
    return this.sentSeq < this.state.extent.commitSeq
  }

  maintain(ctx: Context): void {
    const { extent, epoch, services, active } = this.state
    const { id, commitSeq } = extent
    const isIdle = active && this.window.size === 0 && ctx.now - this.committedAt >= TIMERS.commitNewsMs
    if (!isIdle || !this.pending) return
    this.sentSeq = commitSeq
    extent.commit(ctx, { head: { commitSeq } })
    for (const { marked, boundLink: link } of this.streams.values()) {
      if (!marked || link === undefined || services.links.wireOf(link) < SINCE_WIRE) continue
      ctx.emit({ type: 'send', link, message: { type: 'confirm', extent: id, epoch, round: 0, commitSeq } })
    }
  }
}
