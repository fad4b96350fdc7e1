import { leaseExpiryMs, type Millis, TIMERS } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import { knownToAll, type WaitedFor } from '../commands/index.ts'
import type { Command, Members } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import type { Leases } from './leases.ts'
import type { PendingResponses } from './pending-proposals.ts'

type Raise = Extract<Command, { do: 'raise-feature-level' }>

/**
 * Raises the feature level once every node supports it (A2.21-2). Reports are part of the leases: a new leader or a new
 * incarnation begins without them, and gets them with the next renewal.
 */
export class LevelRaise {
  /** Highest level that this build supports. */
  private readonly knows: number
  private lookAt: Millis = Number.NEGATIVE_INFINITY
  /** From then on nodes that have not reported are logged. */
  private logAt: Millis = Number.POSITIVE_INFINITY
  private logged = ''

  constructor(knows: number) {
    this.knows = knows
  }

  /** This process became leader. */
  begin(now: Millis): void {
    this.lookAt = Number.NEGATIVE_INFINITY
    this.logAt = now + leaseExpiryMs()
    this.logged = ''
  }

  /**
   * The raise to propose now, if any. Checked once for each renewal interval, until the level is the highest of this
   * build. Not while a registration is pending, since its node may support less.
   */
  due(ctx: Context, state: MapState, members: Members, leases: Leases, pending: PendingResponses): Raise | undefined {
    if (state.featureLevel >= this.knows || ctx.now < this.lookAt) return undefined
    if (pending.has('register') || pending.has('raise-feature-level')) return undefined
    this.lookAt = ctx.now + TIMERS.renewMs
    const { level, waitsFor } = knownToAll(state, members, (store) => leases.get(store), this.knows)
    if (level > state.featureLevel) return { do: 'raise-feature-level', level }
    if (ctx.now >= this.logAt) this.log(ctx, state, waitsFor)
    return undefined
  }

  private log(ctx: Context, state: MapState, waitsFor: readonly WaitedFor[]): void {
    const nodes = waitsFor.map(({ store, level }) => {
      const name = state.nodes.get(store)?.name ?? store
      return level === undefined ? `${name} (down)` : `${name} (supports ${level})`
    })
    const missing = nodes.join(', ')
    if (missing === this.logged) return
    this.logged = missing
    ctx.event('info', 'feature-level-waits', {
      featureLevel: state.featureLevel,
      known: this.knows,
      waitsFor: missing,
    })
  }
}
