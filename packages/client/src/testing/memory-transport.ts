import { type Message, type StoreId, WIRE_VERSION } from '@ashlar/proto'
import type { ClientLink } from '../core/machine.ts'
import {
  type ClientTransport,
  type ClientTransportCounters,
  type ClientTransportEvents,
  newClientTransportCounters,
} from '../transport/client-transport.ts'

/** A node as a transport sees it. */
export interface MemoryNode {
  readonly name: string
  readonly address: string
  readonly store: StoreId
  isUp: boolean
}

/** One connection of one client to one node. */
export interface MemoryLink {
  readonly number: ClientLink
  readonly node: MemoryNode
  readonly transport: MemoryTransport
  /** The client requested every change of the map. */
  isWatching: boolean
}

/** What transports need of the cluster. */
export interface MemoryNetwork {
  nodeAt(address: string): MemoryNode | undefined
  receive(link: MemoryLink, message: Message): void
}

/**
 * Carries messages between one client and the nodes, in order, each in a later turn than it was sent in. Has no timers:
 * a node that is down is dialed again when it comes up.
 */
export class MemoryTransport implements ClientTransport {
  readonly counters: ClientTransportCounters = newClientTransportCounters()
  readonly #network: MemoryNetwork
  readonly #events: ClientTransportEvents
  readonly #onClosed: (transport: MemoryTransport) => void
  readonly #dialed: Set<string> = new Set()
  readonly #links: Map<ClientLink, MemoryLink> = new Map()
  /** Messages on their way to nodes that were not taken yet. */
  readonly #outgoing: Set<{ readonly link: MemoryLink; readonly message: Message }> = new Set()
  #tasks: (() => void)[] = []
  #turn: NodeJS.Immediate | undefined
  #nextLink = 1
  #closed = false

  constructor(network: MemoryNetwork, events: ClientTransportEvents, onClosed: (transport: MemoryTransport) => void) {
    this.#network = network
    this.#events = events
    this.#onClosed = onClosed
  }

  get links(): Iterable<MemoryLink> {
    return this.#links.values()
  }

  setDialed(addresses: readonly string[]): void {
    const wanted = new Set(addresses)
    for (const address of this.#dialed) if (!wanted.has(address)) this.#dialed.delete(address)
    for (const link of this.#links.values()) if (!wanted.has(link.node.address)) this.cut(link)
    for (const address of wanted) {
      if (this.#dialed.has(address)) continue
      this.#dialed.add(address)
      this.dial(address)
    }
  }

  send(number: ClientLink, message: Message): void {
    const link = this.#links.get(number)
    if (link === undefined) return
    if (message.type === 'write') this.counters.sentBytes += message.payload.length
    const entry = { link, message }
    this.#outgoing.add(entry)
    this.#later(() => {
      if (!this.#outgoing.delete(entry) || !this.#links.has(number)) return
      // Copied where a real one would be read: a program that changes bytes too early fails its own tests.
      const arrived = message.type === 'write' ? { ...message, payload: message.payload.slice() } : message
      this.#network.receive(link, arrived)
    })
  }

  withdraw(number: ClientLink, request: number): void {
    for (const entry of this.#outgoing) {
      const { link, message } = entry
      if (link.number === number && 'request' in message && message.request === request) this.#outgoing.delete(entry)
    }
  }

  closeLink(number: ClientLink, _reason: string): void {
    const link = this.#links.get(number)
    if (link !== undefined) this.cut(link)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#dialed.clear()
    this.#links.clear()
    this.#outgoing.clear()
    this.#tasks = []
    clearImmediate(this.#turn)
    this.#onClosed(this)
  }

  /** A node's message to the client. */
  answer(link: MemoryLink, message: Message): void {
    if (message.type === 'read-done')
      for (const { bytes } of message.parts) this.counters.receivedBytes += bytes?.length ?? 0
    this.#later(() => {
      if (this.#links.has(link.number)) this.#events.messages(link.number, [message])
    })
  }

  /** Ends a connection, with all that is on its way over it; the client dials again. */
  cut(link: MemoryLink): void {
    if (!this.#links.delete(link.number)) return
    this.#later(() => this.#events.linkDown(link.number))
    this.dial(link.node.address)
  }

  /** Connects to an address that is wanted, once, if its node is up. */
  dial(address: string): void {
    this.#later(() => {
      const isLinked = [...this.#links.values()].some(({ node }) => node.address === address)
      if (!this.#dialed.has(address) || isLinked) return
      const node = this.#network.nodeAt(address)
      if (node?.isUp !== true) {
        this.counters.failedDials++
        this.#events.dialFailed(address, node === undefined ? 'no node has this address' : 'the node is stopped')
        return
      }
      const link = { number: this.#nextLink++, node, transport: this, isWatching: false }
      this.#links.set(link.number, link)
      this.#events.linkUp(link.number, address, node.store, WIRE_VERSION)
    })
  }

  /** Tasks of one turn run in the next one, in order, and never from inside a call of the client. */
  #later(task: () => void): void {
    if (this.#closed) return
    this.#tasks.push(task)
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined
      const tasks = this.#tasks
      this.#tasks = []
      for (const next of tasks) if (!this.#closed) next()
    })
  }
}
