import {
  type Epoch,
  ERRORS,
  type ExtentId,
  LIMITS,
  type Millis,
  type Release,
  type Released,
  type StoreId,
  TIMERS,
} from '@ashlar/proto'
import type { Context, Link } from '../machine.ts'

export type ReleaseReason = Release['reason']
/** An extent given up, in the epoch in which it was led. */
export interface ReleasedExtent {
  readonly extent: ExtentId
  readonly epoch: Epoch
}

interface Sent {
  readonly request: number
  readonly reason: ReleaseReason
  readonly extents: readonly ReleasedExtent[]
  sentAt: Millis | undefined
}

/**
 * Extents that this node gives up, on their way to control. One message at a time, each sent again until it is answered:
 * control drops whatever comes late, so that a release that was answered never takes effect again.
 */
export class Releases {
  readonly #gathered = new Map<ReleaseReason, Map<ExtentId, ReleasedExtent>>()
  #sent: Sent | undefined
  /** Answered by control; the map may not show it yet. */
  #answered: ReleasedExtent[] = []
  #lastRequest = 0

  add(extents: readonly ReleasedExtent[], reason: ReleaseReason): void {
    const gathered = this.#gathered.get(reason) ?? new Map<ExtentId, ReleasedExtent>()
    for (const extent of extents) gathered.set(extent.extent, extent)
    if (gathered.size > 0) this.#gathered.set(reason, gathered)
  }

  drive(ctx: Context, link: Link, sender: { readonly store: StoreId; readonly counter: number }): void {
    this.#sent ??= this.#next()
    const sent = this.#sent
    if (sent === undefined) return
    if (sent.sentAt !== undefined && ctx.now - sent.sentAt < TIMERS.controlRetryMs) return
    sent.sentAt = ctx.now
    const { request, reason, extents } = sent
    ctx.emit({ type: 'send', link, message: { type: 'release', request, ...sender, extents, reason } })
  }

  /** Another link, or another leader. */
  resend(): void {
    if (this.#sent !== undefined) this.#sent.sentAt = undefined
  }

  /** False: the answer says that its sender does not lead control; the release is sent again. */
  onAnswer(message: Released): boolean {
    if (message.request !== this.#sent?.request) return true
    if (message.code === ERRORS.NO_CONTROL.number) return false
    this.#answered.push(...this.#sent.extents)
    this.#sent = undefined
    return true
  }

  /** Takes what control has answered for. */
  takeAnswered(): ReleasedExtent[] {
    return this.#answered.splice(0)
  }

  /** True while control has not answered for everything that was given up. */
  get pending(): boolean {
    return this.#sent !== undefined || this.#gathered.size > 0
  }

  #next(): Sent | undefined {
    for (const [reason, extents] of this.#gathered) {
      const first = [...extents.values()].slice(0, LIMITS.releaseExtents)
      for (const { extent } of first) extents.delete(extent)
      if (extents.size === 0) this.#gathered.delete(reason)
      return { request: ++this.#lastRequest, reason, extents: first, sentAt: undefined }
    }
    return undefined
  }
}
