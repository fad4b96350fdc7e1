import type { ErrorCode, Piece } from '@ashlar/proto'
import { Admission } from './admission.ts'
import { type ClientContext, DONE } from './context.ts'
import { Dispatcher, type RequestOwner, type Resolution } from './dispatcher.ts'
import { abortedFailure, flushTimeoutFailure, indeterminate, refusedFailure, timeoutFailure } from './failures.ts'
import type { Pool } from './in-flight.ts'
import { costBytes, isComplete, isMutation, PIECES_PER_DEADLINE } from './io-call.ts'
import type { LinkTable } from './link-table.ts'
import type { CallToken, ClientFailure, ClientResult } from './machine.ts'
import type { MapCache } from './map-cache.ts'
import type { FlushCall, IoCall, OpenVolume, PieceRequest } from './open-volume.ts'
import { mayTakeEffect } from './request.ts'
import { joinRuns } from './splitter.ts'

/** What calls need of the rest of the machine. */
export interface IoHost {
  /** A response was FENCED: the session ended. */
  onFenced(ctx: ClientContext, request: PieceRequest): void
  /** A link to the primary of this request's extent is wanted. */
  onPrimaryWanted(ctx: ClientContext, request: PieceRequest): void
}

/** Reads, writes, discards, queries and flushes: cuts calls into pieces, bounds what is in flight, settles calls. */
export class Io implements RequestOwner {
  readonly dispatcher: Dispatcher
  readonly #host: IoHost
  readonly #calls: Map<CallToken, IoCall> = new Map()
  readonly #flushing: Set<OpenVolume> = new Set()
  readonly #admission: Admission = new Admission((...next) => this.#issue(...next))

  constructor(links: LinkTable, map: MapCache, host: IoHost) {
    this.#host = host
    this.dispatcher = new Dispatcher(links, map, this)
  }

  get isIdle(): boolean {
    return this.#calls.size === 0 && this.#flushing.size === 0 && this.dispatcher.active.size === 0
  }

  start(ctx: ClientContext, call: IoCall): void {
    const { volume } = call
    this.#calls.set(call.token, call)
    volume.calls.add(call)
    if (isMutation(call)) volume.mutations.add(call)
    this.#admission.add(call)
    this.#admission.admit(ctx)
  }

  flush(ctx: ClientContext, volume: OpenVolume, flush: FlushCall): void {
    volume.flushes.add(flush)
    this.#flushing.add(volume)
    this.#settleFlushes(ctx, volume)
  }

  /** The caller aborted the call. False when no such call is pending. */
  abandon(ctx: ClientContext, token: CallToken): boolean {
    const call = this.#calls.get(token)
    if (call !== undefined) {
      this.#giveUp(ctx, call, abortedFailure(call.kind))
      // An aborted call is settled at once: it does not wait for responses to its cancellations.
      if (!call.settled) this.#settleUnresolved(ctx, call)
      this.#admission.admit(ctx)
      return true
    }
    for (const volume of this.#flushing) {
      for (const flush of volume.flushes) {
        if (flush.token !== token) continue
        this.#endFlush(volume, flush)
        ctx.fail(token, abortedFailure('flush'))
        return true
      }
    }
    return false
  }

  tick(ctx: ClientContext): void {
    for (const call of this.#calls.values()) {
      if (call.graceUntil !== undefined) {
        if (ctx.now >= call.graceUntil) this.#settleUnresolved(ctx, call)
      } else if (ctx.now >= call.deadline) this.#giveUp(ctx, call, timeoutFailure(call))
    }
    for (const volume of this.#flushing) {
      for (const flush of volume.flushes) {
        if (ctx.now < flush.deadline) continue
        this.#endFlush(volume, flush)
        ctx.fail(flush.token, flushTimeoutFailure(volume.mutations.size))
      }
    }
    this.dispatcher.tick(ctx)
    this.#admission.admit(ctx)
  }

  /** The volume ended (fenced, removed, closed): its pending calls fail now, and nothing more is sent for it. */
  endVolume(ctx: ClientContext, volume: OpenVolume, failure: ClientFailure): void {
    for (const request of this.dispatcher.active) if (request.call.volume === volume) this.#letGo(ctx, request)
    this.#admission.clear(volume)
    // Flushes first: a flush must not succeed because the writes that it waits for failed.
    for (const flush of volume.flushes) ctx.fail(flush.token, failure)
    volume.flushes.clear()
    this.#flushing.delete(volume)
    for (const call of volume.calls) {
      const open = [...call.pieces].some(mayTakeEffect)
      for (const request of call.pieces) this.#letGo(ctx, request)
      this.#settle(ctx, call, open ? indeterminate(failure) : failure)
    }
    this.#admission.admit(ctx)
  }

  // ---- outcomes from the dispatcher

  onResolved(ctx: ClientContext, request: PieceRequest, resolution: Resolution): void {
    const { call, piece } = request
    call.pieces.delete(request)
    this.#release(ctx, request)
    if (call.kind === 'discard')
      this.#admission.onDiscarded(call, call.volume.discardWindow.onAnswered(ctx.now - request.waitingSince))
    if (resolution.how === 'applied') {
      call.appliedPieces++
      call.appliedBytes += piece.length
      if (call.appliedPieces % PIECES_PER_DEADLINE === 0) call.deadline = ctx.now + ctx.timers.ioTimeoutMs
    } else if (resolution.how === 'refused') {
      call.failure ??= refusedFailure(call, resolution.code)
      this.#stopCutting(ctx, call)
    }
    if (call.settled) {
      const { offset, length, extent } = piece
      const volume = call.volume.record.name
      ctx.event({ what: 'resolved-late', volume, extent, offset, length, applied: resolution.how === 'applied' })
    } else this.#settleIfDone(ctx, call)
    this.#admission.admit(ctx)
  }

