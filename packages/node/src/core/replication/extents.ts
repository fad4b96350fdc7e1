import { type ExtentId, volumeOf } from '@ashlar/proto'
import type { ExtentState } from './extent-state.ts'
import type { Primary } from './primary.ts'
import { Repairs } from './repair.ts'
import { ReplicaRole } from './replica.ts'
import type { Services } from './services.ts'
import { Sessions } from './sessions.ts'

/** One extent of this store, in both roles. */
export interface Extent {
  readonly state: ExtentState
  readonly services: Services
  readonly repairs: Repairs
  readonly replica: ReplicaRole
  primary: Primary | undefined
}

interface Held extends Extent {
  /** Rises with each extent that the store gets. */
  readonly order: number
}

/**
 * The extents of one store, and which of them a timer has to look at. An extent is busy from the moment at which an input
 * reaches it until a timer finds it quiet: a store has thousands that nobody uses, and to ask each of them at each tick
 * whether it has something to do was most of what they cost.
 */
export class Extents {
  private readonly byId = new Map<ExtentId, Held>()
  private readonly busy = new Set<Held>()
  private lastOrder = 0

  /** For those who only look, and for a hand-over, during which all are looked at. */
  get held(): ReadonlyMap<ExtentId, Extent> {
    return this.byId
  }

  /** `services`: those of the store; a completion reaches the extent that asked for it like any other input. */
  adopt(state: ExtentState, services: Services): Extent {
    const own: Services = {
      ...services,
      when: (token, then) =>
        services.when(token, (ctx, completion) => {
          this.reach(state.id)
          then(ctx, completion)
        }),
    }
    state.sessions = new Sessions(services.control, volumeOf(state.id))
    const repairs = new Repairs(state, own)
    const replica = new ReplicaRole(state, own, repairs)
    const held = { state, services: own, repairs, replica, primary: undefined, order: ++this.lastOrder }
    this.byId.set(state.id, held)
    this.busy.add(held)
    return held
  }

  delete(id: ExtentId): void {
    const extent = this.byId.get(id)
    if (extent !== undefined) this.busy.delete(extent)
    this.byId.delete(id)
  }

  /** The extent that an input is for; it is busy from now on. */
  reach(id: ExtentId): Extent | undefined {
    const extent = this.byId.get(id)
    if (extent !== undefined) this.busy.add(extent)
    return extent
  }

  /** All extents, for an input that may change any; all are busy from now on. */
  reachAll(): Iterable<Extent> {
    for (const extent of this.byId.values()) this.busy.add(extent)
    return this.byId.values()
  }

  /** Those that a timer has to look at, in the order in which the store got them: what they send does not hang on chance. */
  allBusy(): readonly Extent[] {
    return [...this.busy].sort((a, b) => a.order - b.order)
  }

  /** There is nothing that a timer could do for this extent, until an input reaches it. */
  foundQuiet(id: ExtentId): void {
    const extent = this.byId.get(id)
    if (extent !== undefined) this.busy.delete(extent)
  }
}
