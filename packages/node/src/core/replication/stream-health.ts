import { leaseExpiryMs, type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { PrimaryState } from './primary-state.ts'
import type { OutStream } from './stream.ts'

/**
 * A store that is silent for longer than this and that control still calls up is cut off from this node only. The time counts
 * from its last frame, also where its connection closed before: control must have had time to notice a store that crashed.
 */
export const CUT_OFF_MS = leaseExpiryMs() + 2 * TIMERS.renewMs

/** Which replicas keep up with their streams, as the primary sees it. */
export class StreamHealth {
  private readonly state: PrimaryState
  private readonly streams: ReadonlyMap<StoreId, OutStream>

  constructor(state: PrimaryState, streams: ReadonlyMap<StoreId, OutStream>) {
    this.state = state
    this.streams = streams
  }

  heardAt(store: StoreId): Millis {
    return Math.max(this.state.services.links.lastHeard(store), this.openedSince(store))
  }

  lastFrameAt(store: StoreId): Millis {
    return Math.max(this.state.services.links.lastFrame(store), this.openedSince(store))
  }

  private openedSince(store: StoreId): Millis {
    return this.streams.get(store)?.createdAt ?? Number.NEGATIVE_INFINITY
  }

  /** `silent`: no frame for long. `slow`: frames come, but the acknowledgements that are due do not. */
  failing(ctx: Context, store: StoreId): 'silent' | 'slow' | undefined {
    const stream = this.streams.get(store)
    if (stream === undefined) return undefined
    if (ctx.now - this.heardAt(store) > TIMERS.silentMs) return 'silent'
    return this.isDue(stream) && ctx.now - stream.progressAt > TIMERS.slowMs ? 'slow' : undefined
  }

  private isDue(stream: OutStream): boolean {
    return !stream.marked || stream.ackedSeq < this.state.extent.lastSeq
  }
}
