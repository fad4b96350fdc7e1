import { type Millis, type Seq, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { Primary } from './primary.ts'

/** Wire version in which a replica can be told of commits without a write. */
const SINCE_WIRE = 3

/**
 * How far writes are committed travels with the next write, and after the last one nobody but the primary would know: a store
 * that lost it could not be told so (A2.8-4). So the primary says it once, a moment after the last commit, and writes it down
 * itself; then the extent is idle (A2.8-9).
 */
export class CommitNews {
  private readonly primary: Primary
  private told = 0 as Seq
  private committedAt: Millis = 0

  constructor(primary: Primary) {
    this.primary = primary
  }

  onCommit(ctx: Context): void {
    this.committedAt = ctx.now
  }

  /** Something was committed that was not told. */
  get pending(): boolean {
    return this.told < this.primary.extent.commitSeq
  }

  maintain(ctx: Context): void {
    const { primary } = this
    const { extent, epoch, services, streams } = primary
    const { id, commitSeq } = extent
    const isIdle = primary.active && primary.window.size === 0 && ctx.now - this.committedAt >= TIMERS.commitNewsMs
    if (!isIdle || !this.pending) return
    this.told = commitSeq
    extent.commit(ctx, { head: { commitSeq } })
    for (const { marked, boundLink: link } of streams.values()) {
      if (!marked || link === undefined || services.links.wireOf(link) < SINCE_WIRE) continue
      ctx.emit({ type: 'send', link, message: { type: 'confirm', extent: id, epoch, round: 0, commitSeq } })
    }
  }
}
