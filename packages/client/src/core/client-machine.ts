import type { Bytes, MapDelta, Message, Millis } from '@ashlar/proto'
import { AdminRequests } from './admin-requests.ts'
import { Io } from './calls.ts'
import { ClusterQueries } from './cluster-queries.ts'
import { type ClientContext, type ClientTimers, clientTimers, DONE } from './context.ts'
import { closedFailure, outOfRangeFailure, readOnlyFailure } from './failures.ts'
import { LinkTable } from './link-table.ts'
import type {
  CallToken,
  ClientCall,
  ClientEffect,
  ClientFailure,
  ClientInput,
  ClientLink,
  ClientOptions,
} from './machine.ts'
import { MapCache } from './map-cache.ts'
import { MapWaits } from './map-waits.ts'
import type { IoCall, OpenVolume, PieceRequest } from './open-volume.ts'
import { Random } from './random.ts'
import { Volumes } from './volumes.ts'

type VolumeCall = Extract<ClientCall, { volume: unknown }>
type RangeCall = Extract<ClientCall, { offset: Bytes }>

/**
 * One client: every decision of the library, as a machine (the contract is in machine.ts). It composes the parts of
 * this folder and routes inputs to them. Effects are executed in order.
 */
export class ClientMachine {
  readonly #servers: readonly string[]
  readonly #timers: ClientTimers
  readonly #random: Random
  readonly #links: LinkTable = new LinkTable()
  readonly #map: MapCache
  readonly #waits: MapWaits
  readonly #admin: AdminRequests
  readonly #queries: ClusterQueries
  readonly #io: Io
  readonly #volumes: Volumes
  #dialed = ''
  #dialChanged = true
  #nextRequest = 1
  #isShutDown = false

