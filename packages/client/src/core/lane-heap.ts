/** What waits in a heap until less is in flight. */
export interface HeapEntry<Entry extends HeapEntry<Entry>> {
  heap: LaneHeap<Entry> | undefined
  /** It may go on while no more than this is in flight. */
  bound: number
  /** Since when it waits, among others. */
  turn: number
  /** Its index in the heap. */
  index: number
}

/** Lanes ordered by their bound, the highest first; of equal bounds the one that has waited longest first. */
export class LaneHeap<Lane extends HeapEntry<Lane>> {
  readonly #lanes: Lane[] = []

  /** The first lane whose bound is not below `level`. */
  ready(level: number): Lane | undefined {
    const [first] = this.#lanes
    return first !== undefined && first.bound >= level ? first : undefined
  }

  add(lane: Lane): void {
    lane.heap = this
    this.#lanes.push(lane)
    this.#rise(lane, this.#lanes.length - 1)
  }

  remove(lane: Lane): void {
    const { index } = lane
    lane.heap = undefined
    const last = this.#lanes.pop()
    if (last === undefined || last === lane) return
    this.#rise(last, index)
    this.#sink(last, last.index)
  }

  #rise(lane: Lane, from: number): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#lanes[above] as Lane
      if (!isBefore(lane, parent)) break
      this.#put(parent, at)
      at = above
    }
    this.#put(lane, at)
  }

  #sink(lane: Lane, from: number): void {
    let at = from
    for (;;) {
      const [left, right] = [this.#lanes[2 * at + 1], this.#lanes[2 * at + 2]]
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left
      if (child === undefined || !isBefore(child, lane)) break
      const below = child.index
      this.#put(child, at)
      at = below
    }
    this.#put(lane, at)
  }

  #put(lane: Lane, at: number): void {
    this.#lanes[at] = lane
    lane.index = at
  }
}

type Ranked = Pick<HeapEntry<never>, 'bound' | 'turn'>

function isBefore(a: Ranked, b: Ranked): boolean {
  return a.bound > b.bound || (a.bound === b.bound && a.turn < b.turn)
}
