import { type AdminCommand, type AdminDone, type Millis, WIRE_VERSION_MIN } from '@ashlar/proto'
import type { ClientContext } from './context.ts'
import { controlFailure, waitedFailure } from './failures.ts'
import type { LinkTable } from './link-table.ts'
import type { ClientFailure, ClientLink } from './machine.ts'
import type { MapCache } from './map-cache.ts'
import { codeOfResponse, holdMs, retryAction } from './retry.ts'

export type AdminOutcome =
  | { readonly ok: true; readonly done: AdminDone }
  | { readonly ok: false; readonly failure: ClientFailure }

/** First wire version with renewals of attachments that share a volume (A2.11-9). */
const RENEWALS_WIRE = 3

/** One command on its way to control, by way of any node. */
export interface AdminRequest {
  readonly command: AdminCommand
  readonly deadline: Millis
  /** Times that it was sent: above 1, an earlier attempt may have taken effect. */
  sends: number
  refusals: number
  /** The last refusal that is retried. */
  lastRefusal: ClientFailure | undefined
  number: number | undefined
  link: ClientLink | undefined
  wakeAt: Millis
  readonly onDone: (ctx: ClientContext, outcome: AdminOutcome, request: AdminRequest) => void
}

/** Sends commands to any linked node, and again to another one when the response does not come. */
export class AdminRequests {
  readonly #links: LinkTable
  readonly #map: MapCache
  readonly #pending: Set<AdminRequest> = new Set()

  constructor(links: LinkTable, map: MapCache) {
    this.#links = links
    this.#map = map
  }

  get size(): number {
    return this.#pending.size
  }

  start(ctx: ClientContext, command: AdminCommand, deadline: Millis, onDone: AdminRequest['onDone']): AdminRequest {
    const request: AdminRequest = {
      command,
      deadline,
      sends: 0,
      refusals: 0,
      lastRefusal: undefined,
      number: undefined,
      link: undefined,
      wakeAt: ctx.now,
      onDone,
    }
    this.#pending.add(request)
    this.#send(ctx, request)
    return request
  }

  /** Drops a request whose outcome is not needed any more. */
  drop(request: AdminRequest): void {
    this.#pending.delete(request)
  }

  /** False when the response belongs to no pending request. */
  onResponse(ctx: ClientContext, done: AdminDone): boolean {
    for (const request of this.#pending) {
      if (request.number !== done.request) continue
      this.#onOutcome(ctx, request, done)
      return true
    }
    return false
  }

  onLinkUp(ctx: ClientContext): void {
    for (const request of this.#pending) if (request.link === undefined) this.#send(ctx, request)
  }

  onLinkDown(ctx: ClientContext, link: ClientLink): void {
    for (const request of this.#pending) if (request.link === link) this.#send(ctx, request, link)
  }

  tick(ctx: ClientContext): void {
    for (const request of this.#pending) {
      if (ctx.now >= request.deadline) {
        this.#pending.delete(request)
        const failure = request.lastRefusal ?? waitedFailure(`the command ${request.command.do}`)
        request.onDone(ctx, { ok: false, failure }, request)
      } else if (ctx.now >= request.wakeAt) {
        const { link } = request
        if (link !== undefined) this.#map.probe(ctx, link)
        this.#send(ctx, request, link)
      }
    }
  }

  #send(ctx: ClientContext, request: AdminRequest, except?: ClientLink): void {
    // A node of an older build that was down when the level was raised does not know newer commands.
    const link = this.#links.any(ctx, except, wireOf(request.command))
    request.link = link
    request.number = undefined
    request.wakeAt = ctx.now + ctx.timers.adminTimeoutMs
    if (link === undefined) return
    request.sends++
    request.number = ctx.request()
    ctx.emit({ type: 'send', link, message: { type: 'admin', request: request.number, command: request.command } })
  }

  #onOutcome(ctx: ClientContext, request: AdminRequest, done: AdminDone): void {
    const code = codeOfResponse(done.code)
    request.refusals++
    // For data NOT_FOUND may mean a map that is behind and is retried; here it is the response of control itself.
    const action = code === 'OK' || code === 'NOT_FOUND' ? 'give-up' : retryAction(code, request.refusals)
    if (action === 'wait' || action === 'refresh') {
      request.number = undefined
      request.lastRefusal = controlFailure(done)
      request.wakeAt = ctx.now + holdMs(code, request.refusals, ctx.timers.waitRetryMs)
      return
    }
    this.#pending.delete(request)
    request.onDone(ctx, code === 'OK' ? { ok: true, done } : { ok: false, failure: controlFailure(done) }, request)
  }
}

/** The oldest wire version that has the command. */
function wireOf(command: AdminCommand): number {
  return command.do === 'renew-attachment' ? RENEWALS_WIRE : WIRE_VERSION_MIN
}
