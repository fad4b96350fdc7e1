import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'
import {
  type Admin,
  type AnyMessage,
  type BlockKind,
  type ClientRequest,
  type ClusterId,
  ERRORS,
  type ErrorCode,
  LIMITS,
  type Message,
  type NodeName,
  type StoreId,
  WIRE_VERSION,
} from '@ashlar/proto'
import { decodeFrame, encodeFrame, HANDSHAKE_WIRE_VERSION } from '@ashlar/proto/codec'
import { type WebSocket, WebSocketServer } from 'ws'
import type { FakeCluster } from './fake-cluster.ts'

/** What a fake node does with the next request of a kind instead of answering it. */
export type Fault =
  | { readonly do: 'refuse'; readonly code: ErrorCode }
  /** Carries the request out and says nothing. */
  | { readonly do: 'drop-answer' }
  /** Does not carry it out and says nothing. */
  | { readonly do: 'ignore' }
  /** Carries it out, then ends the connection instead of answering. */
  | { readonly do: 'disconnect' }
  /** Ends the connection before the request is carried out. */
  | { readonly do: 'disconnect-before' }
  | { readonly do: 'answer-twice' }
  /** Answers a read with bytes that do not match their checksum. */
  | { readonly do: 'corrupt' }
  /** Carries it out and answers when the returned gate is opened. */
  | { readonly do: 'hold'; readonly gate: Promise<void> }

type FaultKind = ClientRequest['type'] | 'admin' | 'get-map'

/**
 * One node of a fake cluster: the wire, the handshake and the map of a real one; blocks in memory that the whole
 * cluster shares; and failures on demand. It keeps a dedupe window, so that a write carried out twice is found.
 */
export class FakeNode {
  readonly store: StoreId
  readonly name: NodeName
  /** host:port; stays when the node stops. */
  readonly address: string
  /** Requests of every kind that came, in order. */
  readonly received: Message[] = []
  /** Hello is answered with `refused` while this is set. */
  refuseHello: string | undefined
  readonly #cluster: FakeCluster
  readonly #server: WebSocketServer
  readonly #http: Server
  readonly #faults: Map<FaultKind, Fault[]> = new Map()
  readonly #standing: Map<FaultKind, Fault> = new Map()
  readonly #watchers: Set<WebSocket> = new Set()
  #stopped = false

  private constructor(cluster: FakeCluster, store: StoreId, name: NodeName, server: WebSocketServer, http: Server) {
    this.#cluster = cluster
    this.store = store
    this.name = name
    this.#server = server
    this.#http = http
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', (socket) => this.#onConnection(socket))
  }

