import type { StoreId, Voter } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { ControlLog } from '../log/index.ts'
import { latestSuccessor, type MapState } from '../map/index.ts'

/**
 * Replaces a voter that lost its directory by the new store that took over its name or address (amendment 15), before a
 * second loss costs the majority. One step at a time: the new store becomes a learner, a voter once it has caught up,
 * and the old one leaves. `isHere`: the store renewed with this leader.
 */
export function repairVoters(
  ctx: Context,
  log: ControlLog,
  state: MapState,
  isHere: (store: StoreId) => boolean,
): void {
  if (!log.leads) return
  const { voters, learners } = log.members
  for (const voter of voters) {
    const { store: gone } = voter
    const store = latestSuccessor(state, gone) ?? tenantOf(state, voter)
    const node = store === undefined ? undefined : state.nodes.get(store)
    if (store === undefined || node === undefined || node.address === '' || !isHere(store)) continue
    const votes = voters.some((voter) => voter.store === store)
    const learns = learners.some((learner) => learner.store === store)
    // Refused during another change, or before the learner has caught up: retried later.
    if (votes) log.changeMembers(ctx, { do: 'remove', store: gone })
    else if (learns) log.changeMembers(ctx, { do: 'promote', store })
    else log.changeMembers(ctx, { do: 'add-learner', member: { store, address: node.address } })
    return
  }
}

/**
 * The store at the address of a voter that bootstrapped the cluster and never registered: such a voter is not in the
 * map and has no successor there.
 */
function tenantOf(state: MapState, { store, address }: Voter): StoreId | undefined {
  if (state.nodes.has(store)) return undefined
  for (const node of state.nodes.values()) if (node.address === address && node.state !== 'down') return node.store
  return undefined
}
