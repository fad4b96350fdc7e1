import type { Bytes, ExtentId, Piece } from '@ashlar/proto'
import { type Lane as LaneOf, overlaps } from './call-queue.ts'
import type { ClientContext } from './context.ts'
import { InFlight } from './in-flight.ts'
import { costBytes, discardedBlocks, isMutation } from './io-call.ts'
import { LaneHeap } from './lane-heap.ts'
import type { IoCall, OpenVolume, PieceRequest } from './open-volume.ts'
import { nextPiece } from './splitter.ts'

type Lane = LaneOf<IoCall>

/** Calls of a lane that others pass at most while they wait: bounds what each look at it costs. */
const MOST_PASSED = 32

/**
 * Says when the next piece of a call goes out: the calls of an extent first come, first served, and among extents the one that has
 * least on its way. A lane is looked at when something changed that it waits for, and waits for room by how much it needs,
 * so that an answer costs what it lets out and not what waits, of whatever number of extents.
 */
export class Admission {
  readonly #issue: (ctx: ClientContext, call: IoCall, piece: Piece) => void
  readonly #inFlight: InFlight = new InFlight()
  /** Lanes to look at. */
  readonly #due: Set<Lane> = new Set()
  /** Lanes that wait until fewer bytes, or fewer reads, are on their way. */
  readonly #forBytes: LaneHeap<Lane> = new LaneHeap()
  readonly #forReads: LaneHeap<Lane> = new LaneHeap()
  /** A volume that is open twice has two lanes of an extent. */
  readonly #lanesOf: Map<ExtentId, Set<Lane>> = new Map()
  #turn = 0

  /** `issue` sends a piece, and takes its cost. */
  constructor(issue: (ctx: ClientContext, call: IoCall, piece: Piece) => void) {
    this.#issue = issue
  }

  add(call: IoCall): void {
    call.volume.queue.add(call)
    this.#collect(call.volume)
  }

  /** No more pieces of this call. */
  remove(call: IoCall): void {
    call.volume.queue.delete(call)
    this.#collect(call.volume)
  }

  clear(volume: OpenVolume): void {
    volume.queue.clear()
    this.#collect(volume)
  }

  take({ call, piece, costBytes: bytes }: PieceRequest): void {
    this.#inFlight.take(piece.extent, isMutation(call), bytes)
    if (call.kind === 'discard') call.volume.discardWindow.take(piece.extent, discardedBlocks(call, piece))
    this.onChange(piece.extent)
  }

  /** The request is not on its way any more, or is waited for no more. */
  release(request: PieceRequest): void {
    const { call, piece, costBytes: bytes } = request
    if (bytes === 0) return
    request.costBytes = 0
    this.#inFlight.release(piece.extent, isMutation(call), bytes)
    if (call.kind === 'discard') call.volume.discardWindow.release(piece.extent, discardedBlocks(call, piece))
    this.onChange(piece.extent)
  }

