import type { StoreId, Voter } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { ControlLog } from '../log/index.ts'
import { latestSuccessor, type MapState } from '../map/index.ts'

/**
 * A voter whose directory is gone came back as a new store, which took over its name or address (amendment 15): the new
 * store takes its place among the voters, or the next loss would be one too many. One step at a time: it learns the log,
 * votes once it has caught up, and the old one leaves. `isHere`: its lease is renewed with this leader.
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
    // Refused while another change is on its way, or while the learner has not caught up: it is tried again.
    if (votes) log.changeMembers(ctx, { do: 'remove', store: gone })
    else if (learns) log.changeMembers(ctx, { do: 'promote', store })
    else log.changeMembers(ctx, { do: 'add-learner', member: { store, address: node.address } })
    return
  }
}

/**
 * The store that answers where a voter is to be found that founded the cluster and was gone before it ever registered: of
 * that one the map knows nothing, so that nobody took over from it.
 */
function tenantOf(state: MapState, { store, address }: Voter): StoreId | undefined {
  if (state.nodes.has(store)) return undefined
  for (const node of state.nodes.values()) if (node.address === address && node.state !== 'down') return node.store
  return undefined
}
