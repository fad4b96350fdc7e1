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
/** A released extent, with the epoch in which this node led it. */
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
 * Sends releases to control, one message at a time, repeated until control responds; control drops late duplicates. A
 * slow release names the revision of the record under which the extent was released, also when repeated: this node does
 * nothing under a later revision before the response (amendment 38).
 */
export class Releases {
  private readonly gathered = new Map<ReleaseReason, Map<ExtentId, ReleasedExtent>>()
  private sent: Sent | undefined
  /** Control responded; the map may not show the outcome yet. */
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

  /** False: the sender does not lead control; the release is sent again. */
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

  /** A record changed before the release arrived. Until this node has the change, it repeats the release later. */
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

  /** Takes the releases to which control responded. */
  takeAnswered(): ReleasedExtent[] {
    return this.answered.splice(0)
  }

  /** True while control has not responded to every release. */
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
