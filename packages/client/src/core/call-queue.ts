import type { Bytes } from '@ashlar/proto'
import type { IoCall } from './io-call.ts'

/** Calls with their next piece in one extent, in the order of the calls. */
export type Lane = ReadonlySet<IoCall>

/**
 * Calls of one volume with pieces to cut. Those of an extent wait in a lane of their own, so that an extent without room holds
 * up no other one (amendment 30). Calls of the same bytes keep their order, also where one of them has not come to those yet.
 */
export class CallQueue {
  /** By the position of the extent in the volume. */
  readonly #lanes: Map<number, Set<IoCall>> = new Map()
  /** Calls whose rest lies in several extents, in the order of the calls. */
  readonly #spanning: Set<IoCall> = new Set()

  get isEmpty(): boolean {
    return this.#lanes.size === 0
  }

  /** Lanes with calls. The queue may change while they are gone through. */
  lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  /** A call that comes after all those that were added before. */
  add(call: IoCall): void {
    this.#enter(call)
    if (spans(call)) this.#spanning.add(call)
  }

  /** The next so many bytes of a call that is queued were cut off. */
  cut(call: IoCall, bytes: Bytes): void {
    const lane = laneOf(call)
    call.cursor += bytes
    if (call.cursor < call.length && laneOf(call) === lane) return
    this.#leave(call, lane)
    if (call.cursor < call.length) this.#enter(call)
    if (!spans(call)) this.#spanning.delete(call)
  }

  delete(call: IoCall): void {
    this.#leave(call, laneOf(call))
    this.#spanning.delete(call)
  }

  clear(): void {
    this.#lanes.clear()
    this.#spanning.clear()
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
    const lane = laneOf(call)
    const calls = this.#lanes.get(lane)
    if (calls === undefined) {
      this.#lanes.set(lane, new Set([call]))
      return
    }
    const later = call.cursor === 0 ? [] : [...calls].filter((other) => other.order > call.order)
    for (const other of later) calls.delete(other)
    calls.add(call)
    for (const other of later) calls.add(other)
  }

  #leave(call: IoCall, lane: number): void {
    const calls = this.#lanes.get(lane)
    if (calls?.delete(call) === true && calls.size === 0) this.#lanes.delete(lane)
  }
}

/** Whether two calls have bytes in common. */
export function overlaps(a: IoCall, b: IoCall): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length
}

function laneOf({ offset, cursor, volume }: IoCall): number {
  return Math.floor((offset + cursor) / volume.record.extentSizeBytes)
}

function spans(call: IoCall): boolean {
  return Math.floor((call.offset + call.length - 1) / call.volume.record.extentSizeBytes) > laneOf(call)
}
