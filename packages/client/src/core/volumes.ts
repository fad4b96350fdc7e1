import {
  type AttachMode,
  type AttachPolicy,
  FEATURES,
  type MapChange,
  type Millis,
  type SessionId,
  TIMERS,
  type VolumeId,
  type VolumeRecord,
} from '@ashlar/proto'
import type { AdminRequests } from './admin-requests.ts'
import type { Io } from './calls.ts'
import { type ClientContext, DONE } from './context.ts'
import {
  closedFailure,
  fencedFailure,
  notFoundFailure,
  removedFailure,
  tooOldFailure,
  waitedFailure,
} from './failures.ts'
import type { CallToken, ClientFailure, VolumeHandle } from './machine.ts'
import type { MapCache } from './map-cache.ts'
import type { MapWait, MapWaits } from './map-waits.ts'
import { type OpenVolume, openVolume } from './open-volume.ts'
import { Session } from './session.ts'

interface OpenCall {
  readonly token: CallToken
  readonly name: string
  readonly mode: AttachMode
  readonly policy: AttachPolicy
  readonly at?: Millis
}

/** An open that is not settled: what it waits for, and the attachment to release if its caller aborts it. */
interface Opening {
  /** The caller aborted the open before control responded. */
  abandoned: boolean
  wait: MapWait | undefined
  attached: { readonly volume: VolumeId; readonly session: SessionId } | undefined
}

/** Opens and closes volumes, and ends their sessions when the map says so. */
export class Volumes {
  readonly #map: MapCache
  readonly #waits: MapWaits
  readonly #admin: AdminRequests
  readonly #io: Io
  readonly #name: string
  readonly #owner: string | undefined
  readonly #open: Map<VolumeHandle, OpenVolume> = new Map()
  /** Opens that are not settled. */
  readonly #opening: Map<CallToken, Opening> = new Map()
  #nextHandle = 1

  constructor(parts: {
    map: MapCache
    waits: MapWaits
    admin: AdminRequests
    io: Io
    name: string
    owner: string | undefined
  }) {
    this.#map = parts.map
    this.#waits = parts.waits
    this.#admin = parts.admin
    this.#io = parts.io
    this.#name = parts.name
    this.#owner = parts.owner
  }

  get(handle: VolumeHandle): OpenVolume | undefined {
    return this.#open.get(handle)
  }

  all(): Iterable<OpenVolume> {
    return this.#open.values()
  }

  /** A tick may change something soon: a volume is being closed. */
  get isBusy(): boolean {
    for (const volume of this.#open.values()) if (volume.closing !== undefined) return true
    return false
  }

  /** A tick every second renews attachments in time. */
  get renews(): boolean {
    for (const volume of this.#open.values()) if (renews(volume)) return true
    return false
  }

  /** Renews the attachments: control notices sessions without renewals (A2.11-9, A2.11-12). */
  tick(ctx: ClientContext): void {
    for (const volume of this.#open.values()) {
      const { session, record } = volume
      if (session === undefined || !renews(volume) || ctx.now < volume.renewAt) continue
      volume.renewAt = ctx.now + TIMERS.holderRenewMs
      const command = { do: 'renew-attachment', volume: record.id, session: session.id } as const
      this.#admin.start(ctx, command, volume.renewAt, (now, outcome) => {
        if (!outcome.ok && outcome.failure.code === 'FENCED' && volume.closing?.detaching !== true)
          this.onFenced(now, volume)
      })
    }
  }

  open(ctx: ClientContext, call: OpenCall): void {
    if (call.mode === 'read-only') this.#openReadOnly(ctx, call)
    else this.#attach(ctx, call, call.mode)
  }

  /** The caller aborted an open. If it is attached nevertheless, the attachment is released. False: no such open. */
  abandon(ctx: ClientContext, token: CallToken): boolean {
    const opening = this.#opening.get(token)
    if (opening === undefined) return false
    this.#opening.delete(token)
    opening.abandoned = true
    if (opening.wait !== undefined) this.#waits.drop(opening.wait)
    if (opening.attached !== undefined) this.#detach(ctx, opening.attached)
    ctx.fail(token, { code: 'ABORTED', message: 'the open was aborted by its caller' })
    return true
  }

  close(ctx: ClientContext, token: CallToken, volume: OpenVolume): void {
    if (volume.closing !== undefined) return ctx.fail(token, closedFailure(`volume '${volume.record.name}'`))
    const limit = ctx.now + ctx.timers.ioTimeoutMs + ctx.timers.cancelGraceMs
    volume.closing = { token, limit, detaching: false }
    if (volume.state === 'open') volume.state = 'closing'
    this.#closeIfIdle(ctx, volume)
  }

