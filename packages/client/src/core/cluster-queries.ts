import type { AdminCommand, MapCopy, VolumeRecord } from '@ashlar/proto'
import type { AdminRequests } from './admin-requests.ts'
import { type ClientContext, DONE } from './context.ts'
import { noMapFailure, notFoundFailure, waitedFailure } from './failures.ts'
import type { LinkTable } from './link-table.ts'
import type { CallToken, ClientFailure, ClientResult, VolumeState } from './machine.ts'
import type { MapCache } from './map-cache.ts'
import type { MapWait, MapWaits } from './map-waits.ts'

/** Calls about the cluster: queries of the map, and the creation and removal of volumes. */
export class ClusterQueries {
  readonly #servers: readonly string[]
  readonly #links: LinkTable
  readonly #map: MapCache
  readonly #waits: MapWaits
  readonly #admin: AdminRequests
  /** Pending calls, with what drops them when the caller aborts. */
  readonly #pending: Map<CallToken, () => void> = new Map()
  /** Why the last dial of each server failed; emptied by a success. */
  readonly #dialFailures: Map<string, string> = new Map()

  constructor(parts: {
    servers: readonly string[]
    links: LinkTable
    map: MapCache
    waits: MapWaits
    admin: AdminRequests
  }) {
    this.#servers = parts.servers
    this.#links = parts.links
    this.#map = parts.map
    this.#waits = parts.waits
    this.#admin = parts.admin
  }

  abandon(ctx: ClientContext, token: CallToken): boolean {
    const drop = this.#pending.get(token)
    if (drop === undefined) return false
    drop()
    this.#settle(ctx, token, { code: 'ABORTED', message: 'the call was aborted by its caller' })
    return true
  }

  shutDown(ctx: ClientContext, failure: ClientFailure): void {
    for (const [token, drop] of this.#pending) {
      drop()
      ctx.fail(token, failure)
    }
    this.#pending.clear()
  }

  onDialFailed(ctx: ClientContext, address: string, reason: string): void {
    this.#dialFailures.set(address, reason)
    if (this.#map.learned || this.#links.usable().length > 0) return
    if (!this.#servers.every((server) => this.#dialFailures.has(server))) return
    for (const token of [...this.#waitingForMap]) {
      this.#pending.get(token)?.()
      this.#settle(ctx, token, noMapFailure(this.#dialFailures))
    }
  }

  onLinkUp(address: string): void {
    this.#dialFailures.delete(address)
  }

  // ---- calls

  readonly #waitingForMap: Set<CallToken> = new Set()

  waitForMap(ctx: ClientContext, token: CallToken): void {
    this.#waitingForMap.add(token)
    this.#look(ctx, token, 'the first request for the map', () => (this.#map.learned ? DONE : undefined))
  }

  listVolumes(ctx: ClientContext, token: CallToken): void {
    this.#look(ctx, token, 'the request for the map', (looked) => {
      if (!looked) return undefined
      const records = [...this.#map.copy.volumes.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
      const volumes = records.map((volume) => ({ volume, state: volumeState(this.#map.copy, volume) }))
      return { kind: 'volumes', volumes }
    })
  }

  describeVolume(ctx: ClientContext, token: CallToken, name: string): void {
    this.#look(ctx, token, 'the request for the map', (looked) => {
      if (!looked) return undefined
      const volume = this.#map.copy.volumeNamed(name)
      if (volume === undefined) return notFoundFailure(name)
      return { kind: 'volume', volume, state: volumeState(this.#map.copy, volume) }
    })
  }

  /** Sends the command; done when this client's map has what it did. */
  command(
    ctx: ClientContext,
    token: CallToken,
    command: Extract<AdminCommand, { do: 'create-volume' | 'remove-volume' }>,
  ): void {
    const request = this.#admin.start(ctx, command, ctx.now + ctx.timers.ioTimeoutMs, (now, outcome, sent) => {
      if (outcome.ok) return this.#awaitRevision(now, token, outcome.done.revision, outcome.done.volume)
      const { failure } = outcome
      // The response to an earlier attempt was lost; the attempt took effect.
      const known = this.#map.copy.volumeNamed(command.name)
      const again = sent.sends > 1
      if (again && failure.code === 'NOT_FOUND' && command.do === 'remove-volume') this.#settle(now, token, DONE)
      else if (
        again &&
        failure.code === 'EXISTS' &&
        command.do === 'create-volume' &&
        known !== undefined &&
        sameShape(command, known)
      )
        this.#settle(now, token, this.#describe(known))
      else this.#settle(now, token, failure)
    })
    this.#pending.set(token, () => this.#admin.drop(request))
  }

  #awaitRevision(ctx: ClientContext, token: CallToken, revision: number, volume: VolumeRecord | undefined): void {
    const result = (): ClientResult => (volume === undefined ? DONE : this.#describe(volume))
    const wait: MapWait = {
      deadline: ctx.now + ctx.timers.ioTimeoutMs,
      check: (now) => {
        if (this.#map.copy.revision < revision) return false
        this.#settle(now, token, result())
        return true
      },
      // The command took effect, although this client's map is behind.
      onDeadline: (now) => this.#settle(now, token, result()),
    }
    if (!this.#pending.has(token)) return
    const added = this.#waits.add(ctx, wait)
    if (this.#pending.has(token)) this.#pending.set(token, () => this.#waits.drop(added))
  }

  #describe(volume: VolumeRecord): ClientResult {
    return { kind: 'volume', volume, state: volumeState(this.#map.copy, volume) }
  }

  /** Waits until `answer` returns a result or a failure. */
  #look(
    ctx: ClientContext,
    token: CallToken,
    what: string,
    answer: (looked: boolean) => ClientResult | ClientFailure | undefined,
  ): void {
    this.#pending.set(token, () => {})
    const added = this.#waits.add(ctx, {
      deadline: ctx.now + ctx.timers.ioTimeoutMs,
      check: (now, looked) => {
        const result = answer(looked)
        if (result !== undefined) this.#settle(now, token, result)
        return result !== undefined
      },
      onDeadline: (now) => this.#settle(now, token, waitedFailure(what)),
    })
    if (this.#pending.has(token)) this.#pending.set(token, () => this.#waits.drop(added))
  }

  #settle(ctx: ClientContext, token: CallToken, result: ClientResult | ClientFailure): void {
    if (!this.#pending.delete(token)) return
    this.#waitingForMap.delete(token)
    if ('kind' in result) ctx.succeed(token, result)
    else ctx.fail(token, result)
  }
}

/** How well a volume is replicated according to the map. */
export function volumeState(map: MapCopy, volume: VolumeRecord): VolumeState {
  let worst: VolumeState = 'healthy'
  for (const extent of map.extentsOf(volume.id)) {
    const isUp = (store: (typeof extent.assigned)[number]): boolean => map.nodes.get(store)?.state === 'up'
    if (extent.inSync.length < volume.minInSync || !isUp(extent.primary.store)) return 'unavailable'
    if (extent.inSync.length >= volume.replicas) continue
    if (!extent.assigned.every(isUp)) worst = 'degraded'
    else if (worst === 'healthy') worst = 'recovering'
  }
  return worst
}

function sameShape(command: Extract<AdminCommand, { do: 'create-volume' }>, volume: VolumeRecord): boolean {
  return (
    command.sizeBytes === volume.sizeBytes &&
    command.blockSizeBytes === volume.blockSizeBytes &&
    command.extentSizeBytes === volume.extentSizeBytes &&
    command.replicas === volume.replicas &&
    command.minInSync === volume.minInSync
  )
}