  onFenced(ctx: ClientContext, request: PieceRequest): void {
    this.#host.onFenced(ctx, request)
  }

  onRefusedAfterRetry(ctx: ClientContext, request: PieceRequest, code: ErrorCode): void {
    const { call } = request
    call.failure ??= refusedFailure(call, code)
    this.#stopCutting(ctx, call)
    this.dispatcher.cancel(ctx, request)
  }

  onPrimaryWanted(ctx: ClientContext, request: PieceRequest): void {
    this.#host.onPrimaryWanted(ctx, request)
  }

  // ---- sending

  #issue(ctx: ClientContext, call: IoCall, piece: Piece, pool: Pool): void {
    const { volume } = call
    const changes = isMutation(call)
    const request: PieceRequest & { claim: PieceRequest['claim'] } = {
      call,
      piece,
      op: changes ? volume.session?.issue(piece.extent) : undefined,
      claim: undefined,
      state: 'new',
      cancelling: false,
      sends: 0,
      refusals: 0,
      numbers: new Set(),
      number: 0,
      link: undefined,
      sentAt: 0,
      sentEpoch: 0 as PieceRequest['sentEpoch'],
      wakeAt: 0,
      waitingSince: ctx.now,
      reason: undefined,
      costBytes: costBytes(call, piece.length),
      pool,
    }
    if (changes) request.claim = volume.locks.claim(request, piece.extent, piece.offset, piece.offset + piece.length)
    this.#admission.take(request)
    call.pieces.add(request)
    if (request.claim === undefined || request.claim.blockers === 0) this.dispatcher.send(ctx, request)
  }

  #stopCutting(ctx: ClientContext, call: IoCall): void {
    this.#admission.remove(call)
    for (const request of call.pieces) {
      if (mayTakeEffect(request)) continue
      this.#forget(ctx, request)
    }
  }

  // ---- the end of requests and calls

  /** Takes a request that never took effect, and never will, out of everything. */
  #forget(ctx: ClientContext, request: PieceRequest): void {
    this.dispatcher.drop(ctx, request)
    request.call.pieces.delete(request)
    this.#release(ctx, request)
  }

  /** Releases what a resolved request held; later writes of its range are sent. */
  #release(ctx: ClientContext, request: PieceRequest): void {
    this.#admission.release(request)
    const { volume } = request.call
    if (request.op !== undefined) {
      volume.session?.resolve(request.piece.extent, request.op)
      this.#admission.onChange(request.piece.extent)
    }
    if (request.claim === undefined) return
    for (const granted of volume.locks.release(request.claim)) this.dispatcher.send(ctx, granted.owner)
  }

  /** Drops a request of a volume that ended. Its lock and its operation number are not needed any more. */
  #letGo(ctx: ClientContext, request: PieceRequest): void {
    this.dispatcher.drop(ctx, request)
    this.#admission.release(request)
  }

  /**
   * Deadline or abort: what was never sent is dropped, what was is cancelled; after a deadline the call waits a little
   * for that.
   */
  #giveUp(ctx: ClientContext, call: IoCall, failure: ClientFailure): void {
    if (call.graceUntil !== undefined) return
    call.failure ??= failure
    call.graceUntil = ctx.now + ctx.timers.cancelGraceMs
    this.#stopCutting(ctx, call)
    for (const request of call.pieces) if (!request.cancelling) this.dispatcher.cancel(ctx, request)
    this.#settleIfDone(ctx, call)
  }

  #settleIfDone(ctx: ClientContext, call: IoCall): void {
    if (call.settled || call.pieces.size > 0) return
    // A cancellation may find that the write was applied: then the caller gets the success.
    if (isComplete(call)) this.#settle(ctx, call, undefined)
    else if (call.failure !== undefined) this.#settle(ctx, call, call.failure)
  }

  /** The call fails as indeterminate: its write may still take effect, so its range stays locked. */
  #settleUnresolved(ctx: ClientContext, call: IoCall): void {
    if (call.failure === undefined) return
    for (const request of call.pieces) {
      this.dispatcher.withdraw(ctx, request)
      this.#admission.release(request)
    }
    this.#settle(ctx, call, indeterminate(call.failure))
  }

  #settle(ctx: ClientContext, call: IoCall, failure: ClientFailure | undefined): void {
    const { volume } = call
    call.settled = true
    call.bytes = undefined
    this.#calls.delete(call.token)
    volume.calls.delete(call)
    this.#admission.remove(call)
    volume.mutations.delete(call)
    if (failure === undefined) ctx.succeed(call.token, resultOf(call))
    else ctx.fail(call.token, withPartial(call, failure))
    this.#settleFlushes(ctx, volume)
  }

  #settleFlushes(ctx: ClientContext, volume: OpenVolume): void {
    const [oldest] = volume.mutations
    for (const flush of volume.flushes) {
      if (oldest !== undefined && oldest.order < flush.order) return
      this.#endFlush(volume, flush)
      ctx.succeed(flush.token, DONE)
    }
  }

  #endFlush(volume: OpenVolume, flush: FlushCall): void {
    volume.flushes.delete(flush)
    if (volume.flushes.size === 0) this.#flushing.delete(volume)
  }
}

function withPartial(call: IoCall, failure: ClientFailure): ClientFailure {
  if (!isMutation(call) || call.appliedBytes === 0) return failure
  return { ...failure, details: { ...failure.details, partial: true } }
}

function resultOf(call: IoCall): ClientResult {
  if (call.target !== undefined) return { kind: 'bytes', bytes: call.target }
  if (call.kind === 'allocation') return { kind: 'allocation', runs: joinRuns(call.runs) }
  return DONE
}
