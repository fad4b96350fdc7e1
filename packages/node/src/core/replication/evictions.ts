import { type Millis, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { PrimaryState } from './primary-state.ts'

interface Eviction {
  /** Start counter of the incarnation that was evicted: a restarted store has no delay. */
  readonly counter: number
  readonly times: number
  readonly notBefore: Millis
}

/** Stores that this primary took out of the set: each waits before its stream is opened again, 1 s, doubling to 60. */
export class Evictions {
  private readonly state: PrimaryState
  private readonly byStore = new Map<StoreId, Eviction>()

  constructor(state: PrimaryState) {
    this.state = state
  }

  mayRejoin(ctx: Context, store: StoreId): boolean {
    const eviction = this.byStore.get(store)
    return eviction === undefined || eviction.counter !== this.counterOf(store) || ctx.now >= eviction.notBefore
  }

  note(ctx: Context, store: StoreId): void {
    const counter = this.counterOf(store)
    const before = this.byStore.get(store)
    // A store that stayed for longer than the longest delay flaps no more.
    const flaps = before?.counter === counter && ctx.now - before.notBefore < TIMERS.rejoinMaxMs
    const times = flaps ? before.times + 1 : 1
    const delay = Math.min(TIMERS.rejoinMaxMs, TIMERS.rejoinMinMs * 2 ** (times - 1))
    this.byStore.set(store, { counter, times, notBefore: ctx.now + delay })
  }

  private counterOf(store: StoreId): number {
    return this.state.services.control.map.nodes.get(store)?.incarnation.counter ?? 0
  }
}
