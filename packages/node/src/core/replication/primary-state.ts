import { type Epoch, ERRORS, type ErrorCode, type ExtentRecord, type VolumeRecord } from '@ashlar/proto'
import type { Context, LoadedBlock } from '../machine.ts'
import type { ExtentState } from './extent-state.ts'
import type { Services } from './services.ts'
import type { ReplyTo } from './window.ts'

/**
 *   promising ──promised durable──> recovering ──all in-sync marked, START committed──> active
 *       └──────────────────── another epoch, fenced, behind ────────────────────────────> over
 *
 * `releasing` is an active primary that takes no new work and waits for what it has.
 */
export type PrimaryPhase = 'promising' | 'recovering' | 'active' | 'releasing' | 'over'

/** What the parts of one primary share: its extent, its epoch, how far it is, and what the map says of it. */
export class PrimaryState {
  readonly extent: ExtentState
  readonly epoch: Epoch
  readonly services: Services
  phase: PrimaryPhase = 'promising'
  /** START has its seq. */
  started = false
  /** Too slow: the primary does nothing more until control has responded to the release (A2.7-6). */
  releaseRequested = false

  constructor(extent: ExtentState, epoch: Epoch, services: Services) {
    this.extent = extent
    this.epoch = epoch
    this.services = services
  }

  get over(): boolean {
    return this.phase === 'over'
  }

  /** Serves reads and takes writes: START is committed and nothing has ended this primary. */
  get active(): boolean {
    return this.phase === 'active' && !this.releaseRequested
  }

  /** The newest record of the map, as long as it names this primary in this epoch. */
  record(): ExtentRecord | undefined {
    const record = this.services.control.map.extents.get(this.extent.id)
    return record !== undefined && record.epoch === this.epoch && record.primary.store === this.services.self
      ? record
      : undefined
  }

  volume(): VolumeRecord | undefined {
    return this.services.control.map.locate(this.extent.id)?.volume
  }

  /** The epoch in which a forced promotion began the extent's present timeline; 0 without one (A2.10). */
  get timelineEpoch(): Epoch {
    return this.services.control.map.historyEpochOf(this.extent.id)
  }

  /** For a request that meets a block which no replica could repair. */
  codeOfDamage({ unproven }: Pick<LoadedBlock, 'unproven'>): ErrorCode {
    if (this.over) return 'NOT_PRIMARY'
    // This incarnation ends, and another member has the block (A2.17-6).
    return unproven === true && (this.record()?.inSync.length ?? 0) > 1 ? 'WAIT' : 'DAMAGED'
  }

  respond(ctx: Context, to: ReplyTo, code: ErrorCode): void {
    ctx.emit({
      type: 'send',
      link: to.link,
      message: { type: 'answer', request: to.request, code: ERRORS[code].number, epoch: this.epoch },
    })
  }
}
