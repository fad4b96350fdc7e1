import type { Epoch, ExtentId, ExtentRecord, StoreId } from '@ashlar/proto'
import { epochOf, invariant, NO_INCARNATION } from '@ashlar/proto'
import { type MapState, putExtentRecord, replaceInSync, type Sets, volumeOfExtent, without } from '../map/index.ts'

/**
 * Who becomes primary, and the only place where an epoch is raised (amendment 7). Every function here names at most one
 * primary and raises the epoch exactly when it does.
 *
 * Rules: CTL-2, amendments 2, 11, 14 and 15.
 */

/** Why the primary of an extent is to be replaced. */
export type Reason =
  /** Its lease ran out by control's count: it leaves the in-sync set if another member can serve. */
  | 'lease-over'
  /** It said that it no longer serves this epoch: it stays in sync, and goes on if nobody else can serve. */
  | 'released'
  /** It said so because its disk hangs or it reaches no replica: it leaves the set where that stays at minInSync. */
  | 'slow'
  /** It came back as a new incarnation over the same data: it stays in sync, and is named again if nobody else can serve. */
  | 'restarted'
  /** What it holds is in doubt: it leaves every set that has another trusted member. */
  | 'doubtful'

/** Stores that may be named primary now: they hold a live lease, or are registering in this very entry. */
export type Live = ReadonlySet<StoreId>

/** First epoch of a new extent. */
export function firstEpoch(state: MapState): Epoch {
  return epochOf(state.clusterGeneration, 1)
}

/**
 * True when the record names a life of a store that can still serve the epoch, as far as the map tells. A suspect store
 * serves only where a person named it, or where it merges what suspect stores hold.
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

/** The primary lost committed data and gave the extent up while nobody else could serve (A2.8-4): no life leads it. */
export function gaveUp({ primary }: ExtentRecord): boolean {
  return primary.counter === NO_INCARNATION
}

/** Why a primary that no longer stands is replaced: by what is known of its store. */
export function reasonToReplace(state: MapState, record: ExtentRecord): Reason {
  return countsOn(state, record.primary.store) && !gaveUp(record) ? 'lease-over' : 'doubtful'
}

/**
 * The primary lost committed data, and nobody else can serve: it keeps its place, since it holds more than nothing, and
 * leads no more, in any life of it. A better one that comes, or a person, ends that.
 */
export function leaveWithoutPrimary(state: MapState, id: ExtentId): void {
  const record = state.extents.get(id)
  if (record === undefined) return
  namePrimary(state, record, record.primary.store, record, NO_INCARNATION)
}

/**
 * Replaces the primary of one extent if somebody may take over, and says whether somebody did. Otherwise the record stays
 * as it is (CTL-3: the last member stays although it is dead) and the extent waits.
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
    (reason === 'doubtful' && (leaveToTrusted(state, record, minInSync) || mergeSuspects(state, record, live)))
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
    case 'doubtful':
      return replaceInSync(record, without(record.inSync, old), minInSync, [old])
  }
}

/**
 * Amendment 2: when no member in sync can serve, a store that was kept holds every acknowledged write and may take over.
 * Eligible stores exist only below minInSync, so that nothing was acknowledged since they were kept.
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
  const forget = reason === 'doubtful' ? [record.primary.store] : []
  namePrimary(state, record, chosen, replaceInSync(record, [chosen], minInSync, forget))
  return true
}

/**
 * Amendment 11: a store in doubt leaves every set that has another trusted member, also when that member is not here. The
 * extent then waits for a store that may be believed, instead of being served by one that may not. A suspect store makes way
 * for one that was kept too, which holds every acknowledged write (CTL-2); one that only lost data waits for any of them.
 */
