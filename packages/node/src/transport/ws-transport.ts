import { type Bytes, ERRORS, isUrgent, type Message } from '@ashlar/proto'
import { FrameMemory } from '@ashlar/proto/codec'
import type { WebSocket } from 'ws'
import type { Link, LinkPeer } from '../core/machine.ts'
import { isFirstOfTwo, laneOf } from './lanes.ts'
import { newCounters, type TransportCounters } from './metrics.ts'
import { DEFAULT_MAX_CONNECTIONS, STALL_CHECK_MS, type WsTransportOptions } from './options.ts'
import { type Carrier, Pairs } from './pairs.ts'
import { Session, type SessionEvents, type SessionOrigin } from './session.ts'
import type { Transport, TransportEvents } from './transport.ts'
import { WsDialer } from './ws-dialer.ts'
import { WsListener } from './ws-listener.ts'

/** A transport over WebSocket, with what only this kind of transport can tell. */
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
  private readonly linkOf: Map<Session, Link> = new Map()
  /** Every session whose socket is not gone, those in their handshake and those that leave included. */
  private readonly sessions: Set<Session> = new Set()
  /** Sessions with messages that were queued since the last flush: those for what is urgent, and the others. */
  private readonly unflushedUrgent: Set<Session> = new Set()
  private readonly unflushed: Set<Session> = new Set()
  private readonly wasUp: WeakSet<Session> = new WeakSet()
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
      openSession: (socket, address, lane) => this.openSession(socket, { direction: 'out', remote: address, lane }),
      onFailed: () => {
        this.counters.failedDials++
      },
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
        // An upgrade that was under way when the transport closed.
        if (this.closing !== undefined) socket.terminate()
        else this.openSession(socket, { direction: 'in', remote, lane: laneOf(path) })
      },
    })
    this.boundAddress = this.listener.address
    this.stallTimer = setInterval(() => {
      for (const session of this.sessions) session.check()
    }, STALL_CHECK_MS)
    this.stallTimer.unref()
  }

  get address(): string {
    return this.boundAddress
  }

  setDialed(addresses: readonly string[]): void {
    if (this.closing === undefined) this.dialer.setDialed(addresses)
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
    for (const session of this.unflushedUrgent) session.flush()
    this.unflushedUrgent.clear()
    for (const session of this.unflushed) session.flush()
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
    for (const session of this.sessions) session.close('this node stops')
    const listenerClosed = this.listener?.close()
    if (this.sessions.size > 0) {
      await new Promise<void>((resolve) => {
        this.onEmpty = resolve
      })
    }
    await listenerClosed
  }

  private sendOver(
    session: Session,
    message: Message,
    unflushed: Set<Session>,
    besides: Bytes,
  ): 'queued' | 'full' | 'down' {
    const outcome = session.send(message, besides)
    if (outcome === 'queued') unflushed.add(session)
    return outcome
  }

  private openSession(socket: WebSocket, origin: SessionOrigin): Session {
    const { counters, frameMemory } = this
    const { identity, logger } = this.options
    const session = new Session(socket, origin, { identity, logger, counters, frameMemory }, this.handlers)
    this.sessions.add(session)
    return session
  }

  private readonly handlers: SessionEvents = {
    up: (session, peer) => this.onUp(session, peer),
    down: (session) => this.onDown(session),
    messages: (session, messages) => {
      const link = this.linkOf.get(session)
      if (link !== undefined) this.events.messages(link, messages)
      else this.onFirstFrame(session, messages)
    },
    ended: (session, reason) => {
      this.sessions.delete(session)
      this.pairs.forget(session)
      if (session.direction === 'out' && session.refusal?.code === ERRORS.CONFLICT.number)
        this.options.onOtherCluster?.(session.remote, session.refusal.message)
      this.dialer.onEnded(session, reason, this.wasUp.has(session))
      if (this.sessions.size === 0) this.onEmpty?.()
    },
  }

  private onUp(session: Session, peer: LinkPeer): void {
    if (session.lane?.urgent === true) {
      const carrier = this.pairs.join(session, peer)
      if (carrier === undefined) return
      this.establish(carrier)
      session.send({ type: 'ping' })
      session.flush()
    } else if (!isFirstOfTwo(session.lane, peer)) this.establish({ main: session, urgent: undefined, peer })
    else {
      const isDialed = session.direction === 'out'
      this.pairs.begin(session, peer, isDialed ? this.dialer.dialUrgent(session) : undefined)
    }
  }

  /** The first frame of an accepted link of two connections: it is up on both sides. The ping that says so is said to nobody. */
  private onFirstFrame(session: Session, messages: readonly Message[]): void {
    const carrier = this.pairs.onFrame(session)
    if (carrier === undefined) return
    const link = this.establish(carrier)
    if (session === carrier.main || messages.some(({ type }) => type !== 'ping')) this.events.messages(link, messages)
  }

  private establish(carrier: Carrier): Link {
    const { main, urgent } = carrier
    const peer = carrier.peer.kind === 'node' ? { ...carrier.peer, urgentLane: urgent !== undefined } : carrier.peer
    const link = this.nextLink++
    this.links.set(link, carrier)
    this.linkOf.set(main, link)
    if (urgent !== undefined) this.linkOf.set(urgent, link)
    for (const session of [main, urgent]) session?.establish(urgent !== undefined)
    this.wasUp.add(main)
    if (main.direction === 'out') this.dialer.onUp(main)
    this.options.logger.info({ link, direction: main.direction, remote: main.remote, peer }, 'link up')
    this.events.linkUp(link, main.direction, peer)
    return link
  }

  /**
   * One of its connections is gone, and with it the link: what was on its way over that one is lost. Where the other side closed it,
   * nothing is: it closes the other one behind what it sent, and the link is down with that.
   */
  private onDown(session: Session): void {
    const link = this.linkOf.get(session)
    if (link === undefined) return this.pairs.forget(session)
    const { main, urgent } = this.links.get(link) as Carrier
    const other = session === main ? urgent : main
    if (session.closedBy === 'other side' && other?.isOpen === true) return other.endAfter(session)
    this.links.delete(link)
    other?.endWith(session)
    for (const each of [main, urgent]) {
      if (each === undefined) continue
      this.linkOf.delete(each)
      this.unflushed.delete(each)
      this.unflushedUrgent.delete(each)
    }
    this.options.logger.info({ link, remote: main.remote, reason: session.endReason }, 'link down')
    this.events.linkDown(link)
  }
}
