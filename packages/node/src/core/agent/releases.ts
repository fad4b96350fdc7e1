import {
  type Epoch,
  ERRORS,
  type ExtentId,
  LIMITS,
  type MapCopy,
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

/** The records that this node has. */
type Records = Pick<MapCopy, 'extents'>

interface Sent {
  readonly request: number
  readonly reason: ReleaseReason
  readonly extents: Release['extents']
  sentAt: Millis | undefined
}

/**
 * Extents that this node gives up, on their way to control. One message at a time, each sent again until it is answered:
 * control drops whatever comes late, so that a release that was answered never takes effect again. What is slow names the
 * record that it was given up under, the same one under one number: this node does nothing under a later one before control has answered (amendment 38).
 */
export class Releases {
  private readonly gathered = new Map<ReleaseReason, Map<ExtentId, ReleasedExtent>>()
  private sent: Sent | undefined
  /** Answered by control; the map may not show it yet. */
  private answered: ReleasedExtent[] = []
  private lastRequest = 0

  add(extents: readonly ReleasedExtent[], reason: ReleaseReason): void {
    const gathered = this.gathered.get(reason) ?? new Map<ExtentId, ReleasedExtent>()
    for (const extent of extents) gathered.set(extent.extent, extent)
    if (gathered.size > 0) this.gathered.set(reason, gathered)
  }

  drive(ctx: Context, link: Link, sender: { readonly store: StoreId; readonly counter: number }, map: Records): void {
    this.sent ??= this.next(map)
    const sent = this.sent
    if (sent === undefined) return
    if (sent.sentAt !== undefined && ctx.now - sent.sentAt < TIMERS.controlRetryMs) return
    sent.sentAt = ctx.now
    const { request, reason, extents } = sent
    ctx.emit({ type: 'send', link, message: { type: 'release', request, ...sender, extents, reason } })
  }

  /** Another link, or another leader. */
  resend(): void {
    if (this.sent !== undefined) this.sent.sentAt = undefined
  }

  /** False: the answer says that its sender does not lead control; the release is sent again. */
  onResponse(message: Released, now: Millis, map: Records): boolean {
    const sent = this.sent
    if (message.request !== sent?.request) return true
    if (message.code === ERRORS.NO_CONTROL.number) return false
    if (message.code === ERRORS.CONFLICT.number) this.nameAgain(sent, now, map)
    else {
      this.answered.push(...sent.extents.map(({ extent, epoch }) => ({ extent, epoch })))
      this.sent = undefined
    }
    return true
  }

  /** A record moved on before control heard of its release. Where this node has not heard of that yet it asks a while later. */
  private nameAgain({ reason, extents }: Sent, now: Millis, map: Records): void {
    const again = this.named(reason, extents, map)
    const isNews = again.extents.some(({ revision }, at) => revision !== extents[at]?.revision)
    this.sent = { ...again, sentAt: isNews ? undefined : now }
  }

  private named(reason: ReleaseReason, extents: readonly ReleasedExtent[], map: Records): Sent {
    const named = extents.map(({ extent, epoch }) => {
      const revision = reason === 'slow' ? map.extents.get(extent)?.revision : undefined
      return { extent, epoch, ...(revision === undefined ? {} : { revision }) }
    })
    return { request: ++this.lastRequest, reason, extents: named, sentAt: undefined }
  }

  /** Takes what control has answered for. */
  takeAnswered(): ReleasedExtent[] {
    return this.answered.splice(0)
  }

  /** True while control has not answered for everything that was given up. */
  get pending(): boolean {
    return this.sent !== undefined || this.gathered.size > 0
  }

  private next(map: Records): Sent | undefined {
    for (const [reason, extents] of this.gathered) {
      const first = [...extents.values()].slice(0, LIMITS.releaseExtents)
      for (const { extent } of first) extents.delete(extent)
      if (extents.size === 0) this.gathered.delete(reason)
      return this.named(reason, first, map)
    }
    return undefined
  }
}
