import { type Bytes, ERRORS, isUrgent, type Message, type Write } from '@ashlar/proto'
import { FrameMemory } from '@ashlar/proto/codec'
import type { WebSocket } from 'ws'
import type { Link, LinkPeer } from '../core/machine.ts'
import { STOPPING } from './close-codes.ts'
import { Connection } from './connection.ts'
import type { ConnectionEvents, ConnectionOrigin } from './connection-ports.ts'
import { isFirstOfTwo, laneOf } from './lanes.ts'
import { faultOf, type LinkStatus, LinkStatuses } from './link-status.ts'
import { newCounters, type TransportCounters } from './metrics.ts'
import { DEFAULT_MAX_CONNECTIONS, STALL_CHECK_MS, type WsTransportOptions } from './options.ts'
import { type Carrier, Pairs } from './pairs.ts'
import type { Transport, TransportEvents } from './transport.ts'
import { WsDialer } from './ws-dialer.ts'
import { WsListener } from './ws-listener.ts'

/** A transport over WebSocket, with its address and counters. */
export interface WsTransport extends Transport {
  /** host:port on which it listens. */
  readonly address: string
  readonly counters: Readonly<TransportCounters>
}

/**
 * Listens, and dials what `setDialed` names. Resolves once it listens; rejects with AshlarError USAGE when it cannot.
 * `events` are called from socket events and microtasks, never from inside a call of the transport.
 */
export async function createWsTransport(options: WsTransportOptions, events: TransportEvents): Promise<WsTransport> {
  const transport = new WebSocketTransport(options, events)
  await transport.listen()
  return transport
}

class WebSocketTransport implements WsTransport {
  readonly counters = newCounters()
  private readonly frameMemory = new FrameMemory()
  private readonly options: WsTransportOptions
  private readonly events: TransportEvents
  private readonly dialer: WsDialer
  private readonly links: Map<Link, Carrier> = new Map()
  private readonly pairs = new Pairs()
  private readonly linkOf: Map<Connection, Link> = new Map()
  /** Every connection whose socket is open, including those in their handshake and those that are closing. */
  private readonly connections: Set<Connection> = new Set()
  /** Connections with messages queued since the last flush: those of urgent lanes, and the others. */
  private readonly unflushedUrgent: Set<Connection> = new Set()
  private readonly unflushed: Set<Connection> = new Set()
  private readonly statuses = new LinkStatuses()
  private readonly wasUp: WeakSet<Connection> = new WeakSet()
  private listener: WsListener | undefined
  /** Kept, since a closed listener has no address. */
  private boundAddress = ''
  private stallTimer: NodeJS.Timeout | undefined
  private nextLink = 1
  private closing: Promise<void> | undefined
  private onEmpty: (() => void) | undefined

  constructor(options: WsTransportOptions, events: TransportEvents) {
    this.options = options
    this.events = events
    this.dialer = new WsDialer({
      logger: options.logger,
      openConnection: (socket, address, lane, accepted) =>
        this.openConnection(socket, { direction: 'out', remote: address, lane, accepted }),
      onFailed: () => {
        this.counters.failedDials++
      },
      onMalformed: (address, detail) => this.statuses.onFailed(address, { state: 'unreachable', detail }),
    })
  }

  async listen(): Promise<void> {
    this.listener = await WsListener.open({
      host: this.options.listen.host,
      port: this.options.listen.port,
      maxConnections: this.options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      logger: this.options.logger,
      counters: this.counters,
      onSocket: (socket, remote, path) => {
        // The upgrade was in progress when the transport closed.
        if (this.closing !== undefined) socket.terminate()
        else this.openConnection(socket, { direction: 'in', remote, lane: laneOf(path) })
      },
    })
    this.boundAddress = this.listener.address
    this.stallTimer = setInterval(() => {
      for (const connection of this.connections) connection.check()
    }, STALL_CHECK_MS)
    this.stallTimer.unref()
  }

  get address(): string {
    return this.boundAddress
  }

  setDialed(addresses: readonly string[]): void {
    if (this.closing !== undefined) return
    this.statuses.setDialed(addresses)
    this.dialer.setDialed(addresses)
  }

  linkStatuses(): readonly LinkStatus[] {
    return this.statuses.all()
  }

  send(link: Link, message: Message): 'queued' | 'full' | 'down' {
    const carrier = this.links.get(link)
    if (carrier === undefined) return 'down'
    const { main, urgent } = carrier
    if (urgent === undefined) return this.sendOver(main, message, this.unflushed, 0)
    if (isUrgent(message)) return this.sendOver(urgent, message, this.unflushedUrgent, main.waitingBytes)
    return this.sendOver(main, message, this.unflushed, urgent.waitingBytes)
  }

  flush(): void {
    for (const connection of this.unflushedUrgent) connection.flush()
    this.unflushedUrgent.clear()
    for (const connection of this.unflushed) connection.flush()
    this.unflushed.clear()
  }

  closeLink(link: Link, reason: string): void {
    const carrier = this.links.get(link)
    carrier?.urgent?.close(reason)
    carrier?.main.close(reason)
  }

  close(): Promise<void> {
    this.closing ??= this.shut()
    return this.closing
  }

