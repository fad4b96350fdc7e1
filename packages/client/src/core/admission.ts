import { type Bytes, type ExtentId, invariant, type Piece } from '@ashlar/proto'
import { type Lane as LaneOf, overlaps } from './call-queue.ts'
import type { ClientContext } from './context.ts'
import { type FirstPool, firstPool, InFlight, type Pool } from './in-flight.ts'
import { costBytes, discardedBlocks, isMutation } from './io-call.ts'
import { LaneHeap } from './lane-heap.ts'
import type { IoCall, OpenVolume, PieceRequest } from './open-volume.ts'
import { nextPiece } from './splitter.ts'

type Lane = LaneOf<IoCall>
type NextPiece = NonNullable<Lane['next']>

/** Most waiting calls of a lane that later calls may pass: bounds the cost of each look at a lane. */
const MOST_PASSED = 32

/** The bound of every lane in a heap that orders them by their turn alone. */
const IN_TURN = 0

/**
 * Decides when the next piece of a call is sent: calls of one extent in their order, and among extents first the one
 * with the least in flight. A lane is checked when something changed that it waits for, and waits in a heap: the cost
 * of a response depends on the pieces that it lets out and not on the number of waiting extents.
 */
export class Admission {
  readonly #issue: (ctx: ClientContext, call: IoCall, piece: Piece, pool: Pool) => void
  readonly #inFlight: InFlight = new InFlight()
  /** Lanes to check. */
  readonly #due: Set<Lane> = new Set()
  /** Lanes that wait until fewer bytes of the shared pool, or fewer reads, are in flight. */
  readonly #forBytes: LaneHeap<Lane> = new LaneHeap()
  readonly #forReads: LaneHeap<Lane> = new LaneHeap()
  /** Lanes of extents with nothing in flight, in turn: a smaller request does not pass one that waits longer. */
  readonly #forFirst: Readonly<Record<FirstPool, LaneHeap<Lane>>> = {
    'small-first': new LaneHeap(),
    'large-first': new LaneHeap(),
  }
  /** A volume that is open twice has two lanes of an extent. */
  readonly #lanesOf: Map<ExtentId, Set<Lane>> = new Map()
  #turn = 0

  /** `issue` sends a piece, and takes its cost. */
  constructor(issue: (ctx: ClientContext, call: IoCall, piece: Piece, pool: Pool) => void) {
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

  take({ call, piece, costBytes: bytes, pool }: PieceRequest): void {
    this.#inFlight.take(piece.extent, isMutation(call), bytes, pool)
    if (call.kind === 'discard') call.volume.discardWindow.take(piece.extent, discardedBlocks(call, piece))
    this.onChange(piece.extent)
  }

  /** The request is not in flight any more, or its call does not wait for it any more. */
  release(request: PieceRequest): void {
    const { call, piece, costBytes: bytes, pool } = request
    if (bytes === 0) return
    request.costBytes = 0
    this.#inFlight.release(piece.extent, isMutation(call), bytes, pool)
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
      const reader = this.#forReads.ready(this.#inFlight.reads)
      if (reader !== undefined) {
        this.#awaitBytes(reader, nextOf(reader))
        continue
      }
      const ready = this.#ready()
      if (ready === undefined) return
      const next = nextOf(ready.lane)
      // The window may have halved since the lane was looked at: then another piece is its next one, or none.
      if (!fitsDiscards(next)) this.#due.add(ready.lane)
      else if (!this.#awaitsReads(ready.lane, next)) this.#cut(ctx, ready.lane.volume, next, ready.pool)
    }
  }

  /**
   * The lane whose next piece goes out now. The first request that has waited longest may go against the shared pool,
   * and nothing passes it there: smaller requests would take what is free each time before it is enough.
   */
  #ready(): { readonly lane: Lane; readonly pool: Pool } | undefined {
    const small = this.#forFirst['small-first'].ready(IN_TURN)
    const large = this.#forFirst['large-first'].ready(IN_TURN)
    const [oldest, other] =
      small === undefined || (large?.turn ?? small.turn) < small.turn ? [large, small] : [small, large]
    for (const lane of [oldest, other]) {
      if (lane === undefined) continue
      const bytes = bytesOf(nextOf(lane))
      if (lane === oldest && this.#inFlight.fitsShared(lane.extent, bytes)) return { lane, pool: 'shared' }
      if (this.#inFlight.fitsFirst(bytes)) return { lane, pool: firstPool(bytes) }
    }
    if (oldest !== undefined) return undefined
    const lane = this.#forBytes.ready(this.#inFlight.sharedBytes)
    return lane === undefined ? undefined : { lane, pool: 'shared' }
  }

  #cut(ctx: ClientContext, volume: OpenVolume, { call, piece }: NextPiece, pool: Pool): void {
    volume.queue.cut(call, piece.length)
    this.#collect(volume)
    this.#issue(ctx, call, piece, pool)
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
      if (!this.#inFlight.fitsWindow(piece.extent, bytesOf(next))) return
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

  #awaitBytes(lane: Lane, next: NextPiece): void {
    const bytes = bytesOf(next)
    if (this.#inFlight.isIdle(lane.extent)) this.#file(lane, this.#forFirst[firstPool(bytes)], IN_TURN)
    else this.#file(lane, this.#forBytes, this.#inFlight.sharedBound(lane.extent, bytes))
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
    const { record, queue } = lane.volume
    const passed: IoCall[] = []
    for (const call of lane.calls) {
      if (passed.length === MOST_PASSED) return undefined
      if (queue.mustWait(call)) queue.awaitingOrder.add(lane)
      else if (!passed.some((other) => overlaps(other, call))) {
        const piece = nextPiece(record.id, record, call.kind, call.offset, call.length, call.cursor)
        if (piece === undefined) continue
        const next = { call, piece }
        if (fitsDiscards(next)) return next
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

function nextOf({ next }: Lane): NextPiece {
  invariant(next !== undefined, 'a lane in a heap has a next piece')
  return next
}

function bytesOf({ call, piece }: NextPiece): Bytes {
  return costBytes(call, piece.length)
}

/** False for a piece of a discard beyond the window of its volume. */
function fitsDiscards({ call, piece }: NextPiece): boolean {
  if (call.kind !== 'discard') return true
  return call.volume.discardWindow.fits(piece.extent, discardedBlocks(call, piece), call.pieces.size)
}
