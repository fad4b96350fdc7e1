import { type Bytes, type ExtentId, extentId, type Piece } from '@ashlar/proto'
import type { IoCall } from './io-call.ts'
import type { LaneHeap } from './lane-heap.ts'
import type { OpenVolume } from './open-volume.ts'

/** Calls with their next piece in one extent, in the order of the calls, and what they wait for together. */
export interface Lane {
  readonly volume: OpenVolume
  readonly extent: ExtentId
  readonly calls: Set<IoCall>
  /** What goes out next, once there is room for it; undefined while the lane waits for something else. */
  next: { readonly call: IoCall; readonly piece: Piece } | undefined
  /** Where it waits for room, for how much, since when among others, and its place there. */
  heap: LaneHeap | undefined
  bound: number
  turn: number
  place: number
}

/**
 * Calls of one volume with pieces to cut. Those of an extent wait in a lane of their own, so that an extent without room holds
 * up no other one (A2.11-5). Calls of the same bytes keep their order, also where one of them has not come to those yet.
 */
export class CallQueue {
  /** By the position of the extent in the volume. */
  readonly #lanes: Map<number, Lane> = new Map()
  /** Calls whose rest lies in several extents, in the order of the calls. */
  readonly #spanning: Set<IoCall> = new Set()
  /** Lanes in which something changed since they were looked at, also such as are empty now. */
  readonly changed: Set<Lane> = new Set()
  /** Lanes in which a call waits for one of `#spanning`, and such in which one waits for the erase window. */
  readonly awaitingOrder: Set<Lane> = new Set()
  readonly awaitingErasure: Set<Lane> = new Set()

  /** A call that comes after all those that were added before. */
  add(call: IoCall): void {
    this.#enter(call)
    if (spans(call)) this.#spanning.add(call)
  }

  /** The next so many bytes of a call that is queued were cut off. */
  cut(call: IoCall, bytes: Bytes): void {
    const position = positionOf(call)
    this.#change(position)
    call.cursor += bytes
    if (call.cursor < call.length && positionOf(call) === position) return
    this.#leave(call, position)
    if (call.cursor < call.length) this.#enter(call)
    if (!spans(call)) this.#spanNoMore(call)
  }

  delete(call: IoCall): void {
    this.#leave(call, positionOf(call))
    this.#spanNoMore(call)
  }

  clear(): void {
    for (const lane of this.#lanes.values()) {
      lane.calls.clear()
      this.changed.add(lane)
    }
    this.#lanes.clear()
    this.#spanning.clear()
  }

  /** The lane in which a call waits, if it does. */
  laneOf(call: IoCall): Lane | undefined {
    const lane = this.#lanes.get(positionOf(call))
    return lane?.calls.has(call) === true ? lane : undefined
  }

  /** An earlier call is on its way to bytes of this one, through other extents. */
  mustWait(call: IoCall): boolean {
    for (const other of this.#spanning) {
      if (other.order >= call.order) return false
      if (overlaps(other, call)) return true
    }
    return false
  }

  #enter(call: IoCall): void {
    const position = positionOf(call)
    let lane = this.#lanes.get(position)
    if (lane === undefined) {
      lane = newLane(call.volume, position)
      this.#lanes.set(position, lane)
    }
    const { calls } = lane
    const later = call.cursor === 0 ? [] : [...calls].filter((other) => other.order > call.order)
    for (const other of later) calls.delete(other)
    calls.add(call)
    for (const other of later) calls.add(other)
    this.changed.add(lane)
  }

  #leave(call: IoCall, position: number): void {
    const lane = this.#lanes.get(position)
    if (lane?.calls.delete(call) !== true) return
    this.changed.add(lane)
    if (lane.calls.size === 0) this.#lanes.delete(position)
  }

  #change(position: number): void {
    const lane = this.#lanes.get(position)
    if (lane !== undefined) this.changed.add(lane)
  }

  #spanNoMore(call: IoCall): void {
    if (this.#spanning.delete(call)) for (const lane of this.awaitingOrder) this.changed.add(lane)
  }
}

function newLane(volume: OpenVolume, position: number): Lane {
  const extent = extentId(volume.record.id, position)
  return { volume, extent, calls: new Set(), next: undefined, heap: undefined, bound: 0, turn: 0, place: 0 }
}

/** Whether two calls have bytes in common. */
export function overlaps(a: IoCall, b: IoCall): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length
}

function positionOf({ offset, cursor, volume }: IoCall): number {
  return Math.floor((offset + cursor) / volume.record.extentSizeBytes)
}

function spans(call: IoCall): boolean {
  return Math.floor((call.offset + call.length - 1) / call.volume.record.extentSizeBytes) > positionOf(call)
}
