import type { StoreId, Voter } from '@ashlar/proto'
import type { Context } from '../../machine.ts'
import type { ControlLog } from '../log/index.ts'
import type { MapState } from '../map/index.ts'

/**
 * Lets the nodes vote again that did before a recovery, until there are as many voters as then (A2.18-7): the store of a
 * former voter, or the one at its address. Each is a learner first. Where the number of voters is odd, one more would
 * only be another node whose loss stops control: there a learner becomes a voter when a second one can follow.
 * `isHere`: the store renewed with this leader.
 */
export function restoreVoters(
  ctx: Context,
  log: ControlLog,
  state: MapState,
  isHere: (store: StoreId) => boolean,
): void {
  const { voters, learners } = log.members
  if (!log.leads || voters.length >= state.formerVoters.length) return
  const returned = new Set(state.formerVoters.flatMap((former) => storeOf(state, former, isHere) ?? []))
  for (const { store } of voters) returned.delete(store)
  const learns = (store: StoreId) => learners.some((learner) => learner.store === store)
  const ready = [...returned].filter(learns)
  const next = [...returned].find((store) => !learns(store))
  const address = next === undefined ? undefined : state.nodes.get(next)?.address
  if (next !== undefined && address !== undefined)
    log.changeMembers(ctx, { do: 'add-learner', member: { store: next, address } })
  else if (ready.length >= (voters.length % 2 === 0 ? 1 : 2)) promoteOne(ctx, log, ready)
}

/** Refused during another change, or before the learner has caught up: retried later. */
function promoteOne(ctx: Context, log: ControlLog, ready: readonly StoreId[]): void {
  for (const store of ready) if ('proposal' in log.changeMembers(ctx, { do: 'promote', store })) return
}

function storeOf(state: MapState, former: Voter, isHere: (store: StoreId) => boolean): StoreId | undefined {
  if (isHere(former.store)) return former.store
  for (const { store, address } of state.nodes.values()) if (address === former.address && isHere(store)) return store
  return undefined
}
