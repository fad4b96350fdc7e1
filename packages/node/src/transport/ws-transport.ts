import { ERRORS, type Message } from '@ashlar/proto'
import { FrameMemory } from '@ashlar/proto/codec'
import type { WebSocket } from 'ws'
import type { Link } from '../core/machine.ts'
import { newCounters, type TransportCounters } from './metrics.ts'
import { DEFAULT_MAX_CONNECTIONS, STALL_CHECK_MS, type WsTransportOptions } from './options.ts'
import { Session, type SessionEvents } from './session.ts'
import type { LinkPeer, Transport, TransportEvents } from './transport.ts'
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
  private readonly links: Map<Link, Session> = new Map()
  private readonly linkOf: Map<Session, Link> = new Map()
  /** Every session whose socket is not gone, those in their handshake and those that leave included. */
  private readonly sessions: Set<Session> = new Set()
  /** Sessions with messages that were queued since the last flush. */
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
      openSession: (socket, address) => this.openSession(socket, 'out', address),
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
      onSocket: (socket, remote) => {
        // An upgrade that was under way when the transport closed.
        if (this.closing === undefined) this.openSession(socket, 'in', remote)
        else socket.terminate()
      },
    })
    this.boundAddress = this.listener.address
    this.stallTimer = setInterval(() => {
      for (const session of this.sessions) session.checkStall()
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
    const session = this.links.get(link)
    if (session === undefined) return 'down'
    const outcome = session.send(message)
    if (outcome === 'queued') this.unflushed.add(session)
    return outcome
  }

  flush(): void {
    for (const session of this.unflushed) session.flush()
    this.unflushed.clear()
  }

  closeLink(link: Link, reason: string): void {
    this.links.get(link)?.close(reason)
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

  private openSession(socket: WebSocket, direction: 'in' | 'out', remote: string): Session {
    const { counters, frameMemory } = this
    const { identity, logger } = this.options
    const session = new Session(socket, direction, remote, { identity, logger, counters, frameMemory }, this.handlers)
    this.sessions.add(session)
    return session
  }

  private readonly handlers: SessionEvents = {
    up: (session, peer) => this.onUp(session, peer),
    down: (session) => this.onDown(session),
    messages: (session, messages) => {
      const link = this.linkOf.get(session)
      if (link !== undefined) this.events.messages(link, messages)
    },
    ended: (session, reason) => {
      this.sessions.delete(session)
      if (session.direction === 'out' && session.refusal?.code === ERRORS.CONFLICT.number)
        this.options.onOtherCluster?.(session.remote, session.refusal.message)
      this.dialer.onEnded(session, reason, this.wasUp.has(session))
      if (this.sessions.size === 0) this.onEmpty?.()
    },
  }

  private onUp(session: Session, peer: LinkPeer): void {
    const link = this.nextLink++
    this.links.set(link, session)
    this.linkOf.set(session, link)
    this.wasUp.add(session)
    if (session.direction === 'out') this.dialer.onUp(session)
    this.options.logger.info({ link, direction: session.direction, remote: session.remote, peer }, 'link up')
    this.events.linkUp(link, session.direction, peer)
  }

  private onDown(session: Session): void {
    const link = this.linkOf.get(session)
    if (link === undefined) return
    this.linkOf.delete(session)
    this.links.delete(link)
    this.unflushed.delete(session)
    this.options.logger.info({ link, remote: session.remote, reason: session.endReason }, 'link down')
    this.events.linkDown(link)
  }
}
