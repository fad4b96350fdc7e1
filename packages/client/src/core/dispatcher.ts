import type {
  Answer,
  ClientResponse,
  Epoch,
  ErrorCode,
  ExtentId,
  ExtentRecord,
  MapChange,
  Millis,
  StoreId,
} from '@ashlar/proto'
import type { ClientContext } from './context.ts'
import type { LinkTable } from './link-table.ts'
import type { ClientLink, WaitReason } from './machine.ts'
import type { MapCache } from './map-cache.ts'
import type { PieceRequest } from './open-volume.ts'
import { mayTakeEffect, requestMessage } from './request.ts'
import { codeOfResponse, holdMs, retryAction } from './retry.ts'
import { pieceRuns, placeRead } from './splitter.ts'

/** How a request ended. `cancelled`: it never took effect and never will. `refused`: the caller gets the code. */
export type Resolution =
  | { readonly how: 'applied' }
  | { readonly how: 'cancelled' }
  | { readonly how: 'refused'; readonly code: ErrorCode }

/** The owner of the requests. */
export interface RequestOwner {
  onResolved(ctx: ClientContext, request: PieceRequest, resolution: Resolution): void
  /** A response was FENCED. */
  onFenced(ctx: ClientContext, request: PieceRequest): void
  /** A refusal that does not settle earlier attempts: the owner cancels the operation before its call fails. */
  onRefusedAfterRetry(ctx: ClientContext, request: PieceRequest, code: ErrorCode): void
  /** The first request to this extent: a link to its primary is wanted. */
  onPrimaryWanted(ctx: ClientContext, request: PieceRequest): void
}

/** Most attempts of one request that wait for a response: cancellations are sent until one has its response. */
const MOST_ATTEMPTS = 32

/** One attempt of a request, whose response may still come. */
interface Attempt {
  readonly request: PieceRequest
  readonly link: ClientLink
  /** It was a cancellation of the operation. */
  readonly isCancel: boolean
}

/** Sends requests to primaries, holds and retries them, and handles their responses. */
export class Dispatcher {
  readonly #links: LinkTable
  readonly #map: MapCache
  readonly #owner: RequestOwner
  readonly #active: Set<PieceRequest> = new Set()
  readonly #byNumber: Map<number, Attempt> = new Map()
  /** No request is due before this moment. */
  #nextWakeAt: Millis = Number.POSITIVE_INFINITY

  constructor(links: LinkTable, map: MapCache, owner: RequestOwner) {
    this.#links = links
    this.#map = map
    this.#owner = owner
  }

  get active(): ReadonlySet<PieceRequest> {
    return this.#active
  }

  /**
   * Sends a request for the first time, or again, to the primary that the map names now; holds it when there is no
   * link.
   */
  send(ctx: ClientContext, request: PieceRequest): void {
    this.#active.add(request)
    const record = this.#map.extent(request.piece.extent)
    const link = record === undefined ? undefined : this.#links.toStore(record.primary.store)
    if (record === undefined || link === undefined) {
      this.#hold(ctx, request, record === undefined ? 'NOT_FOUND' : 'no-link', ctx.timers.waitRetryMs)
      this.#owner.onPrimaryWanted(ctx, request)
      this.#map.refresh(ctx)
      return
    }
    this.#owner.onPrimaryWanted(ctx, request)
    this.#transmit(ctx, request, record, link)
  }

  /** Cancels the operation from now on. A response to an earlier attempt still settles it. */
  cancel(ctx: ClientContext, request: PieceRequest): void {
    request.cancelling = true
    request.refusals = 0
    this.send(ctx, request)
  }

  /** Drops a request without a response. */
  drop(ctx: ClientContext, request: PieceRequest): void {
    request.state = 'resolved'
    this.#active.delete(request)
    this.withdraw(ctx, request)
    for (const number of request.numbers) this.#byNumber.delete(number)
  }

  /** Removes messages of the operation that still wait in the transport. Sent ones may still get a response. */
  withdraw(ctx: ClientContext, request: PieceRequest): void {
    for (const number of request.numbers) this.#withdraw(ctx, number)
  }

