import type { Epoch, ErrorCode } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { PrimaryState } from './primary-state.ts'

/** Decides whether a primary may serve a client now. A request that it refuses is not queued (amendment 22). */
export class Admission {
  private readonly state: PrimaryState

  constructor(state: PrimaryState) {
    this.state = state
  }

  /** Why the primary cannot serve this client now; undefined when it can. */
  refusal(ctx: Context, epoch: Epoch, generation: number): ErrorCode | undefined {
    if (epoch === this.state.epoch && !this.state.services.control.leaseHeld(ctx)) return 'WAIT'
    return this.unleasedRefusal(epoch, generation)
  }

  /** Why it could not even serve a read that the ack set confirms; undefined when it lacks at most the lease. */
  unleasedRefusal(epoch: Epoch, generation: number): ErrorCode | undefined {
    const { state } = this
    if (epoch < state.epoch) return 'NOT_PRIMARY'
    if (epoch > state.epoch || !state.active) return 'WAIT'
    const volume = state.volume()
    if (volume === undefined) return 'NOT_FOUND'
    if (generation !== 0 && generation < volume.generation) return 'FENCED'
    return generation > volume.generation ? 'WAIT' : undefined
  }
}
