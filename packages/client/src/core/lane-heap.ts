import type { Lane } from './call-queue.ts'

/** Lanes that wait until less is on its way: the one that waits for least first, and of equal ones the one that waits longest. */
export class LaneHeap {
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
    const { place } = lane
    lane.heap = undefined
    const last = this.#lanes.pop()
    if (last === undefined || last === lane) return
    this.#rise(last, place)
    this.#sink(last, last.place)
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
      const below = child.place
      this.#put(child, at)
      at = below
    }
    this.#put(lane, at)
  }

  #put(lane: Lane, at: number): void {
    this.#lanes[at] = lane
    lane.place = at
  }
}

function isBefore(a: Lane, b: Lane): boolean {
  return a.bound > b.bound || (a.bound === b.bound && a.turn < b.turn)
}