  private async shut(): Promise<void> {
    clearInterval(this.stallTimer)
    this.dialer.setDialed([])
    for (const connection of this.connections) connection.close(STOPPING)
    const listenerClosed = this.listener?.close()
    if (this.connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.onEmpty = resolve
      })
    }
    await listenerClosed
  }

  private sendOver(
    connection: Connection,
    message: Message,
    unflushed: Set<Connection>,
    besides: Bytes,
  ): 'queued' | 'full' | 'down' {
    const outcome = connection.send(message, besides)
    if (outcome === 'queued') unflushed.add(connection)
    return outcome
  }

  private openConnection(socket: WebSocket, origin: ConnectionOrigin): Connection {
    const { counters, frameMemory } = this
    const { identity, logger, blockSizeOf = () => undefined } = this.options
    const connection = new Connection(
      socket,
      origin,
      { identity, blockSizeOf, logger, counters, frameMemory },
      this.handlers,
    )
    this.connections.add(connection)
    return connection
  }

  private readonly handlers: ConnectionEvents<Connection> = {
    up: (connection, peer) => this.onUp(connection, peer),
    down: (connection) => this.onDown(connection),
    messages: (connection, messages) => {
      const link = this.linkOf.get(connection)
      if (link !== undefined) this.handOn(link, messages)
      else this.onFirstFrame(connection, messages)
    },
    damagedWrites: (connection, writes) => this.refuseWrites(connection, writes),
    ended: (connection, reason) => {
      this.connections.delete(connection)
      this.pairs.forget(connection)
      if (connection.direction === 'out' && connection.refusal?.code === ERRORS.CONFLICT.number)
        this.options.onOtherCluster?.(connection.remote, connection.refusal.message)
      const wasUp = this.wasUp.has(connection)
      this.noteEnd(connection, wasUp)
      this.dialer.onEnded(connection, reason, wasUp)
      if (this.connections.size === 0) this.onEmpty?.()
    },
  }

  /** For reports: how the attempt to reach a peer, or the link to it, ended. The second connection of a link says nothing. */
  private noteEnd(connection: Connection, wasUp: boolean): void {
    const { direction, lane, remote, refusal, otherSide, endReason } = connection
    if (lane?.urgent === true) return
    if (direction === 'out' && wasUp) this.statuses.onDown(remote, endReason)
    else if (direction === 'out') this.statuses.onFailed(remote, faultOf(connection), connection)
    else if (refusal !== undefined && otherSide !== undefined)
      this.statuses.onRefusedInbound(otherSide.address, refusal)
  }

  private onUp(connection: Connection, peer: LinkPeer): void {
    if (connection.lane?.urgent === true) {
      const carrier = this.pairs.join(connection, peer)
      if (carrier === undefined) return
      this.establish(carrier)
      connection.send({ type: 'ping' })
      connection.flush()
    } else if (!isFirstOfTwo(connection.lane, peer)) this.establish({ main: connection, urgent: undefined, peer })
    else {
      const isDialed = connection.direction === 'out'
      this.pairs.begin(connection, peer, isDialed ? this.dialer.dialUrgent(connection) : undefined)
    }
  }

  /** The first frame of an accepted link of two connections: the link is up on both sides. A ping that only signals that is not handed on. */
  private onFirstFrame(connection: Connection, messages: readonly Message[]): void {
    const carrier = this.pairs.onFrame(connection)
    if (carrier === undefined) return
    const link = this.establish(carrier)
    if (connection === carrier.main || messages.some(({ type }) => type !== 'ping')) this.handOn(link, messages)
  }

  private handOn(link: Link, messages: readonly Message[]): void {
    if (messages.length > 0) this.events.messages(link, messages)
  }

  private refuseWrites(connection: Connection, writes: readonly Write[]): void {
    const link = this.linkOf.get(connection)
    if (link === undefined) return
    for (const write of writes) {
      const { request, epoch } = write
      const response = { type: 'answer', request, code: ERRORS.CHECKSUM.number, epoch } as const
      this.events.writeRefused(link, write, response, this.send(link, response))
    }
    this.flush()
  }

  private establish(carrier: Carrier): Link {
    const { main, urgent } = carrier
    const peer = carrier.peer.kind === 'node' ? { ...carrier.peer, urgentLane: urgent !== undefined } : carrier.peer
    const link = this.nextLink++
    this.links.set(link, carrier)
    this.linkOf.set(main, link)
    if (urgent !== undefined) this.linkOf.set(urgent, link)
    for (const connection of [main, urgent]) connection?.establish(urgent !== undefined)
    this.wasUp.add(main)
    if (main.direction === 'out') {
      this.dialer.onUp(main)
      if (peer.kind === 'node' && main.otherSide !== undefined)
        this.statuses.onUp(main.remote, { ...main.otherSide, store: peer.store })
    }
    this.options.logger.info({ link, direction: main.direction, remote: main.remote, peer }, 'link up')
    this.events.linkUp(link, main.direction, peer)
    return link
  }

  /**
   * One connection of a link ended, and its messages in flight are lost, so the link is down. Where the other side closed it
   * cleanly nothing is lost: it also closes the other connection after its messages, and the link goes down with that.
   */
  private onDown(connection: Connection): void {
    const link = this.linkOf.get(connection)
    if (link === undefined) return this.pairs.forget(connection)
    const { main, urgent } = this.links.get(link) as Carrier
    const other = connection === main ? urgent : main
    if (connection.closedBy === 'other side' && other?.isOpen === true) return other.endAfter(connection)
    this.links.delete(link)
    other?.endWith(connection)
    for (const each of [main, urgent]) {
      if (each === undefined) continue
      this.linkOf.delete(each)
      this.unflushed.delete(each)
      this.unflushedUrgent.delete(each)
    }
    this.options.logger.info({ link, remote: main.remote, reason: connection.endReason }, 'link down')
    this.events.linkDown(link)
  }
}
