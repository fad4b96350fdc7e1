import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type AnyMessage,
  type ClusterId,
  type Hello,
  type NodeName,
  type StoreId,
  WIRE_VERSION,
  WIRE_VERSION_MIN,
} from '@ashlar/proto'
import { decodeFrame, encodeFrame, HANDSHAKE_WIRE_VERSION } from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import { createWsTransport, type WsTransport, type WsTransportOptions } from '../../src/transport/index.ts'
import { LinkRecorder } from '../conformance/link-recorder.ts'
import { newStore } from '../conformance/transport-suite.ts'
import { LogLines } from './log-lines.ts'

/** A node's transport under test, with everything that it reports. */
export interface Listening extends AsyncDisposable {
  readonly transport: WsTransport
  readonly recorder: LinkRecorder
  readonly log: LogLines
  readonly store: StoreId
}

/** What differs from a transport of a node that is in no cluster yet. */
export interface ListeningOptions
  extends Pick<WsTransportOptions, 'maxConnections' | 'onOtherCluster' | 'blockSizeOf'> {
  readonly cluster?: ClusterId
  /** Address in its handshakes. */
  readonly advertise?: string
}

export async function listening(options: ListeningOptions = {}): Promise<Listening> {
  const { cluster, advertise: address = '127.0.0.1:1', ...others } = options
  const recorder = new LinkRecorder()
  const log = new LogLines()
  const store = newStore()
  const transport = await createWsTransport(
    {
      listen: { host: '127.0.0.1', port: 0 },
      identity: () => ({ store, counter: 1, name: 'n1' as NodeName, address, cluster, featureLevel: 0 }),
      logger: log,
      ...others,
    },
    recorder,
  )
  return {
    transport,
    recorder,
    log,
    store,
    [Symbol.asyncDispose]: () => transport.close(),
  }
}

export function clientHello(changes: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    kind: 'client',
    wire: WIRE_VERSION,
    wireMin: WIRE_VERSION_MIN,
    counter: 0,
    name: 'raw',
    address: '',
    credential: new Uint8Array(0),
    ...changes,
  }
}

/** A peer that a test controls: a plain WebSocket that sends the given messages. */
export class RawPeer {
  readonly socket: WebSocket
  readonly received: AnyMessage[] = []
  /** Close code and reason, once closed. */
  readonly closed: Promise<readonly [code: number, reason: string]>
  /** Version of the link, once the welcome named it. */
  wire: number = WIRE_VERSION
  private readonly waiting: (() => void)[] = []

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve([code, reason.toString()]))
    })
    // The test sees the close that follows; an error without a listener would end the process.
    socket.on('error', () => {})
    socket.on('message', (data) => {
      const wire = this.received.length === 0 ? HANDSHAKE_WIRE_VERSION : this.wire
      this.received.push(...decodeFrame(data as Buffer, wire))
      const [first] = this.received
      if (first?.type === 'welcome') this.wire = first.wire
      for (const wake of this.waiting.splice(0)) wake()
    })
  }

  static async dial(address: string): Promise<RawPeer> {
    const peer = new RawPeer(new WebSocket(`ws://${address}`, { perMessageDeflate: false }))
    await once(peer.socket, 'open')
    return peer
  }

  /** Dials and passes the handshake. */
  static async join(address: string, hello: Hello = clientHello()): Promise<RawPeer> {
    const peer = await RawPeer.dial(address)
    peer.send(hello)
    await peer.next(1)
    return peer
  }

  send(...messages: AnyMessage[]): void {
    this.socket.send(encodeFrame(messages, this.wire))
  }

  /** Resolves once `count` messages came in all. */
  async next(count: number): Promise<readonly AnyMessage[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.waiting.push(resolve))
    return this.received
  }
}

/** Sends raw bytes over TCP and resolves with all that came back until the other side closed. */
export async function rawExchange(address: string, bytes: Uint8Array | string): Promise<string> {
  const socket = openTcp(address)
  let response = ''
  socket.on('data', (chunk) => {
    response += chunk.toString('latin1')
  })
  socket.write(bytes)
  const closed = Promise.withResolvers<void>()
  socket.on('close', () => closed.resolve())
  await closed.promise
  return response
}

export function openTcp(address: string): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.on('error', () => {})
  return socket
}