function leaveToTrusted(state: MapState, record: ExtentRecord, minInSync: number): boolean {
  const old = record.primary.store
  const inSync = fewestLed(state, without(record.inSync, old), countsOn)
  if (inSync !== undefined) {
    namePrimary(state, record, inSync, setsWithoutOld(record, 'doubtful', minInSync))
    return true
  }
  const kept = isTrusted(state, old) ? undefined : fewestLed(state, record.eligible, countsOn)
  if (kept === undefined) return false
  namePrimary(state, record, kept, replaceInSync(record, [kept], minInSync, record.inSync))
  return true
}

/**
 * Stores whose copies make up an extent of which only suspect ones are left (A2.17-3): those that count, and those that
 * were taken out because they are suspect, each of which may hold what all others dropped. Undefined where a store that is
 * believed counts, also when it is away, and where the last one gave the extent up (A2.8-4). Who was given up for good is not left.
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

/** True when only suspect stores are left of the extent and all of them are present. */
export function canBeMerged(state: MapState, record: ExtentRecord, live: Live): boolean {
  return suspectsLeft(state, record)?.every((store) => isPresent(state, store, live)) === true
}

/**
 * Amendment 11: one of the suspect stores that count is to merge what all of them hold, and serves what comes of it. The extent
 * is marked: the same write may have been lost by all of them, so that it begins another history as by a forced promotion.
 */
export function mergeSuspects(state: MapState, record: ExtentRecord, live: Live): boolean {
  if (primaryStands(state, record) || !canBeMerged(state, record, live)) return false
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

/** Unclean promotion by a person (A2.10-2): the store alone is in sync, whatever the members before it hold. */
export function forcePrimary(state: MapState, record: ExtentRecord, store: StoreId): void {
  namePrimary(state, record, store, { inSync: [store], eligible: [] })
}

/** The live trusted member with the fewest extents to lead; ties by store id. Undefined when there is none. */
export function choosePrimary(state: MapState, members: readonly StoreId[], live: Live): StoreId | undefined {
  return fewestLed(state, members, (_, store) => mayLead(state, store, live))
}

/** Of the members that fit the one with the fewest extents to lead; ties by store id. */
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

/** Live and reachable: a store whose address was taken over could serve nobody. */
function isPresent(state: MapState, store: StoreId, live: Live): boolean {
  const node = state.nodes.get(store)
  return node !== undefined && node.state !== 'down' && node.address !== '' && live.has(store)
}

/** True when control believes what this store holds, nobody took over its place and nobody gave it up (amendments 11 and 15). */
export function countsOn(state: MapState, store: StoreId): boolean {
  return isTrusted(state, store) && !state.successors.has(store) && !state.gone.has(store)
}

/** True when control believes what this store holds (A2.17-2). */
export function isTrusted(state: Pick<MapState, 'nodes'>, store: StoreId): boolean {
  return state.nodes.get(store)?.trust === 'trusted'
}

/**
 * The primary of an extent once more, in an epoch above one that some store promised and this map never named (amendment 35). A
 * mark of the old epoch goes with it: a suspect primary leads, and merges, by nothing else.
 */
export function nameAbove(state: MapState, id: ExtentId, promised: Epoch): void {
  const record = state.extents.get(id)
  if (record === undefined) return
  const { epoch } = namePrimary(state, { ...record, epoch: promised }, record.primary.store, record)
  const mark = state.forced.get(id)
  if (mark?.epoch === record.epoch) state.putForced({ ...mark, epoch })
}

/** Names a primary: the one statement that raises an epoch. `life`: NO_INCARNATION where that epoch is led by nobody. */
function namePrimary(
  state: MapState,
  record: ExtentRecord,
  store: StoreId,
  sets: Sets,
  life?: typeof NO_INCARNATION,
): ExtentRecord {
  const node = state.nodes.get(store)
  invariant(node !== undefined, `a primary was chosen that never registered: ${store}`)
  return putExtentRecord(state, {
    id: record.id,
    epoch: (record.epoch + 1) as Epoch,
    primary: { store, counter: life ?? node.incarnation.counter },
    inSync: sets.inSync,
    eligible: sets.eligible,
    assigned: record.assigned,
  })
}
