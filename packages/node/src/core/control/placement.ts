import type { ExtentId, ExtentRecord, NodeRecord, StoreId } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type { MapState } from './map-state.ts'

/** Where the replicas of one new extent go, its first primary apart. */
export interface Place {
  readonly assigned: readonly StoreId[]
  readonly primary: StoreId
}

/** Stores that may get new replicas: live, up, trusted, and reachable at an address of their own. */
export function placeable(state: MapState, live: readonly StoreId[]): NodeRecord[] {
  return live
    .map((store) => state.nodes.get(store))
    .filter((node): node is NodeRecord => node?.state === 'up' && node.trust === 'trusted' && node.address !== '')
}

/**
 * Places extents over stores: each extent on the `replicas` stores that hold the fewest replicas, its primary the one of
 * them that leads the fewest. Ties are broken by a hash of extent and store, so that the partners of one store are spread
 * over all others and many sources take part when it is rebuilt. Deterministic in its arguments.
 */
export function placeExtents(
  state: MapState,
  extents: readonly ExtentId[],
  nodes: readonly NodeRecord[],
  replicas: number,
): Place[] {
  invariant(nodes.length >= replicas, 'more replicas were asked for than stores can hold')
  const held = new Map(nodes.map((node) => [node.store, state.assignedCount(node.store)]))
  const led = new Map(nodes.map((node) => [node.store, state.ledCount(node.store)]))
  return extents.map((extent) => {
    const score = new Map(nodes.map((node) => [node.store, hash(`${extent}/${node.store}`)]))
    const byLoad = (load: Map<StoreId, number>) => (a: StoreId, b: StoreId) =>
      count(load, a) - count(load, b) || count(score, a) - count(score, b) || (a < b ? -1 : 1)
    const assigned = nodes
      .map((node) => node.store)
      .sort(byLoad(held))
      .slice(0, replicas)
    const primary = [...assigned].sort(byLoad(led))[0] as StoreId
    for (const store of assigned) held.set(store, count(held, store) + 1)
    led.set(primary, count(led, primary) + 1)
    return { assigned, primary }
  })
}

/** The store that should get a replica of this extent beside those that have a place: the one that holds the fewest. */
export function spareFor(state: MapState, record: ExtentRecord, stores: readonly StoreId[]): StoreId | undefined {
  let best: StoreId | undefined
  for (const store of stores) {
    if (record.assigned.includes(store)) continue
    if (best === undefined || isBefore(state, record.id, store, best)) best = store
  }
  return best
}

function isBefore(state: MapState, extent: ExtentId, a: StoreId, b: StoreId): boolean {
  const difference = state.assignedCount(a) - state.assignedCount(b) || hash(`${extent}/${a}`) - hash(`${extent}/${b}`)
  return difference < 0 || (difference === 0 && a < b)
}

function count(of: ReadonlyMap<StoreId, number>, store: StoreId): number {
  return of.get(store) ?? 0
}

/** FNV-1a over UTF-16 code units, 32 bits: spreads well enough to break ties, and is the same everywhere. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