  /**
   * A response fenced the session. The node that sent it has a map that names the new holder: this client's map gets it a
   * moment later, and the calls fail with its name then.
   */
  onFenced(ctx: ClientContext, volume: OpenVolume): void {
    if (volume.fencing || volume.state === 'ended') return
    volume.fencing = true
    this.#waits.add(ctx, {
      deadline: ctx.now + ctx.timers.lookMs,
      check: (now, looked) => {
        if (volume.state !== 'ended' && looked) this.#endFenced(now, volume)
        return volume.state === 'ended'
      },
      onDeadline: (now) => this.#endFenced(now, volume),
    })
  }

  #endFenced(ctx: ClientContext, volume: OpenVolume): void {
    if (volume.session !== undefined) this.#end(ctx, volume, fencedFailure(volume.record, volume.session), 'fenced')
  }

  onMapChanged(ctx: ClientContext, change: MapChange): void {
    for (const volume of this.#open.values()) {
      const { id } = volume.record
      if (change.removedVolumes.includes(id)) this.#end(ctx, volume, removedFailure(volume.record.name), 'removed')
      else if (change.volumes.includes(id)) this.#onRecord(ctx, volume, this.#map.copy.volumes.get(id))
    }
  }

  /** Ends every volume without a detach: the client ends. */
  shutDown(ctx: ClientContext, failure: ClientFailure): void {
    for (const token of this.#opening.keys()) ctx.fail(token, failure)
    this.#opening.clear()
    for (const volume of this.#open.values()) {
      this.#io.endVolume(ctx, volume, failure)
      if (volume.closing !== undefined) ctx.fail(volume.closing.token, failure)
    }
    this.#open.clear()
  }

  /** Closes volumes that are being closed and idle; called whenever a call of theirs may have ended. */
  closeIdle(ctx: ClientContext): void {
    for (const volume of this.#open.values()) if (volume.closing !== undefined) this.#closeIfIdle(ctx, volume)
  }

  // ---- opening

  #openReadOnly(ctx: ClientContext, call: OpenCall): void {
    const opening = this.#begin(call.token)
    opening.wait = this.#waits.add(ctx, {
      deadline: ctx.now + ctx.timers.ioTimeoutMs,
      check: (now, looked) => {
        const record = this.#map.copy.volumeNamed(call.name)
        if (record !== undefined) this.#opened(now, call, undefined, record)
        else if (looked) this.#failOpen(now, call.token, notFoundFailure(call.name))
        return record !== undefined || looked
      },
      onDeadline: (now) => this.#failOpen(now, call.token, waitedFailure(`the open of volume '${call.name}'`)),
    })
  }

  #attach(ctx: ClientContext, call: OpenCall, mode: AttachMode): void {
    const session = new Session(sessionId(ctx))
    const opening = this.#begin(call.token)
    const { name, policy, at: since } = call
    const { featureLevel } = this.#map.copy
    session.renews = featureLevel >= (mode === 'shared' ? FEATURES.endedSessions : FEATURES.attachPolicies)
    if (policy === 'resume' && this.#map.learned && featureLevel < FEATURES.attachPolicies)
      return this.#failOpen(ctx, call.token, tooOldFailure(name))
    const command = {
      ...({ do: 'attach', name, session: session.id, mode, ifFree: policy === 'free', client: this.#name } as const),
      ...(session.renews ? { renews: true } : {}),
      policy,
      ...(this.#owner === undefined ? {} : { owner: this.#owner }),
      ...(since === undefined ? {} : { since }),
    }
    this.#admin.start(ctx, command, ctx.now + ctx.timers.ioTimeoutMs, (now, outcome) => {
      const record = outcome.ok ? outcome.done.volume : undefined
      if (record !== undefined) opening.attached = { volume: record.id, session: session.id }
      if (opening.abandoned) {
        if (opening.attached !== undefined) this.#detach(now, opening.attached)
      } else if (!outcome.ok) this.#failOpen(now, call.token, outcome.failure)
      else if (record === undefined) this.#failOpen(now, call.token, withoutVolume(name))
      else this.#onAttached(now, call, opening, session, record)
    })
  }

  /** The attachment is complete; the volume is open once this client's map knows its extents. */
  #onAttached(ctx: ClientContext, call: OpenCall, opening: Opening, session: Session, record: VolumeRecord): void {
    session.generation = record.generation
    opening.wait = this.#waits.add(ctx, {
      deadline: ctx.now + ctx.timers.ioTimeoutMs,
      check: (now) => {
        const known = this.#map.copy.volumes.get(record.id)
        if (known !== undefined && known.changedAt >= record.changedAt) {
          this.#opened(now, call, session, known)
          return true
        }
        const gone = this.#map.copy.removedVolumes.has(record.id)
        if (gone) this.#failOpen(now, call.token, removedFailure(call.name))
        return gone
      },
      onDeadline: (now) => {
        this.#detach(now, { volume: record.id, session: session.id })
        this.#failOpen(now, call.token, waitedFailure(`the open of volume '${call.name}'`))
      },
    })
  }

  #opened(ctx: ClientContext, call: OpenCall, session: Session | undefined, record: VolumeRecord): void {
    this.#opening.delete(call.token)
    const handle = this.#nextHandle++
    const volume = openVolume({ handle, mode: call.mode, session, record })
    this.#open.set(handle, volume)
    ctx.succeed(call.token, { kind: 'opened', handle, volume: record })
    this.#onRecord(ctx, volume, record)
  }

  #failOpen(ctx: ClientContext, token: CallToken, failure: ClientFailure): void {
    this.#opening.delete(token)
    ctx.fail(token, failure)
  }

  #begin(token: CallToken): Opening {
    const opening: Opening = { abandoned: false, wait: undefined, attached: undefined }
    this.#opening.set(token, opening)
    return opening
  }

  /** Releases an attachment without a volume; if that fails, the next exclusive open replaces it. */
  #detach(ctx: ClientContext, attached: { readonly volume: VolumeId; readonly session: SessionId }): void {
    this.#admin.start(ctx, { do: 'detach', ...attached }, ctx.now + ctx.timers.answerTimeoutMs, () => {})
  }

  // ---- changes of the map

  #onRecord(ctx: ClientContext, volume: OpenVolume, record: VolumeRecord | undefined): void {
    if (record === undefined) return
    volume.record = record
    const { session } = volume
    if (session === undefined || volume.state === 'ended' || volume.closing?.detaching === true) return
    if (record.generation > session.generation || this.#isEnded(session, record)) this.#endFenced(ctx, volume)
  }

  /** Control ended this single session: no primary takes its operations any more (amendment 31). */
  #isEnded(session: Session, { holders }: VolumeRecord): boolean {
    return (
      this.#map.copy.featureLevel >= FEATURES.endedSessions && !holders.some((holder) => holder.session === session.id)
    )
  }

  #end(ctx: ClientContext, volume: OpenVolume, failure: ClientFailure, what: 'fenced' | 'removed'): void {
    if (volume.state === 'ended') return
    volume.state = 'ended'
    volume.ended = failure
    this.#io.endVolume(ctx, volume, failure)
    const event = { volume: volume.record.name, handle: volume.handle }
    const holder = failure.details?.['holder']
    if (what === 'removed') ctx.event({ what, ...event })
    else ctx.event({ what, ...event, reason: failure.message, ...(typeof holder === 'string' ? { holder } : {}) })
    this.#closeIfIdle(ctx, volume)
  }

  // ---- closing

  #closeIfIdle(ctx: ClientContext, volume: OpenVolume): void {
    const { closing, session } = volume
    if (closing === undefined || closing.detaching) return
    if (volume.calls.size > 0 || volume.flushes.size > 0) return
    // An unresolved write may still take effect: the attachment is kept until it cannot, or until time runs out.
    if (volume.state !== 'ended' && session !== undefined && session.unresolved > 0 && ctx.now < closing.limit) return
    if (session === undefined || volume.state === 'ended') return this.#closed(ctx, volume, closing.token)
    closing.detaching = true
    this.#io.endVolume(ctx, volume, closedFailure(`volume '${volume.record.name}'`))
    const command = { do: 'detach', volume: volume.record.id, session: session.id } as const
    this.#admin.start(ctx, command, ctx.now + ctx.timers.answerTimeoutMs, (now, outcome) => {
      if (!outcome.ok) {
        const { code } = outcome.failure
        // NOT_FOUND: the volume was removed, or this attachment has ended already.
        if (code !== 'NOT_FOUND') now.event({ what: 'detach-failed', volume: volume.record.name, code })
      }
      this.#closed(now, volume, closing.token)
    })
  }

  #closed(ctx: ClientContext, volume: OpenVolume, token: CallToken): void {
    if (!this.#open.delete(volume.handle)) return
    ctx.succeed(token, DONE)
  }
}

function renews({ state, session }: OpenVolume): boolean {
  return state !== 'ended' && session?.renews === true
}

function sessionId(ctx: ClientContext): SessionId {
  const high = Math.floor(ctx.random() * 2 ** 21)
  const low = Math.floor(ctx.random() * 2 ** 32)
  return Math.max(1, high * 2 ** 32 + low) as SessionId
}

function withoutVolume(name: string): ClientFailure {
  return { code: 'INTERNAL', message: `the cluster attached volume '${name}' without returning its record` }
}
