import { countsIn, type ExtentRecord, type Renew, type StoreId } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import type { MapState } from '../map/index.ts'
import { replaceEarlierIncarnation, serveWaiting } from './apply-nodes.ts'
import { type CommandResult, done, type Steps } from './command-result.ts'
import type { Live } from './epochs.ts'

/**
 * A store that compared all its suspect replicas is trusted again, in the incarnation that registered as suspect
 * (A2.17-4): after a restart it would register as trusted.
 */

type ClearSuspicion = Extract<Command, { do: 'clear-suspicion' }>

/** The command that a renewal which says `cleared` calls for; undefined where it would change nothing. */
export function clearSuspicion(
  state: MapState,
  { store, counter }: Pick<Renew, 'store' | 'counter'>,
  live: () => readonly StoreId[],
): ClearSuspicion | undefined {
  if (!mayBeCleared(state, { store, counter })) return undefined
  return { do: 'clear-suspicion', store, counter, live: live() }
}

/**
 * The store is suspect in this very incarnation, by its own finding alone, and no other store took over its address.
 */
function mayBeCleared(state: MapState, { store, counter }: Pick<ClearSuspicion, 'store' | 'counter'>): boolean {
  const node = state.nodes.get(store)
  if (node?.trust !== 'suspect' || node.incarnation.counter !== counter) return false
  if (node.state === 'down' || node.address === '') return false
  // The store does not know of a copy of its directory: its list says nothing about that suspicion (A2.0-3).
  if (state.copied.has(store)) return false
  // A trusted store that is no member is not asked when suspect ones reconcile an extent (A2.17-3), though it may hold
  // what they lost. So each of its extents takes the store in first.
  return state.assignedTo(store).every((id) => countsIn(state.extents.get(id) as ExtentRecord, store))
}

/** As if it had registered as trusted: it leads where an earlier incarnation led, and serves extents that wait. */
export function* applyClearSuspicion(state: MapState, command: ClearSuspicion): Steps<CommandResult> {
  const { store, counter } = command
  const node = state.nodes.get(store)
  if (node === undefined || !mayBeCleared(state, command)) return done()
  state.putNode({ ...node, trust: 'trusted' })
  const live: Live = new Set([...command.live, store])
  yield* replaceEarlierIncarnation(state, store, counter, live)
  yield* serveWaiting(state, store, live)
  return done()
}
