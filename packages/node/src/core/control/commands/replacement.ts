import { countsIn, type ExtentId, type ExtentRecord, type StoreId } from '@ashlar/proto'
import type { Command } from '../log/index.ts'
import { type MapState, putExtentRecord } from '../map/index.ts'
import type { Steps } from './command-result.ts'
import { placeable, Spares } from './placement.ts'

/**
 * Ends every command: assignments of removed stores go to other stores once there are any, and a store that no extent
 * names leaves the map.
 */
export function* tidyUp(state: MapState, command: Command): Steps {
  if (state.gone.size > 0 && 'live' in command) yield* replaceRemoved(state, command)
  for (const store of [...state.gone, ...state.successors.keys()])
    if (isForgotten(state, store)) state.removeNode(store)
}

/**
 * Gives each assignment of a removed store that is neither in sync nor eligible there to the store with the fewest
 * replicas, of those with enough space.
 */
function* replaceRemoved(state: MapState, command: Extract<Command, { live: readonly StoreId[] }>): Steps {
  const live = command.do === 'register' ? [...command.live, command.store] : command.live
  const stores = placeable(state, { ...command, live: [...new Set(live)] }).map((node) => node.store)
  if (stores.length === 0) return
  const spares = new Spares(state, stores)
  for (const store of state.gone)
    for (const id of state.assignedTo(store)) {
      reassign(state, id, store, spares)
      yield
    }
}

function reassign(state: MapState, id: ExtentId, store: StoreId, spares: Spares): void {
  const record = state.extents.get(id) as ExtentRecord
  if (countsIn(record, store)) return
  const spare = spares.find(record)
  if (spare === undefined) return
  const assigned = record.assigned.map((assigned) => (assigned === store ? spare : assigned))
  spares.moved(record, putExtentRecord(state, { ...record, assigned }))
}

/** True when no extent, no voter and no succession names the store, which is down. */
function isForgotten(state: MapState, store: StoreId): boolean {
  const node = state.nodes.get(store)
  if (node === undefined || node.state !== 'down' || state.assignedCount(store) > 0) return false
  if (state.voters.some((voter) => voter.store === store)) return false
  for (const successor of state.successors.values()) if (successor === store) return false
  return true
}
