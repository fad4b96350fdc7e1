import { type Epoch, type ExtentId, type ExtentRecord, LIMITS, type Millis, TIMERS } from '@ashlar/proto'
import type { ControlView } from '../interfaces.ts'
import type { Context } from '../machine.ts'

interface Forgotten {
  readonly promised: Epoch
  readonly since: Millis
  isReported: boolean
}

/**
 * Extents for which the map names an epoch below one that a store promised. For a moment that only means that the map
 * is behind the primary. When it lasts, control's log has gone back: no store can lead that epoch, so control gets a
 * report of the promise (amendment 35).
 */
export class ForgottenEpochs {
  private readonly control: ControlView
  private readonly found = new Map<ExtentId, Forgotten>()
  private reportedAt = Number.NEGATIVE_INFINITY

  constructor(control: ControlView) {
    this.control = control
  }

  /** The map holds this record, and this store or another one has promised that epoch. */
  compare(ctx: Context, record: ExtentRecord | undefined, promised: Epoch): void {
    if (record === undefined || record.epoch >= promised) return
    const known = this.found.get(record.id)
    if (known !== undefined && known.promised >= promised) return
    this.found.set(record.id, { promised, since: known?.since ?? ctx.now, isReported: false })
  }

  onTick(ctx: Context): void {
    if (this.found.size === 0 || ctx.now - this.reportedAt < TIMERS.controlRetryMs) return
    const due: { extent: ExtentId; epoch: Epoch; promised: Epoch }[] = []
    for (const [extent, promise] of this.found) {
      const { promised, since } = promise
      const epoch = this.control.map.extents.get(extent)?.epoch
      if (epoch === undefined || epoch >= promised) this.found.delete(extent)
      else if (ctx.now - since >= TIMERS.controlRetryMs && due.length < LIMITS.promisesPerMessage) {
        due.push({ extent, epoch, promised })
        if (!promise.isReported) ctx.event('error', 'epoch-forgotten', { extent, epoch, promised })
        promise.isReported = true
      }
    }
    if (due.length === 0) return
    this.reportedAt = ctx.now
    this.control.reportPromises(ctx, due)
  }
}