  /** With `tls` it speaks nothing else. */
  static async start(cluster: FakeCluster, store: StoreId, name: NodeName, tls?: TlsOptions): Promise<FakeNode> {
    const http = tls === undefined ? createPlainServer() : createTlsServer(tls)
    const server = new WebSocketServer({ server: http, perMessageDeflate: false, maxPayload: LIMITS.frameBytes })
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve)
      server.once('error', reject)
      http.listen(0, '127.0.0.1')
    })
    return new FakeNode(cluster, store, name, server, http)
  }

  get connections(): number {
    return this.#server.clients.size
  }

  /** The next requests of this kind meet these faults, one each. */
  failNext(kind: FaultKind, ...faults: readonly Fault[]): void {
    this.#faults.set(kind, [...(this.#faults.get(kind) ?? []), ...faults])
  }

  /** Every request of this kind meets the fault, until it is undefined. */
  failAlways(kind: FaultKind, fault: Fault | undefined): void {
    if (fault === undefined) this.#standing.delete(kind)
    else this.#standing.set(kind, fault)
  }

  requests<Type extends Message['type']>(type: Type): Extract<Message, { type: Type }>[] {
    return this.received.filter((message): message is Extract<Message, { type: Type }> => message.type === type)
  }

  disconnectAll(): void {
    for (const socket of this.#server.clients) socket.terminate()
  }

  /** Tells the watchers of the map that it changed. */
  pushMap(): void {
    for (const socket of this.#watchers) this.#send(socket, { type: 'map-update', delta: this.#cluster.delta(0) })
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.disconnectAll()
    await new Promise<void>((resolve) => {
      this.#server.close(() => this.#http.close(() => resolve()))
    })
  }

  #onConnection(socket: WebSocket): void {
    let greeted = false
    socket.on('error', () => {})
    socket.on('close', () => this.#watchers.delete(socket))
    socket.on('message', (data) => {
      for (const message of decodeFrame(data as Buffer, greeted ? WIRE_VERSION : HANDSHAKE_WIRE_VERSION)) {
        if (!greeted) {
          greeted = true
          this.#onHello(socket, message)
        } else this.#onMessage(socket, message as Message)
      }
    })
  }

  #onHello(socket: WebSocket, hello: AnyMessage): void {
    if (hello.type !== 'hello' || hello.kind !== 'client') throw new Error('the first message is not a client hello')
    if (this.refuseHello !== undefined) {
      this.#send(socket, { type: 'refused', code: ERRORS.HANDSHAKE.number, message: this.refuseHello })
      socket.close()
      return
    }
    const { store, name, address } = this
    const cluster = this.#cluster.id as ClusterId
    this.#send(socket, { type: 'welcome', wire: WIRE_VERSION, cluster, store, counter: 1, name, address })
  }

  #onMessage(socket: WebSocket, message: Message): void {
    this.received.push(message)
    const kind = message.type as FaultKind
    const fault = this.#faults.get(kind)?.shift() ?? this.#standing.get(kind)
    if (fault?.do === 'ignore') return
    if (fault?.do === 'disconnect-before') return socket.terminate()
    if (fault?.do === 'refuse') return this.#send(socket, this.#refusal(message, fault.code))
    const answer = this.#executeEffects(socket, message)
    if (answer === undefined || fault?.do === 'drop-answer') return
    if (fault?.do === 'disconnect') return socket.terminate()
    if (fault?.do === 'hold') {
      void fault.gate.then(() => this.#send(socket, answer))
      return
    }
    this.#send(socket, fault?.do === 'corrupt' ? corrupted(answer) : answer)
    if (fault?.do === 'answer-twice') this.#send(socket, answer)
  }

  #refusal(message: Message, code: ErrorCode): Message {
    const { number } = ERRORS[code]
    if (message.type === 'admin')
      return { type: 'admin-done', request: message.request, code: number, message: code, hint: '', revision: 0 }
    const request = (message as ClientRequest).request
    return { type: 'answer', request, code: number, epoch: this.#cluster.epochOf((message as ClientRequest).extent) }
  }

  #executeEffects(socket: WebSocket, message: Message): Message | undefined {
    switch (message.type) {
      case 'get-map':
        if (message.watch) this.#watchers.add(socket)
        return { type: 'map-update', delta: this.#cluster.delta(message.have) }
      case 'admin':
        return this.#cluster.onAdmin(message satisfies Admin)
      case 'write':
      case 'zero':
      case 'read':
      case 'query-allocation':
      case 'cancel':
        return this.#onRequest(message)
      default:
        throw new Error(`a client sent ${message.type}`)
    }
  }

  #onRequest(message: ClientRequest): Message {
    const { request, extent } = message
    const epoch = this.#cluster.epochOf(extent)
    const answer = (code: ErrorCode): Message => ({ type: 'answer', request, code: ERRORS[code].number, epoch })
    const record = this.#cluster.extent(extent)
    if (record?.primary.store !== this.store || record.epoch !== message.epoch) return answer('NOT_PRIMARY')
    const { generation } = this.#cluster.volumeOf(extent)
    if (message.type === 'read') {
      if (message.generation !== 0 && message.generation < generation) return answer('FENCED')
      return { type: 'read-done', request, parts: this.#cluster.read(extent, message.offset, message.length) }
    }
    if (message.type === 'query-allocation') {
      const runs: { blocks: number; kind: BlockKind }[] = []
      for (let block = message.firstBlock; block < message.firstBlock + message.blocks; block++)
        runs.push({ blocks: 1, kind: this.#cluster.kindOf(extent, block) })
      return { type: 'allocation', request, runs }
    }
    if (message.operation.generation < generation) return answer('FENCED')
    return answer(this.#cluster.change(message))
  }

  #send(socket: WebSocket, message: AnyMessage): void {
    if (socket.readyState === socket.OPEN) socket.send(encodeFrame([message], WIRE_VERSION))
  }
}

function corrupted(message: Message): Message {
  if (message.type !== 'read-done') throw new Error('only reads can be corrupted')
  const parts = message.parts.map((part) => {
    if (part.bytes === undefined) return part
    const bytes = part.bytes.slice()
    bytes[0] = (bytes[0] ?? 0) ^ 0xff
    return { ...part, bytes }
  })
  return { ...message, parts }
}