  constructor(options: ClientOptions) {
    this.#servers = options.servers
    this.#timers = clientTimers(options)
    this.#random = new Random(options.seed)
    const links = this.#links
    this.#map = new MapCache(links)
    this.#waits = new MapWaits(this.#map)
    this.#admin = new AdminRequests(links, this.#map)
    const shared = { links, map: this.#map, waits: this.#waits, admin: this.#admin }
    this.#queries = new ClusterQueries({ ...shared, servers: options.servers })
    this.#io = new Io(links, this.#map, {
      onFenced: (ctx, request) => this.#volumes.onFenced(ctx, request.call.volume),
      onPrimaryWanted: (_ctx, request) => this.#onPrimaryWanted(request),
    })
    this.#volumes = new Volumes({ ...shared, io: this.#io, name: options.name, owner: options.owner })
  }

  /** True while a tick may change something: the shell may stop ticking while it is false. */
  get isBusy(): boolean {
    return (
      !this.#io.isIdle || this.#waits.size > 0 || this.#admin.size > 0 || this.#volumes.isBusy || this.#links.probing
    )
  }

  /** One tick a second renews its attachments, while it is not busy too. */
  get renews(): boolean {
    return this.#volumes.renews
  }

  /** Takes one input at the monotonic time `now`, which never goes back, and returns what the shell is to do. */
  step(now: Millis, input: ClientInput): readonly ClientEffect[] {
    const effects: ClientEffect[] = []
    const ctx = this.#context(now, effects)
    if (this.#isShutDown) {
      if (input.type === 'call') ctx.fail(input.token, closedFailure('client'))
      return effects
    }
    this.#route(ctx, input)
    if (!this.#isShutDown) {
      this.#volumes.closeIdle(ctx)
      this.#dial(ctx)
    }
    return effects
  }

  #route(ctx: ClientContext, input: ClientInput): void {
    switch (input.type) {
      case 'tick':
        return this.#onTick(ctx)
      case 'link-up':
        return this.#onLinkUp(ctx, input)
      case 'link-down':
        return this.#onLinkDown(ctx, input.link)
      case 'dial-failed':
        return this.#queries.onDialFailed(ctx, input.address, input.reason)
      case 'received':
        if (this.#links.heard(input.link, ctx.now)) this.#onMessage(ctx, input.link, input.message)
        return
      case 'call':
        return this.#onCall(ctx, input.token, input.call)
      case 'abandon':
        this.#abandon(ctx, input.token)
        return
      case 'shut-down':
        return this.#shutDown(ctx)
    }
  }

  #onTick(ctx: ClientContext): void {
    this.#links.tick(ctx)
    this.#map.tick(ctx)
    this.#waits.tick(ctx)
    this.#admin.tick(ctx)
    this.#io.tick(ctx)
    this.#volumes.tick(ctx)
  }

  #onLinkUp(ctx: ClientContext, up: Extract<ClientInput, { type: 'link-up' }>): void {
    this.#links.up(up, ctx.now)
    ctx.event({ what: 'connected', address: up.address, store: up.store })
    this.#queries.onLinkUp(up.address)
    this.#map.onLinkUp(ctx, up.link)
    this.#waits.onLinkUp(ctx)
    this.#admin.onLinkUp(ctx)
    this.#io.dispatcher.onLinkUp(ctx, up.store)
  }

  #onLinkDown(ctx: ClientContext, link: ClientLink): void {
    const address = this.#links.down(link)
    if (address === undefined) return
    ctx.event({ what: 'disconnected', address })
    this.#map.onLinkDown(ctx, link)
    this.#waits.onLinkDown(ctx, link)
    this.#admin.onLinkDown(ctx, link)
    this.#io.dispatcher.onLinkDown(ctx, link)
  }

  #onMessage(ctx: ClientContext, link: ClientLink, message: Message): void {
    switch (message.type) {
      case 'answer':
      case 'read-done':
      case 'allocation':
        return this.#io.dispatcher.onResponse(ctx, link, message)
      case 'map-update':
        return this.#onMapUpdate(ctx, link, message.delta)
      case 'admin-done':
        this.#admin.onResponse(ctx, message)
        return
      case 'ping':
        return
      default:
        this.#links.close(ctx, link, `a client does not take messages of type ${message.type}`)
    }
  }

  #onMapUpdate(ctx: ClientContext, link: ClientLink, delta: MapDelta): void {
    const change = this.#map.onUpdate(ctx, link, delta)
    if (change !== undefined) {
      ctx.event({ what: 'map', revision: this.#map.copy.revision })
      this.#dialChanged = true
      this.#volumes.onMapChanged(ctx, change)
      this.#io.dispatcher.onMapChanged(ctx, change)
    }
    this.#waits.onMapUpdate(ctx, link)
  }

  // ---- calls

  #onCall(ctx: ClientContext, token: CallToken, call: ClientCall): void {
    switch (call.do) {
      case 'wait-for-map':
        return this.#queries.waitForMap(ctx, token)
      case 'list-volumes':
        return this.#queries.listVolumes(ctx, token)
      case 'describe-volume':
        return this.#queries.describeVolume(ctx, token, call.name)
      case 'admin':
        return this.#queries.command(ctx, token, call.command)
      case 'open':
        return this.#volumes.open(ctx, { ...call, token })
      default:
        return this.#onVolumeCall(ctx, token, call)
    }
  }

  #onVolumeCall(ctx: ClientContext, token: CallToken, call: VolumeCall): void {
    const volume = this.#volumes.get(call.volume)
    if (volume === undefined) return ctx.fail(token, closedFailure('volume'))
    if (call.do === 'close') return this.#volumes.close(ctx, token, volume)
    const over = volume.ended ?? (volume.state === 'open' ? undefined : closedFailure(`volume '${volume.record.name}'`))
    if (over !== undefined) return ctx.fail(token, over)
    const order = volume.nextOrder++
    const deadline = ctx.now + this.#timers.ioTimeoutMs
    if (call.do === 'flush') return this.#io.flush(ctx, volume, { token, order, deadline })
    const length = call.do === 'write' ? call.bytes.length : call.length
    const refusal = rangeRefusal(volume, call, length)
    if (refusal !== undefined) return ctx.fail(token, refusal)
    if (length === 0) return ctx.succeed(token, emptyResult(call))
    this.#io.start(ctx, ioCall(volume, call, { token, order, deadline, length }))
  }

  #abandon(ctx: ClientContext, token: CallToken): void {
    if (this.#io.abandon(ctx, token)) return
    if (!this.#queries.abandon(ctx, token)) this.#volumes.abandon(ctx, token)
  }

  #shutDown(ctx: ClientContext): void {
    this.#isShutDown = true
    const failure = closedFailure('client')
    this.#queries.shutDown(ctx, failure)
    this.#volumes.shutDown(ctx, failure)
    ctx.emit({ type: 'dial', addresses: [] })
  }

  // ---- dialing

  #onPrimaryWanted(request: PieceRequest): void {
    const { touched } = request.call.volume
    if (touched.has(request.piece.extent)) return
    touched.add(request.piece.extent)
    this.#dialChanged = true
  }

  /** Keeps links to the servers that were given and to the primary of every extent in use. */
  #dial(ctx: ClientContext): void {
    if (!this.#dialChanged) return
    this.#dialChanged = false
    const addresses = new Set(this.#servers)
    for (const volume of this.#volumes.all()) {
      for (const extent of volume.touched) {
        const primary = this.#map.extent(extent)?.primary.store
        const address = primary === undefined ? undefined : this.#map.copy.nodes.get(primary)?.address
        if (address !== undefined && address !== '') addresses.add(address)
      }
    }
    const sorted = [...addresses].sort()
    const key = sorted.join(' ')
    if (key === this.#dialed) return
    this.#dialed = key
    ctx.emit({ type: 'dial', addresses: sorted })
  }

  #context(now: Millis, effects: ClientEffect[]): ClientContext {
    return {
      now,
      timers: this.#timers,
      emit: (effect) => effects.push(effect),
      event: (event) => effects.push({ type: 'event', event }),
      succeed: (token, result) => effects.push({ type: 'settled', token, outcome: { ok: true, result } }),
      fail: (token, failure) => effects.push({ type: 'settled', token, outcome: { ok: false, failure } }),
      random: () => this.#random.fraction(),
      request: () => this.#nextRequest++,
    }
  }
}

