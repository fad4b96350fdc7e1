import { type Bytes, type ExtentId, invariant, type Piece } from '@ashlar/proto'
import { type Lane as LaneOf, overlaps } from './call-queue.ts'
import type { ClientContext } from './context.ts'
import { InFlight } from './in-flight.ts'
import { costBytes, discardedBlocks, isMutation } from './io-call.ts'
import { LaneHeap } from './lane-heap.ts'
import type { IoCall, OpenVolume, PieceRequest } from './open-volume.ts'
import { nextPiece } from './splitter.ts'

type Lane = LaneOf<IoCall>
type NextPiece = NonNullable<Lane['next']>

/** Most waiting calls of a lane that later calls may pass: bounds the cost of each look at a lane. */
const MOST_PASSED = 32

/**
 * Decides when the next piece of a call is sent: calls of one extent in their order, and among extents first the one
 * with the least in flight. A lane is checked when something changed that it waits for, and waits in a heap by the
 * bytes that it needs: the cost of a response depends on the pieces that it lets out and not on the number of waiting
 * extents.
 */
export class Admission {
  readonly #issue: (ctx: ClientContext, call: IoCall, piece: Piece) => void
  readonly #inFlight: InFlight = new InFlight()
  /** Lanes to check. */
  readonly #due: Set<Lane> = new Set()
  /** Lanes that wait until fewer bytes, or fewer reads, are in flight. */
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

  /** The request is not in flight any more, or its call does not wait for it any more. */
  release(request: PieceRequest): void {
    const { call, piece, costBytes: bytes } = request
    if (bytes === 0) return
    request.costBytes = 0
    this.#inFlight.release(piece.extent, isMutation(call), bytes)
    if (call.kind === 'discard') call.volume.discardWindow.release(piece.extent, discardedBlocks(call, piece))
    this.onChange(piece.extent)
  }

  /** Something changed that lanes of this extent may wait for. */
  onChange(extent: ExtentId): void {
    for (const lane of this.#lanesOf.get(extent) ?? []) this.#due.add(lane)
  }

  /** A piece of this discard has its response. `grown`: more may be in flight in each extent than before. */
  onDiscarded(call: IoCall, grown: boolean): void {
    const { queue } = call.volume
    const lane = queue.laneOf(call)
    if (lane !== undefined) this.#due.add(lane)
    if (grown) for (const waiting of queue.awaitingDiscards) this.#due.add(waiting)
  }

  /** Sends the pieces that the bounds allow. */
  admit(ctx: ClientContext): void {
    for (;;) {
      for (const lane of this.#due) this.#look(lane)
      this.#due.clear()
      const { bytes, reads } = this.#inFlight
      const lane = this.#forReads.ready(reads) ?? this.#forBytes.ready(bytes)
      if (lane === undefined) return
      const { next } = lane
      invariant(next !== undefined, 'a lane in a heap has a next piece')
      if (lane.heap === this.#forReads) this.#awaitBytes(lane, next)
      else if (!this.#awaitsReads(lane, next)) this.#cut(ctx, lane.volume, next)
    }
  }

  #cut(ctx: ClientContext, volume: OpenVolume, { call, piece }: NextPiece): void {
    volume.queue.cut(call, piece.length)
    this.#collect(volume)
    this.#issue(ctx, call, piece)
  }

  /** Finds the next piece of a lane, and the heap in which it waits. */
  #look(lane: Lane): void {
    this.#unfile(lane)
    const before = lane.next
    const next = this.#find(lane)
    lane.next = next
    if (next === undefined) return
    const { call, piece } = next
    // More calls behind it do not put a lane back behind others.
    if (before?.call !== call || before.piece.at !== piece.at) lane.turn = this.#turn++
    if (isMutation(call)) {
      // Only responses to its own requests make space in these.
      if (lane.volume.session?.canIssue(piece.extent) !== true) return
      if (!this.#inFlight.fitsWindow(piece.extent, costBytes(call, piece.length))) return
    }
    if (!this.#awaitsReads(lane, next)) this.#awaitBytes(lane, next)
  }

  /** Files a lane whose next piece is a read beyond the bound of reads. */
  #awaitsReads(lane: Lane, { call }: NextPiece): boolean {
    if (isMutation(call)) return false
    const bound = this.#inFlight.readsBound(lane.extent)
    if (this.#inFlight.reads <= bound) return false
    this.#file(lane, this.#forReads, bound)
    return true
  }

  #awaitBytes(lane: Lane, { call, piece }: NextPiece): void {
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
   * The first call of a lane that may go on, with its next piece. A large discard takes long, and a call of several
   * extents may be stuck in another one, so later calls pass them. Calls of the same bytes keep their order.
   */
  #find(lane: Lane): NextPiece | undefined {
    const { record, queue, discardWindow } = lane.volume
    const passed: IoCall[] = []
    for (const call of lane.calls) {
      if (passed.length === MOST_PASSED) return undefined
      if (queue.mustWait(call)) queue.awaitingOrder.add(lane)
      else if (!passed.some((other) => overlaps(other, call))) {
        const piece = nextPiece(record.id, record, call.kind, call.offset, call.length, call.cursor)
        if (piece === undefined) continue
        if (call.kind !== 'discard' || discardWindow.fits(piece.extent, discardedBlocks(call, piece), call.pieces.size))
          return { call, piece }
        queue.awaitingDiscards.add(lane)
      }
      passed.push(call)
    }
    return undefined
  }

  /** Applies changes of a volume's queue to its lanes. */
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
