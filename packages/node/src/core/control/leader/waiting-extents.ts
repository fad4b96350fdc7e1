import { type ExtentId, type ExtentRecord, isMissing, type StoreId } from '@ashlar/proto'
import {
  canBeReconciled,
  choosePrimary,
  gaveUp,
  isTrusted,
  type Live,
  primaryStands,
  suspectsLeft,
} from '../commands/index.ts'
import { type MapState, without } from '../map/index.ts'

/** An extent without a primary that can serve, and why (A2.10). */
export interface WaitingExtent {
  readonly extent: ExtentId
  /** One sentence for users. */
  readonly reason: string
  /** Stores of which one (with `all`: every one) must return. */
  readonly waitsFor: readonly StoreId[]
  readonly all: boolean
}

/** Extents whose primary cannot serve, by the map. */
export function extentsWithoutPrimary(state: MapState): ExtentRecord[] {
  return [...state.extents.values()].filter((record) => !primaryStands(state, record))
}

/** Most extents of one `promote` entry. */
const PROMOTE_EXTENTS = 4096

/** Waiting extents that a live store may take over, as many as one entry may name; `more`: there are others. */
export function promotable(
  state: MapState,
  live: Live,
): { readonly extents: readonly { readonly extent: ExtentId; readonly revision: number }[]; readonly more: boolean } {
  const waiting = extentsWithoutPrimary(state).filter((record) => canBePromoted(state, record, live))
  const extents = waiting.slice(0, PROMOTE_EXTENTS).map(({ id, revision }) => ({ extent: id, revision }))
  return { extents, more: waiting.length > extents.length }
}

function canBePromoted(state: MapState, record: ExtentRecord, live: Live): boolean {
  const others = without(record.inSync, record.primary.store)
  return (
    (choosePrimary(state, others, live) ?? choosePrimary(state, record.eligible, live)) !== undefined ||
    canBeReconciled(state, record, live)
  )
}

/** Why the extent has no primary that serves, and which stores could. */
export function explainWaiting(state: MapState, record: ExtentRecord): WaitingExtent {
  const holders = [...record.inSync, ...record.eligible]
  const trusted = holders.filter((store) => isTrusted(state, store))
  const names = (stores: readonly StoreId[]) => stores.map((store) => nameOf(state, store)).join(', ')
  if (isMissing(record))
    return {
      extent: record.id,
      reason: 'none of its stores was among the directories that the cluster was recovered from: force a primary',
      waitsFor: [],
      all: false,
    }
  if (gaveUp(record))
    return {
      extent: record.id,
      reason: `${nameOf(state, record.primary.store)} lost acknowledged writes that another replica has evidence of, and no other store holds all of them: force a primary`,
      waitsFor: [],
      all: false,
    }
  const suspects = suspectsLeft(state, record)
  if (suspects !== undefined)
    return {
      extent: record.id,
      reason: `only suspect stores hold every acknowledged write: all of ${names(suspects)} must be up to be reconciled`,
      waitsFor: suspects,
      all: true,
    }
  return {
    extent: record.id,
    reason: `no store that holds every acknowledged write is live: waits for one of ${names(trusted)}`,
    waitsFor: trusted,
    all: false,
  }
}

/** Names a store; the id stands first where another store has its name now. */
function nameOf(state: MapState, store: StoreId): string {
  const name = state.nodes.get(store)?.name
  if (name === undefined) return store
  if (state.gone.has(store)) return `${name} (declared permanently lost)`
  return state.successors.has(store) ? `${store} (${name} before another store took its place)` : name
}
