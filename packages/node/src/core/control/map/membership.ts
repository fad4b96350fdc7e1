import type { ExtentRecord, StoreId, VolumeRecord } from '@ashlar/proto'
import { countsIn, invariant, volumeOf } from '@ashlar/proto'
import type { MapState, Unstamped } from './map-state.ts'

/** The sets of an extent's record. */
export interface Sets {
  readonly inSync: readonly StoreId[]
  readonly eligible: readonly StoreId[]
}

/** The volume that an extent belongs to; it exists as long as the extent does. */
export function volumeOfExtent(state: MapState, extent: ExtentRecord): VolumeRecord {
  const volume = state.volumes.get(volumeOf(extent.id))
  invariant(volume !== undefined, `extent ${extent.id} has no volume`)
  return volume
}

/**
 * The sets after `inSync` replaced the old in-sync set (CTL-5). Below minInSync nothing is acknowledged without the
 * stores that left, so they stay eligible; at minInSync and above there are no eligible stores. `forget`: suspect
 * stores, never eligible.
 */
export function replaceInSync(
  before: Sets,
  inSync: readonly StoreId[],
  minInSync: number,
  forget: readonly StoreId[] = [],
): Sets {
  invariant(inSync.length > 0, 'an in-sync set was about to be emptied (CTL-3)')
  if (inSync.length >= minInSync) return { inSync, eligible: [] }
  const kept = new Set([...before.eligible, ...before.inSync])
  for (const store of [...inSync, ...forget]) kept.delete(store)
  return { inSync, eligible: [...kept] }
}

/** `set` without `store`. */
export function without(set: readonly StoreId[], store: StoreId): StoreId[] {
  return set.filter((member) => member !== store)
}

/** Writes a changed record: sets are in the order of assignment, and successors take over assignments. */
export function putExtentRecord(state: MapState, record: Omit<Unstamped<ExtentRecord>, 'revision'>): ExtentRecord {
  const { id, epoch, primary } = record
  const assigned = withSuccessors(state, record)
  const inSync = inOrderOf(assigned, record.inSync)
  const eligible = inOrderOf(assigned, record.eligible)
  invariant(inSync.length === record.inSync.length, `extent ${id}: inSync is not within assigned`)
  invariant(inSync.includes(primary.store), `extent ${id}: the primary is not in sync`)
  const revision = (state.extents.get(id)?.revision ?? 0) + 1
  return state.putExtent({ id, revision, epoch, primary, inSync, eligible, assigned })
}

/**
 * Members of `set` in the order of `order`. Returns `set` itself where it is so already: records share what they can.
 */
function inOrderOf(order: readonly StoreId[], set: readonly StoreId[]): readonly StoreId[] {
  if (set === order || set.length === 0) return set
  let at = -1
  for (const store of set) {
    const place = order.indexOf(store, at + 1)
    if (place < 0) return order.filter((member) => set.includes(member))
    at = place
  }
  return set
}

/**
 * Amendment 15: a new store takes over the assignments of the one whose name or address it took over, in every extent
 * where the old one is neither in sync nor eligible.
 */
function withSuccessors(state: MapState, record: Omit<Unstamped<ExtentRecord>, 'revision'>): readonly StoreId[] {
  if (state.successors.size === 0) return record.assigned
  const assigned = [...record.assigned]
  for (const [place, store] of record.assigned.entries()) {
    if (countsIn(record, store)) continue
    const successor = latestSuccessor(state, store)
    if (successor !== undefined && !assigned.includes(successor)) assigned[place] = successor
  }
  return assigned
}

/** The last store in the chain of successors; undefined without a successor. */
export function latestSuccessor(state: MapState, store: StoreId): StoreId | undefined {
  let successor = state.successors.get(store)
  for (let next = successor; next !== undefined; next = state.successors.get(next)) successor = next
  return successor
}