function rangeRefusal(volume: OpenVolume, call: RangeCall, length: Bytes): ClientFailure | undefined {
  const { name, sizeBytes } = volume.record
  const changes = call.do === 'write' || call.do === 'discard'
  if (changes && volume.session === undefined) return readOnlyFailure(name)
  const whole = Number.isSafeInteger(call.offset) && Number.isSafeInteger(length)
  if (!whole || call.offset < 0 || length < 0 || call.offset + length > sizeBytes)
    return outOfRangeFailure(name, sizeBytes, call.offset, length)
  return undefined
}

function emptyResult(call: RangeCall) {
  if (call.do === 'read') return { kind: 'bytes', bytes: call.target ?? new Uint8Array(0) } as const
  return call.do === 'query-allocation' ? ({ kind: 'allocation', runs: [] } as const) : DONE
}

function ioCall(
  volume: OpenVolume,
  call: RangeCall,
  given: Pick<IoCall, 'token' | 'order' | 'deadline' | 'length'>,
): IoCall {
  return {
    ...given,
    volume,
    kind: call.do === 'query-allocation' ? 'allocation' : call.do,
    offset: call.offset,
    bytes: call.do === 'write' ? call.bytes : undefined,
    checksums: call.do === 'write' ? call.checksums : undefined,
    discardKind: call.do === 'discard' ? call.kind : undefined,
    target: call.do === 'read' ? (call.target ?? new Uint8Array(given.length)) : undefined,
    runs: [],
    cursor: 0,
    pieces: new Set(),
    appliedPieces: 0,
    appliedBytes: 0,
    graceUntil: undefined,
    failure: undefined,
    settled: false,
  }
}
