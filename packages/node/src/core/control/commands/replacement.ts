import type { ExtentId, ExtentRecord, StoreId } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord } from '../map/index.ts'
import type { Steps } from './command-result.ts'
import { placeable, Spares } from './placement.ts'

/**
 * What follows from every command: stores that were declared lost give their places to others as soon as there are any, and
 * stores that no extent names any more leave the map.
 */
export function* tidyUp(state: MapState, command: Command): Steps {
  if (state.gone.size > 0 && 'live' in command) yield* replaceGone(state, command)
  for (const store of [...state.gone, ...state.successors.keys()])
    if (isForgotten(state, store)) state.removeNode(store)
}

/**
 * Each place of a store that is gone, where it does not count any more, goes to the store that holds the fewest replicas, of
 * those that have room for one.
 */
function* replaceGone(state: MapState, command: Extract<Command, { live: readonly StoreId[] }>): Steps {
  const live = command.do === 'register' ? [...command.live, command.store] : command.live
  const stores = placeable(state, { ...command, live: [...new Set(live)] }).map((node) => node.store)
  if (stores.length === 0) return
  const spares = new Spares(state, stores)
  for (const store of state.gone)
    for (const id of state.assignedTo(store)) {
      replacePlace(state, id, store, spares)
      yield
    }
}

function replacePlace(state: MapState, id: ExtentId, store: StoreId, spares: Spares): void {
  const record = state.extents.get(id) as ExtentRecord
  if (record.inSync.includes(store) || record.eligible.includes(store)) return
  const spare = spares.find(record)
  if (spare === undefined) return
  const assigned = record.assigned.map((place) => (place === store ? spare : place))
  spares.moved(record, putExtentRecord(state, { ...record, assigned }))
}

/** Its place is taken or given up, and neither an extent, nor the log, nor another store's succession names it. */
function isForgotten(state: MapState, store: StoreId): boolean {
  const node = state.nodes.get(store)
  if (node === undefined || node.state !== 'down' || state.assignedCount(store) > 0) return false
  if (state.voters.some((voter) => voter.store === store)) return false
  for (const successor of state.successors.values()) if (successor === store) return false
  return true
}