  #withdraw(ctx: ClientContext, number: number): void {
    const attempt = this.#byNumber.get(number)
    if (attempt?.isCancel === false) ctx.emit({ type: 'withdraw', link: attempt.link, request: number })
  }

  onResponse(ctx: ClientContext, link: ClientLink, answer: ClientResponse): void {
    const entry = this.#byNumber.get(answer.request)
    if (entry === undefined || entry.link !== link) return
    const { request } = entry
    this.#byNumber.delete(answer.request)
    request.numbers.delete(answer.request)
    if (answer.type === 'answer') this.#onCode(ctx, entry, answer)
    else if (this.#accept(request, answer)) this.#resolve(ctx, request, { how: 'applied' })
    else this.#links.close(ctx, link, `the response (${answer.type}) does not fit its request`)
  }

  onLinkUp(ctx: ClientContext, store: StoreId): void {
    for (const request of this.#active) {
      if (request.state !== 'held') continue
      if (this.#map.extent(request.piece.extent)?.primary.store === store) this.send(ctx, request)
    }
  }

  /** Requests on that link are sent again with the same operation ids: the primary may have received them or not. */
  onLinkDown(ctx: ClientContext, link: ClientLink): void {
    for (const [number, entry] of this.#byNumber) {
      if (entry.link !== link) continue
      this.#byNumber.delete(number)
      entry.request.numbers.delete(number)
    }
    for (const request of this.#active) {
      if (request.state !== 'sent' || request.link !== link) continue
      request.reason = 'no-link'
      this.send(ctx, request)
    }
  }

  onMapChanged(ctx: ClientContext, change: MapChange): void {
    if (this.#active.size === 0) return
    const changed: ReadonlySet<ExtentId> = new Set(change.extents)
    for (const request of this.#active) {
      const { extent } = request.piece
      if (!changed.has(extent)) continue
      const moved = (this.#map.extent(extent)?.epoch ?? 0) > request.sentEpoch
      if (request.state === 'held' || (request.state === 'sent' && moved)) this.send(ctx, request)
    }
  }

  tick(ctx: ClientContext): void {
    let watchIsDue = false
    for (const request of this.#active) {
      this.#reportWaiting(ctx, request)
      watchIsDue ||= request.state !== 'new' && ctx.now - request.waitingSince >= ctx.timers.watchTimeoutMs
    }
    if (watchIsDue) this.#map.checkWatchedNode(ctx)
    if (ctx.now < this.#nextWakeAt) return
    this.#nextWakeAt = Number.POSITIVE_INFINITY
    for (const request of this.#active) {
      if (request.state === 'new' || request.state === 'resolved') continue
      if (ctx.now < request.wakeAt) this.#wakeBy(request)
      else if (request.state === 'held') this.send(ctx, request)
      else this.#onSilence(ctx, request)
    }
  }

  #transmit(ctx: ClientContext, request: PieceRequest, record: ExtentRecord, link: ClientLink): void {
    const number = ctx.request()
    if (request.numbers.size === MOST_ATTEMPTS) this.#forgetOldest(ctx, request)
    request.numbers.add(number)
    request.number = number
    this.#byNumber.set(number, { request, link, isCancel: request.cancelling })
    if (!request.cancelling) request.sends++
    request.state = 'sent'
    request.link = link
    request.sentAt = ctx.now
    request.sentEpoch = record.epoch
    request.wakeAt = ctx.now + ctx.timers.answerTimeoutMs
    this.#wakeBy(request)
    ctx.emit({ type: 'send', link, message: requestMessage(request, record, number) })
  }

  /** Drops the oldest attempt: a later one gets the same response. */
  #forgetOldest(ctx: ClientContext, request: PieceRequest): void {
    const [oldest] = request.numbers
    if (oldest === undefined) return
    this.#withdraw(ctx, oldest)
    request.numbers.delete(oldest)
    this.#byNumber.delete(oldest)
  }

  #hold(ctx: ClientContext, request: PieceRequest, reason: WaitReason, forMs: Millis): void {
    request.state = 'held'
    request.reason = reason
    // Cancellations are retried without limit. After their call failed they wait longer and longer, or for a change of
    // the map.
    const longerMs = Math.min(ctx.timers.answerTimeoutMs, forMs * 2 ** Math.min(request.refusals, 10))
    request.wakeAt = ctx.now + (request.call.settled ? longerMs : forMs)
    this.#wakeBy(request)
  }

  #wakeBy(request: PieceRequest): void {
    if (request.wakeAt < this.#nextWakeAt) this.#nextWakeAt = request.wakeAt
  }

  /** No response for answerTimeoutMs: checks the link and the map, and sends the request again. */
  #onSilence(ctx: ClientContext, request: PieceRequest): void {
    request.reason = 'no-answer'
    const { link } = request
    if (link !== undefined && !this.#links.heardSince(link, request.sentAt)) {
      // A retry over a dead link would only queue up: a probe decides first whether the link is alive.
      this.#map.probe(ctx, link)
      request.wakeAt = ctx.now + ctx.timers.waitRetryMs
      this.#wakeBy(request)
      return
    }
    this.#map.refresh(ctx, link)
    this.send(ctx, request)
  }

  #onCode(ctx: ClientContext, attempt: Attempt, answer: Answer): void {
    const { request, link } = attempt
    const code = codeOfResponse(answer.code)
    if (code === 'OK' && request.op !== undefined) return this.#resolve(ctx, request, { how: 'applied' })
    // Only the response to the CANCEL itself proves that no replica will ever apply the operation. The primary refuses
    // the cancelled write with the same code before that is certain.
    if (code === 'CANCELLED' && attempt.isCancel) return this.#resolve(ctx, request, { how: 'cancelled' })
    if (code === 'FENCED') return this.#owner.onFenced(ctx, request)
    const isNewest = request.state === 'sent' && answer.request === request.number
    // A refusal of an earlier attempt has no effect, since only the newest attempt counts.
    if (!isNewest) return
    request.refusals++
    const action = request.cancelling ? 'refresh' : retryAction(code, request.refusals)
    if (action === 'give-up') return this.#refuse(ctx, request, code === 'OK' ? 'INTERNAL' : code)
    const stale = answer.epoch > ((this.#map.extent(request.piece.extent)?.epoch ?? 0) as Epoch)
    this.#hold(ctx, request, code, holdMs(code, request.refusals, ctx.timers.waitRetryMs))
    if (action === 'refresh' || stale) this.#map.refresh(ctx, link)
  }

  #refuse(ctx: ClientContext, request: PieceRequest, code: ErrorCode): void {
    if (mayTakeEffect(request) && request.sends > 1) this.#owner.onRefusedAfterRetry(ctx, request, code)
    else this.#resolve(ctx, request, { how: 'refused', code })
  }

  /** Stores the response to a read or a query in its call. False when it does not fit the request. */
  #accept(request: PieceRequest, answer: Exclude<ClientResponse, Answer>): boolean {
    const { call, piece } = request
    if (answer.type === 'read-done')
      return call.kind === 'read' && call.target !== undefined && placeRead(call.target, piece, answer.parts)
    if (call.kind !== 'allocation') return false
    const runs = pieceRuns(call.volume.record.blockSizeBytes, piece, answer.runs)
    if (runs !== undefined) call.runs.push({ at: piece.at, runs })
    return runs !== undefined
  }

  #resolve(ctx: ClientContext, request: PieceRequest, resolution: Resolution): void {
    this.drop(ctx, request)
    const { volume } = request.call
    const { extent } = request.piece
    if (resolution.how === 'applied' && volume.waiting.delete(extent))
      ctx.event({ what: 'resumed', volume: volume.record.name, extent })
    this.#owner.onResolved(ctx, request, resolution)
  }

  #reportWaiting(ctx: ClientContext, request: PieceRequest): void {
    const { volume } = request.call
    const { extent } = request.piece
    if (request.reason === undefined || ctx.now - request.waitingSince < ctx.timers.waitingEventMs) return
    if (volume.waiting.has(extent)) return
    volume.waiting.add(extent)
    ctx.event({ what: 'waiting', volume: volume.record.name, extent, reason: request.reason })
  }
}
