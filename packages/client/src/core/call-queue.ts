import { type Bytes, type ExtentId, extentId, type Piece, type VolumeRecord } from '@ashlar/proto'
import type { HeapEntry } from './lane-heap.ts'

/** What the queue needs of a call. */
export interface QueuedCall {
  readonly volume: { readonly record: Pick<VolumeRecord, 'id' | 'extentSizeBytes'> }
  readonly offset: Bytes
  readonly length: Bytes
  /** Bytes that were cut into pieces so far. */
  cursor: Bytes
  /** Position among the calls of the volume. */
  readonly order: number
}

/** Calls with their next piece in one extent, in the order of the calls, and what they wait for together. */
export interface Lane<Call extends QueuedCall> extends HeapEntry<Lane<Call>> {
  readonly volume: Call['volume']
  readonly extent: ExtentId
  readonly calls: Set<Call>
  /** The next piece to send, once the bounds allow it; undefined while the lane waits for something else. */
  next: { readonly call: Call; readonly piece: Piece } | undefined
}

/**
 * Calls of one volume with pieces to cut. Each extent has its own lane, so that an extent that is stuck does not delay
 * others (A2.11-5). Calls of the same bytes keep their order, also when one of them has not reached these bytes yet.
 */
export class CallQueue<Call extends QueuedCall> {
  /** By the position of the extent in the volume. */
  readonly #lanes: Map<number, Lane<Call>> = new Map()
  /** Calls whose rest lies in several extents, in the order of the calls. */
  readonly #spanning: Set<Call> = new Set()
  /** Lanes that changed since they were checked, empty ones included. */
  readonly changed: Set<Lane<Call>> = new Set()
  /** Lanes with a call that waits for one of `#spanning`, and lanes with one that waits for the discard window. */
  readonly awaitingOrder: Set<Lane<Call>> = new Set()
  readonly awaitingDiscards: Set<Lane<Call>> = new Set()

  /** A call that comes after all those that were added before. */
  add(call: Call): void {
    this.#enter(call)
    if (spans(call)) this.#spanning.add(call)
  }

  /** The next so many bytes of a call that is queued were cut off. */
  cut(call: Call, bytes: Bytes): void {
    const position = positionOf(call)
    this.#change(position)
    call.cursor += bytes
    if (call.cursor < call.length && positionOf(call) === position) return
    this.#leave(call, position)
    if (call.cursor < call.length) this.#enter(call)
    if (!spans(call)) this.#spanNoMore(call)
  }

  delete(call: Call): void {
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
  laneOf(call: Call): Lane<Call> | undefined {
    const lane = this.#lanes.get(positionOf(call))
    return lane?.calls.has(call) === true ? lane : undefined
  }

  /** An earlier call covers bytes of this one and has not reached them yet. */
  mustWait(call: Call): boolean {
    for (const other of this.#spanning) {
      if (other.order >= call.order) return false
      if (overlaps(other, call)) return true
    }
    return false
  }

  #enter(call: Call): void {
    const position = positionOf(call)
    let lane = this.#lanes.get(position)
    if (lane === undefined) {
      lane = newLane<Call>(call.volume, position)
      this.#lanes.set(position, lane)
    }
    const { calls } = lane
    const later = call.cursor === 0 ? [] : [...calls].filter((other) => other.order > call.order)
    for (const other of later) calls.delete(other)
    calls.add(call)
    for (const other of later) calls.add(other)
    this.changed.add(lane)
  }

  #leave(call: Call, position: number): void {
    const lane = this.#lanes.get(position)
    if (lane?.calls.delete(call) !== true) return
    this.changed.add(lane)
    if (lane.calls.size === 0) this.#lanes.delete(position)
  }

  #change(position: number): void {
    const lane = this.#lanes.get(position)
    if (lane !== undefined) this.changed.add(lane)
  }

  #spanNoMore(call: Call): void {
    if (this.#spanning.delete(call)) for (const lane of this.awaitingOrder) this.changed.add(lane)
  }
}

function newLane<Call extends QueuedCall>(volume: Call['volume'], position: number): Lane<Call> {
  const extent = extentId(volume.record.id, position)
  return { volume, extent, calls: new Set(), next: undefined, heap: undefined, bound: 0, turn: 0, index: 0 }
}

/** Whether two calls have bytes in common. */
export function overlaps(a: QueuedCall, b: QueuedCall): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length
}

function positionOf({ offset, cursor, volume }: QueuedCall): number {
  return Math.floor((offset + cursor) / volume.record.extentSizeBytes)
}

function spans(call: QueuedCall): boolean {
  return Math.floor((call.offset + call.length - 1) / call.volume.record.extentSizeBytes) > positionOf(call)
}
