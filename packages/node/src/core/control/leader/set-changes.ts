import { type ChangeSets, type ExtentRecord, FEATURES, type SetChange, type StoreId } from '@ashlar/proto'
import type { Context, Link } from '../../machine.ts'
import { withoutComplete } from '../commands/index.ts'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { DeferredShrinks } from './deferred-shrinks.ts'
import type { Pending, PendingResponses, Requester } from './pending-proposals.ts'
import type { Responses } from './responses.ts'

interface LeaderPort {
  readonly leads: boolean
  readonly state: MapState
  readonly pending: PendingResponses
  readonly responses: Responses
  isHere(store: StoreId): boolean
  propose(ctx: Context, command: Command, pending: Pending): void
}

/**
 * Changes of in-sync sets that primaries request: proposed at once, or deferred while the stores that leave may return.
 */
export class SetChanges {
  private readonly leader: LeaderPort
  private readonly deferred = new DeferredShrinks()

  constructor(leader: LeaderPort) {
    this.leader = leader
  }

  onChangeSets(ctx: Context, link: Link, message: ChangeSets): void {
    const { leads, pending, state, isHere } = this.leader
    const { store, counter, changes } = message
    const requester = { link, request: message.request }
    if (!leads || pending.repeats('change-sets', store, requester)) return
    const now = changes.filter(
      (change) => !this.deferred.defer(state, { ...requester, store, counter, change }, ctx.now, isHere),
    )
    if (now.length > 0) this.propose(ctx, requester, store, counter, now)
  }

  onTick(ctx: Context): void {
    const { state, responses, isHere } = this.leader
    for (const { shrink, overtaken } of this.deferred.due(state, ctx.now, isHere)) {
      const { store, counter, change } = shrink
      const record = state.extents.get(change.extent)
      if (overtaken) responses.setsChanged(shrink, [{ extent: change.extent, code: 'CONFLICT', record }])
      else this.propose(ctx, shrink, store, counter, [change])
    }
  }

  takenOver(ctx: Context, record: ExtentRecord): void {
    this.deferred.takenOver(record, ctx.now, this.leader.isHere)
  }

  clear(): void {
    this.deferred.clear()
  }

  private propose(
    ctx: Context,
    requester: Requester,
    store: StoreId,
    counter: number,
    sets: readonly SetChange[],
  ): void {
    const { featureLevel } = this.leader.state
    const changes = featureLevel >= FEATURES.completeStores ? sets : sets.map(withoutComplete)
    this.leader.propose(ctx, { do: 'change-sets', store, counter, changes }, { kind: 'change-sets', store, requester })
  }
}
