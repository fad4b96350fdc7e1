import type { ExtentId, ExtentRecord, NodeRecord, StoreId } from '@ashlar/proto'
import { invariant } from '@ashlar/proto'
import type { Candidates } from '../log/index.ts'
import type { MapState } from '../map/index.ts'

/** Stores of one new extent, and its first primary. */
export interface Place {
  readonly assigned: readonly StoreId[]
  readonly primary: StoreId
}

/** Stores that may get new replicas: live, up, trusted, with enough space, and with an address of their own. */
export function placeable(state: MapState, { live, filling = [] }: Candidates): NodeRecord[] {
  return live
    .filter((store) => !filling.includes(store))
    .map((store) => state.nodes.get(store))
    .filter((node): node is NodeRecord => node?.state === 'up' && node.trust === 'trusted' && node.address !== '')
}

/**
 * Assigns stores to new extents: the `replicas` stores with the fewest replicas, of which the one that leads the fewest
 * extents becomes primary. A hash of extent and store breaks ties: the partners of one store are spread over all
 * others, so that many sources take part in rebuilding it. Deterministic in its arguments.
 */
export class Placement {
  private readonly stores: readonly StoreId[]
  private readonly places: readonly number[]
  private readonly replicas: number
  private readonly held: number[]
  private readonly led: number[]

  constructor(state: MapState, nodes: readonly NodeRecord[], replicas: number) {
    invariant(nodes.length >= replicas, 'more replicas were requested than there are stores')
    this.stores = nodes.map((node) => node.store)
    this.places = [...this.stores.keys()]
    this.replicas = replicas
    this.held = this.stores.map((store) => state.assignedCount(store))
    this.led = this.stores.map((store) => state.ledCount(store))
  }

  place(extent: ExtentId): Place {
    const ties = new TieBreaker(extent, this.stores)
    const chosen = leastLoaded(this.places, this.held, ties, this.replicas)
    const primary = leastLoaded(chosen, this.led, ties, 1)[0] as number
    for (const place of chosen) this.held[place] = (this.held[place] ?? 0) + 1
    this.led[primary] = (this.led[primary] ?? 0) + 1
    return { assigned: chosen.map((place) => this.storeAt(place)), primary: this.storeAt(primary) }
  }

  private storeAt(place: number): StoreId {
    return this.stores[place] as StoreId
  }
}

/** The `count` stores with the smallest loads, smallest first. */
function leastLoaded(
  places: readonly number[],
  loads: readonly number[],
  ties: TieBreaker,
  count: number,
): readonly number[] {
  const chosen: number[] = []
  for (const place of places) {
    let at = chosen.length
    while (at > 0 && ties.isBefore(loads, place, chosen[at - 1] as number)) at--
    if (at === count) continue
    for (let to = Math.min(chosen.length, count - 1); to > at; to--) chosen[to] = chosen[to - 1] as number
    chosen[at] = place
  }
  return chosen
}

/** Orders stores by load; for equal loads by a hash, which is computed only then. */
class TieBreaker {
  private readonly extent: ExtentId
  private readonly stores: readonly StoreId[]
  private readonly hashes: number[] = []

  constructor(extent: ExtentId, stores: readonly StoreId[]) {
    this.extent = extent
    this.stores = stores
  }

  isBefore(loads: readonly number[], a: number, b: number): boolean {
    const difference = (loads[a] ?? 0) - (loads[b] ?? 0) || this.hash(a) - this.hash(b)
    return difference < 0 || (difference === 0 && (this.stores[a] as StoreId) < (this.stores[b] as StoreId))
  }

  private hash(place: number): number {
    const known = this.hashes[place]
    if (known !== undefined) return known
    const value = hash(this.stores[place] as StoreId, hash(`${this.extent}/`))
    this.hashes[place] = value
    return value
  }
}

/** Finds stores for free assignments: each time the one with the fewest replicas. */
export class Spares {
  private readonly stores: readonly StoreId[]
  private readonly placeOf: ReadonlyMap<StoreId, number>
  private readonly held: number[]

  constructor(state: MapState, stores: readonly StoreId[]) {
    this.stores = stores
    this.placeOf = new Map(stores.map((store, place) => [store, place]))
    this.held = stores.map((store) => state.assignedCount(store))
  }

  /** A store that may get a further replica of this extent, if there is one. */
  find(record: ExtentRecord): StoreId | undefined {
    const ties = new TieBreaker(record.id, this.stores)
    let best: number | undefined
    for (const [place, store] of this.stores.entries())
      if (!record.assigned.includes(store) && (best === undefined || ties.isBefore(this.held, place, best)))
        best = place
    return best === undefined ? undefined : this.stores[best]
  }

  /** Updates the loads after the assignments of an extent changed. */
  moved(before: ExtentRecord, after: ExtentRecord): void {
    this.count(before, -1)
    this.count(after, 1)
  }

  private count(record: ExtentRecord, by: number): void {
    for (const store of record.assigned) {
      const place = this.placeOf.get(store)
      if (place !== undefined) this.held[place] = (this.held[place] ?? 0) + by
    }
  }
}

/** FNV-1a over UTF-16 code units, 32 bits, to break ties. `from`: hash of the preceding text. */
function hash(text: string, from = 0x811c9dc5): number {
  let value = from
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
