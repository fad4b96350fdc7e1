import { countsIn, type Epoch, type ExtentId, volumeOf } from '@ashlar/proto'
import type { Context } from '../machine.ts'
import type { ExtentState } from './extent-state.ts'
import { Primary } from './primary.ts'
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
 * The extents of one store, and which of them are busy. An extent is busy from an input that reaches it until a tick finds it
 * idle: a store has thousands of idle ones, and to check each of them at each tick was most of what they cost.
 */
export class Extents {
  private readonly byId = new Map<ExtentId, Held>()
  private readonly busy = new Set<Held>()
  private lastOrder = 0

  /** For reading; an extent that is changed must be reached. */
  get held(): ReadonlyMap<ExtentId, Extent> {
    return this.byId
  }

  /** False while the replica of an extent that counts on this store was created in this incarnation and never compared. */
  holdWhatCounts({ control, self }: Pick<Services, 'control' | 'self'>): boolean {
    for (const [id, { state }] of this.byId) {
      if (state.compared) continue
      const record = control.map.extents.get(id)
      if (record !== undefined && countsIn(record, self)) return false
    }
    return true
  }

  /** `services`: those of the store; a completion reaches its extent like any other input. */
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

  /** Makes this store the primary of the extent in this epoch. */
  lead(ctx: Context, extent: Extent, epoch: Epoch): void {
    extent.replica.forgetStaged()
    extent.primary = new Primary(extent.state, epoch, extent.services, extent.repairs)
    extent.primary.begin(ctx)
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

  /** For an input that one of the busy ones waits for, in no order. */
  get busyOnes(): Iterable<Extent> {
    return this.busy
  }

  /** The busy ones, in the order in which the store got them, so that the order of what they send is deterministic. */
  allBusy(): readonly Extent[] {
    return [...this.busy].sort((a, b) => a.order - b.order)
  }

  /** Ticks skip this extent until an input reaches it. */
  foundIdle(id: ExtentId): void {
    const extent = this.byId.get(id)
    if (extent !== undefined) this.busy.delete(extent)
  }
}