  /** Something of an extent changed that its lanes may wait for. */
  onChange(extent: ExtentId): void {
    for (const lane of this.#lanesOf.get(extent) ?? []) this.#due.add(lane)
  }

  /** An erasure of this call was answered. `grown`: more may be on their way in each extent than before. */
  onDiscarded(call: IoCall, grown: boolean): void {
    const { queue } = call.volume
    const lane = queue.laneOf(call)
    if (lane !== undefined) this.#due.add(lane)
    if (grown) for (const waiting of queue.awaitingDiscards) this.#due.add(waiting)
  }

  /** Sends what there is room for. */
  admit(ctx: ClientContext): void {
    for (;;) {
      for (const lane of this.#due) this.#look(lane)
      this.#due.clear()
      const { bytes, reads } = this.#inFlight
      const lane = this.#forReads.ready(reads) ?? this.#forBytes.ready(bytes)
      if (lane === undefined) return
      if (lane.heap === this.#forReads) this.#awaitBytes(lane)
      else this.#admitNext(ctx, lane)
    }
  }

  #admitNext(ctx: ClientContext, lane: Lane): void {
    const { next, volume } = lane
    if (next === undefined) return
    const { call, piece } = next
    if (this.#awaitsReads(lane)) return
    volume.queue.cut(call, piece.length)
    this.#collect(volume)
    this.#issue(ctx, call, piece)
  }

  /** Finds out what a lane has to send, and where it waits for that. */
  #look(lane: Lane): void {
    this.#unfile(lane)
    const before = lane.next
    lane.next = this.#find(lane)
    if (lane.next === undefined) return
    const { call, piece } = lane.next
    // More calls behind it do not put a lane back behind others.
    if (before?.call !== call || before.piece.at !== piece.at) lane.turn = this.#turn++
    if (isMutation(call)) {
      // Its own answers make room in these, and so does nothing else.
      if (lane.volume.session?.canIssue(piece.extent) !== true) return
      if (!this.#inFlight.fitsWindow(piece.extent, costBytes(call, piece.length))) return
    }
    if (!this.#awaitsReads(lane)) this.#awaitBytes(lane)
  }

  /** Whether there are too many reads for the next piece of a lane: then it waits for fewer. */
  #awaitsReads(lane: Lane): boolean {
    if (lane.next === undefined || isMutation(lane.next.call)) return false
    const bound = this.#inFlight.readsBound(lane.extent)
    if (this.#inFlight.reads <= bound) return false
    this.#file(lane, this.#forReads, bound)
    return true
  }

  #awaitBytes(lane: Lane): void {
    if (lane.next === undefined) return
    const { call, piece } = lane.next
    this.#file(lane, this.#forBytes, this.#inFlight.bytesBound(lane.extent, costBytes(call, piece.length)))
  }

  #file(lane: Lane, heap: LaneHeap<Lane>, bound: Bytes | number): void {
    lane.heap?.remove(lane)
    lane.bound = bound
    heap.add(lane)
  }

  #unfile(lane: Lane): void {
    lane.heap?.remove(lane)
    lane.volume.queue.awaitingOrder.delete(lane)
    lane.volume.queue.awaitingDiscards.delete(lane)
  }

  /**
   * The first call of a lane that may go on, with its next piece. A large erasure takes long, and a call that reaches into several
   * extents may be stuck in another one, so that calls behind them pass, but for those of the same bytes: their order is kept.
   */
  #find(lane: Lane): Lane['next'] {
    const { record, queue, discardWindow } = lane.volume
    const passed: IoCall[] = []
    for (const call of lane.calls) {
      if (passed.length === MOST_PASSED) return undefined
      if (queue.mustWait(call)) queue.awaitingOrder.add(lane)
      else if (!passed.some((other) => overlaps(other, call))) {
        const piece = nextPiece(record.id, record, call.kind, call.offset, call.length, call.cursor)
        if (piece === undefined) continue
        if (
          call.kind !== 'discard' ||
          discardWindow.hasRoom(piece.extent, discardedBlocks(call, piece), call.pieces.size)
        )
          return { call, piece }
        queue.awaitingDiscards.add(lane)
      }
      passed.push(call)
    }
    return undefined
  }

  /** Takes over what a change of a volume's queue means to its lanes. */
  #collect(volume: OpenVolume): void {
    for (const lane of volume.queue.changed) {
      const lanes = this.#lanesOf.get(lane.extent)
      if (lane.calls.size > 0) {
        this.#due.add(lane)
        if (lanes === undefined) this.#lanesOf.set(lane.extent, new Set([lane]))
        else lanes.add(lane)
        continue
      }
      this.#unfile(lane)
      this.#due.delete(lane)
      lanes?.delete(lane)
      if (lanes?.size === 0) this.#lanesOf.delete(lane.extent)
    }
    volume.queue.changed.clear()
  }
}
