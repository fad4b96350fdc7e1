import { type ClusterId, invariant, isDialable, type Message, RedialPause, TIMERS } from '@ashlar/proto'
import { FrameMemory } from '@ashlar/proto/codec'
import type { ClientLink } from '../core/machine.ts'
import {
  type ClientTransport,
  type ClientTransportCounters,
  type ClientTransportEvents,
  newClientTransportCounters,
} from './client-transport.ts'
import { type ClientTls, WsConnection } from './ws-connection.ts'

export interface WsTransportOptions {
  /** Name of this client in the handshake. */
  readonly name: string
  readonly tls?: ClientTls | undefined
}

/** An address that is kept dialed: connected, or waiting for its next attempt. */
interface Dialed {
  readonly address: string
  connection: WsConnection | undefined
  link: ClientLink | undefined
  /** The next attempt or, while a link lives, the moment from which it counts as a good one. */
  timer: NodeJS.Timeout | undefined
  readonly pause: RedialPause
  wanted: boolean
}

/** Dials nodes over WebSocket and dials them again, after longer and longer pauses, as long as they are wanted. */
export class WsTransport implements ClientTransport {
  readonly #frameMemory = new FrameMemory()
  readonly counters: ClientTransportCounters = newClientTransportCounters()
  readonly #options: WsTransportOptions
  readonly #events: ClientTransportEvents
  readonly #dialed: Map<string, Dialed> = new Map()
  readonly #links: Map<ClientLink, WsConnection> = new Map()
  /** Connections that have not ended, the unwanted included. */
  readonly #open: Set<WsConnection> = new Set()
  #cluster: ClusterId | undefined
  #nextLink = 1
  #closing: Promise<void> | undefined
  #onAllClosed: (() => void) | undefined

  constructor(options: WsTransportOptions, events: ClientTransportEvents) {
    this.#options = options
    this.#events = events
  }

  setDialed(addresses: readonly string[]): void {
    if (this.#closing !== undefined) return
    // What the map says is data of others: an address that no URL can hold must not end the process.
    const wanted = new Set(addresses.filter(isDialable))
    for (const [address, dialed] of this.#dialed) {
      if (wanted.has(address)) continue
      this.#dialed.delete(address)
      dialed.wanted = false
      clearTimeout(dialed.timer)
      dialed.connection?.close('not needed any more')
    }
    for (const address of wanted) {
      if (this.#dialed.has(address)) continue
      const dialed: Dialed = {
        address,
        connection: undefined,
        link: undefined,
        timer: undefined,
        pause: new RedialPause(),
        wanted: true,
      }
      this.#dialed.set(address, dialed)
      this.#dial(dialed)
    }
  }

  send(link: ClientLink, message: Message): void {
    this.#links.get(link)?.send(message)
  }

  withdraw(link: ClientLink, request: number): void {
    this.#links.get(link)?.withdraw(request)
  }

  closeLink(link: ClientLink, reason: string): void {
    this.#links.get(link)?.close(reason)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.setDialed([])
    if (this.#open.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onAllClosed = resolve
    })
  }

  #dial(dialed: Dialed): void {
    const { address } = dialed
    const { name, tls } = this.#options
    const own = { counters: this.counters, frameMemory: this.#frameMemory }
    const options = { address, name, tls, cluster: this.#cluster, ...own }
    const connection = new WsConnection(options, {
      welcome: (store, cluster, wire) => {
        this.#cluster ??= cluster
        const link = this.#nextLink++
        dialed.link = link
        dialed.timer = setTimeout(() => dialed.pause.startOver(), TIMERS.redialMaxMs)
        this.#links.set(link, connection)
        this.#events.linkUp(link, address, store, wire)
      },
      messages: (messages) => {
        invariant(dialed.link !== undefined, 'messages came before the handshake was over')
        this.#events.messages(dialed.link, messages)
      },
      closed: (reason) => this.#onClosed(dialed, connection, reason),
    })
    dialed.connection = connection
    this.#open.add(connection)
  }

  #onClosed(dialed: Dialed, connection: WsConnection, reason: string): void {
    this.#open.delete(connection)
    const { link } = dialed
    dialed.connection = undefined
    dialed.link = undefined
    clearTimeout(dialed.timer)
    if (dialed.wanted) this.#dialLater(dialed)
    if (link !== undefined) {
      this.#links.delete(link)
      this.#events.linkDown(link)
    } else if (dialed.wanted) {
      this.counters.failedDials++
      this.#events.dialFailed(dialed.address, reason)
    }
    if (this.#open.size === 0) this.#onAllClosed?.()
  }

  #dialLater(dialed: Dialed): void {
    dialed.timer = setTimeout(() => this.#dial(dialed), dialed.pause.next(Math.random()))
  }
}
