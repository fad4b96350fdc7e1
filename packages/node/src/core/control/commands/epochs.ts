import type { Epoch, ExtentId, ExtentRecord, StoreId } from '@ashlar/proto'
import { epochOf, invariant, NO_INCARNATION } from '@ashlar/proto'
import { type MapState, putExtentRecord, replaceInSync, type Sets, volumeOfExtent, without } from '../map/index.ts'

/**
 * Chooses primaries, and is the only place that raises an epoch (amendment 7). A function raises the epoch if and only
 * if it names a primary.
 *
 * Rules: CTL-2, amendments 2, 11, 14 and 15.
 */

/** Why the primary of an extent is to be replaced. */
export type Reason =
  /** Its lease ran out: it leaves the in-sync set if another member can serve. */
  | 'lease-over'
  /** It released the extent: it stays in sync, and continues if no other store can serve. */
  | 'released'
  /**
   * It released the extent because its disk hangs or it reaches no replica: it leaves a set that stays at minInSync.
   */
  | 'slow'
  /**
   * It returned as a new incarnation with its data: it stays in sync, and is named again if no other store can serve.
   */
  | 'restarted'
  /** It is suspect: it leaves every set that has another trusted member. */
  | 'suspect'

/** Stores that may become primary: they hold a live lease, or register by this entry. */
export type Live = ReadonlySet<StoreId>

/** First epoch of a new extent. */
export function firstEpoch(state: MapState): Epoch {
  return epochOf(state.clusterGeneration, 1)
}

/**
 * True when, by the map, the incarnation that the record names can still serve the epoch. A suspect store serves only
 * by forced promotion, or to reconcile an extent of suspect stores.
 */
export function primaryStands(
  state: Pick<MapState, 'nodes' | 'forced'>,
  { id, epoch, primary }: ExtentRecord,
): boolean {
  const node = state.nodes.get(primary.store)
  return (
    node !== undefined &&
    node.state !== 'down' &&
    (node.trust === 'trusted' || state.forced.get(id)?.epoch === epoch) &&
    node.incarnation.counter === primary.counter
  )
}

/**
 * The primary lost committed data and released the extent while no other store could serve (A2.8-4): no incarnation
 * leads it.
 */
export function gaveUp({ primary }: ExtentRecord): boolean {
  return primary.counter === NO_INCARNATION
}

/** Why a primary that cannot serve is replaced, by the state of its store. */
export function reasonToReplace(state: MapState, record: ExtentRecord): Reason {
  return countsOn(state, record.primary.store) && !gaveUp(record) ? 'lease-over' : 'suspect'
}

/**
 * The primary lost committed data, and no other store can serve. It stays assigned, since its copy is better than none,
 * but no incarnation of it leads until a better store returns or an operator forces a promotion.
 */
export function leaveWithoutPrimary(state: MapState, id: ExtentId): void {
  const record = state.extents.get(id)
  if (record === undefined) return
  namePrimary(state, record, record.primary.store, record, NO_INCARNATION)
}

/**
 * Replaces the primary of one extent and returns true if another store may take over. Otherwise the record stays
 * (CTL-3: also with a last member that is dead) and the extent waits.
 */
export function replacePrimary(state: MapState, id: ExtentId, reason: Reason, live: Live): boolean {
  const record = state.extents.get(id)
  if (record === undefined) return false
  const old = record.primary.store
  const minInSync = volumeOfExtent(state, record).minInSync
  const successor = choosePrimary(state, without(record.inSync, old), live)
  if (successor !== undefined) {
    namePrimary(state, record, successor, setsWithoutOld(record, reason, minInSync))
    return true
  }
  if (reason === 'released' || reason === 'slow') return false
  if (reason === 'restarted' && mayLead(state, old, live)) {
    namePrimary(state, record, old, record)
    return true
  }
  return (
    promoteEligible(state, record, reason, minInSync, live) ||
    (reason === 'suspect' && (leaveToTrusted(state, record, minInSync) || reconcileSuspects(state, record, live)))
  )
}

function setsWithoutOld(record: ExtentRecord, reason: Reason, minInSync: number): Sets {
  const old = record.primary.store
  switch (reason) {
    case 'released':
    case 'restarted':
      return record
    case 'slow':
      return record.inSync.length > minInSync ? replaceInSync(record, without(record.inSync, old), minInSync) : record
    case 'lease-over':
      return replaceInSync(record, without(record.inSync, old), minInSync)
    case 'suspect':
      return replaceInSync(record, without(record.inSync, old), minInSync, [old])
  }
}

/**
 * Amendment 2: when no in-sync member can serve, an eligible store may take over. Eligible stores exist only below
 * minInSync, where nothing is acknowledged, so they hold every acknowledged write.
 */
function promoteEligible(
  state: MapState,
  record: ExtentRecord,
  reason: Reason,
  minInSync: number,
  live: Live,
): boolean {
  const chosen = choosePrimary(state, record.eligible, live)
  if (chosen === undefined) return false
  const forget = reason === 'suspect' ? [record.primary.store] : []
  namePrimary(state, record, chosen, replaceInSync(record, [chosen], minInSync, forget))
  return true
}

/**
 * Amendment 11: a suspect store leaves every set that has another trusted member, even one that is down: the extent
 * then waits for that member instead of being served by a suspect store. A suspect store also yields to an eligible
 * one, which holds every acknowledged write (CTL-2); a store that lost data stays until one of them can serve.
 */
