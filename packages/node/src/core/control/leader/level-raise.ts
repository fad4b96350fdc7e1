import { leaseExpiryMs, type Millis, TIMERS } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { knownToAll, type WaitedFor } from '../commands/index.ts'
import type { Command, Members } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { Leases } from './leases.ts'
import type { PendingResponses } from './pending-proposals.ts'

type Raise = Extract<Command, { do: 'raise-feature-level' }>

/**
 * The leader's watch over the feature level (A2.21-2). What nodes told lives in their leases: it is lost with leadership and
 * with each life of a node, and told again with the next renewal.
 */
export class LevelRaise {
  /** Highest level that this build knows. */
  private readonly knows: number
  private lookAt: Millis = Number.NEGATIVE_INFINITY
  /** From then on whoever could tell has told, and who is still waited for is worth a line. */
  private complainAt: Millis = Number.POSITIVE_INFINITY
  private complaint = ''

  constructor(knows: number) {
    this.knows = knows
  }

  /** This process became leader. */
  begin(now: Millis): void {
    this.lookAt = Number.NEGATIVE_INFINITY
    this.complainAt = now + leaseExpiryMs()
    this.complaint = ''
  }

  /**
   * The raise that is to be proposed now, or undefined. Looks at what was told once a renewal, and never once the level is the
   * highest that this build knows. Not while a registration is on its way: it may be that of a node which knows less.
   */
  due(ctx: Context, state: MapState, members: Members, leases: Leases, pending: PendingResponses): Raise | undefined {
    if (state.featureLevel >= this.knows || ctx.now < this.lookAt) return undefined
    if (pending.has('register') || pending.has('raise-feature-level')) return undefined
    this.lookAt = ctx.now + TIMERS.renewMs
    const { level, waitsFor } = knownToAll(state, members, (store) => leases.get(store), this.knows)
    if (level > state.featureLevel) return { do: 'raise-feature-level', level }
    if (ctx.now >= this.complainAt) this.complain(ctx, state, waitsFor)
    return undefined
  }

  private complain(ctx: Context, state: MapState, waitsFor: readonly WaitedFor[]): void {
    const nodes = waitsFor.map(({ store, level }) => {
      const name = state.nodes.get(store)?.name ?? store
      return level === undefined ? `${name} (down)` : `${name} (knows ${level})`
    })
    const complaint = nodes.join(', ')
    if (complaint === this.complaint) return
    this.complaint = complaint
    ctx.event('info', 'feature-level-waits', {
      featureLevel: state.featureLevel,
      known: this.knows,
      waitsFor: complaint,
    })
  }
}