function leaveToTrusted(state: MapState, record: ExtentRecord, minInSync: number): boolean {
  const old = record.primary.store
  const inSync = fewestLed(state, without(record.inSync, old), countsOn)
  if (inSync !== undefined) {
    namePrimary(state, record, inSync, setsWithoutOld(record, 'suspect', minInSync))
    return true
  }
  const kept = isTrusted(state, old) ? undefined : fewestLed(state, record.eligible, countsOn)
  if (kept === undefined) return false
  namePrimary(state, record, kept, replaceInSync(record, [kept], minInSync, record.inSync))
  return true
}

/**
 * The suspect stores to reconcile when an extent has no others left (A2.17-3): members, and stores that were taken out
 * as suspect, since each may hold what the others lost. Undefined while a trusted store counts, even if it is down, and
 * where the last primary released the extent after it lost data (A2.8-4). Removed stores are excluded.
 */
export function suspectsLeft(
  state: { readonly nodes: MapState['nodes']; readonly gone: ReadonlySet<StoreId> },
  record: ExtentRecord,
): readonly StoreId[] | undefined {
  const members = [...record.inSync, ...record.eligible].filter((store) => !state.gone.has(store))
  if (gaveUp(record) || members.length === 0 || members.some((store) => isTrusted(state, store))) return undefined
  const isLeft = (store: StoreId) => members.includes(store) || state.nodes.get(store)?.trust === 'suspect'
  return record.assigned.filter((store) => !state.gone.has(store) && isLeft(store))
}

/** True when the extent has only suspect stores left and all of them are present. */
export function canBeReconciled(state: MapState, record: ExtentRecord, live: Live): boolean {
  return suspectsLeft(state, record)?.every((store) => isPresent(state, store, live)) === true
}

/**
 * Amendment 11: names a suspect member that reconciles what all suspect stores hold, and serves the result. A write may
 * have been lost by all of them, so a new timeline begins as with a forced promotion.
 */
export function reconcileSuspects(state: MapState, record: ExtentRecord, live: Live): boolean {
  if (primaryStands(state, record) || !canBeReconciled(state, record, live)) return false
  const isHere = (_: MapState, store: StoreId) => isPresent(state, store, live)
  const member = fewestLed(state, record.inSync, isHere)
  const store = member ?? fewestLed(state, record.eligible, isHere)
  if (store === undefined) return false
  const { minInSync } = volumeOfExtent(state, record)
  const sets = member === undefined ? replaceInSync(record, [store], minInSync) : record
  const { epoch } = namePrimary(state, record, store, sets)
  state.putForced({ extent: record.id, epoch, store, acknowledged: false, merged: true })
  return true
}

/** Forced promotion by an operator (A2.10-2): this store alone is in sync, whatever other members hold. */
export function forcePrimary(state: MapState, record: ExtentRecord, store: StoreId): void {
  namePrimary(state, record, store, { inSync: [store], eligible: [] })
}

/** The live trusted member that leads the fewest extents; ties by store id. */
export function choosePrimary(state: MapState, members: readonly StoreId[], live: Live): StoreId | undefined {
  return fewestLed(state, members, (_, store) => mayLead(state, store, live))
}

/** The matching member that leads the fewest extents; ties by store id. */
function fewestLed(
  state: MapState,
  members: readonly StoreId[],
  fits: (state: MapState, store: StoreId) => boolean,
): StoreId | undefined {
  let best: StoreId | undefined
  let bestCount = 0
  for (const store of members) {
    if (!fits(state, store)) continue
    const count = state.ledCount(store)
    if (best === undefined || count < bestCount || (count === bestCount && store < best)) {
      best = store
      bestCount = count
    }
  }
  return best
}

function mayLead(state: MapState, store: StoreId, live: Live): boolean {
  return isTrusted(state, store) && isPresent(state, store, live)
}

/** Live and reachable: a store whose address was taken over cannot be reached. */
function isPresent(state: MapState, store: StoreId, live: Live): boolean {
  const node = state.nodes.get(store)
  return node !== undefined && node.state !== 'down' && node.address !== '' && live.has(store)
}

/** True when the store is trusted, not superseded and not removed (amendments 11 and 15). */
export function countsOn(state: MapState, store: StoreId): boolean {
  return isTrusted(state, store) && !state.successors.has(store) && !state.gone.has(store)
}

/** True when the store is not suspect (A2.17-2). */
export function isTrusted(state: Pick<MapState, 'nodes'>, store: StoreId): boolean {
  return state.nodes.get(store)?.trust === 'trusted'
}

/**
 * Names the same primary in an epoch above one that a store promised and this map never named (amendment 35). The mark
 * of a forced promotion or reconciliation moves along, since a suspect primary leads only by that mark.
 */
export function nameAbove(state: MapState, id: ExtentId, promised: Epoch): void {
  const record = state.extents.get(id)
  if (record === undefined) return
  const { epoch } = namePrimary(state, { ...record, epoch: promised }, record.primary.store, record)
  const mark = state.forced.get(id)
  if (mark?.epoch === record.epoch) state.putForced({ ...mark, epoch })
}

/**
 * Names a primary: the only statement that raises an epoch. `counter`: NO_INCARNATION where none may lead the epoch.
 */
function namePrimary(
  state: MapState,
  record: ExtentRecord,
  store: StoreId,
  sets: Sets,
  counter?: typeof NO_INCARNATION,
): ExtentRecord {
  const node = state.nodes.get(store)
  invariant(node !== undefined, `store ${store} was chosen as primary and never registered`)
  return putExtentRecord(state, {
    id: record.id,
    epoch: (record.epoch + 1) as Epoch,
    primary: { store, counter: counter ?? node.incarnation.counter },
    inSync: sets.inSync,
    eligible: sets.eligible,
    assigned: record.assigned,
  })
}
