import {
  type AnyMessage,
  AshlarError,
  type ClusterId,
  errorCodeOf,
  LIMITS,
  type Message,
  MIB,
  type StoreId,
  TIMERS,
  WIRE_VERSION,
  WIRE_VERSION_MIN,
} from '@ashlar/proto'
import {
  connectionFault,
  decodeFrame,
  encodeFrame,
  type FrameMemory,
  FrameQueue,
  HANDSHAKE_WIRE_VERSION,
  HELLO_MAX_BYTES,
  KEEPALIVE_MS,
  verifyChecksums,
  WEBSOCKET_DIAL_OPTIONS,
} from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import type { ClientTransportCounters } from './client-transport.ts'

/** Bytes that may wait inside `ws` and the kernel's socket; more wait in the queue, where they cost no copy. */
const SOCKET_BYTES = 4 * MIB
/** Bytes that may wait in the queue. The machine bounds what it has on its way; beyond this something is broken. */
const QUEUE_BYTES = 2 * LIMITS.clientInFlightBytes

/** Material for TLS, as node:tls takes it. */
export interface ClientTls {
  readonly ca?: string | Uint8Array
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  readonly servername?: string
}

export interface WsConnectionOptions {
  readonly address: string
  readonly name: string
  readonly cluster: ClusterId | undefined
  readonly tls: ClientTls | undefined
  readonly counters: ClientTransportCounters
  readonly frameMemory: FrameMemory
}

export interface WsConnectionEvents {
  /** The handshake is over; `wire` is the version that it chose. At most once. */
  welcome(store: StoreId, cluster: ClusterId | undefined, wire: number): void
  messages(messages: readonly Message[]): void
  /** The connection is over, or never came to be. Exactly once. */
  closed(reason: string): void
}

/** One WebSocket to one node, from the dial to its end. */
export class WsConnection {
  readonly #options: WsConnectionOptions
  readonly #events: WsConnectionEvents
  readonly #socket: WebSocket
  readonly #queue = new FrameQueue()
  readonly #handshakeTimer: NodeJS.Timeout
  #welcomed = false
  /** Version of the frames: the handshake's own until it has chosen one. */
  #wire = HANDSHAKE_WIRE_VERSION
  #closed = false
  #flushScheduled = false
  #reason: string | undefined

  constructor(options: WsConnectionOptions, events: WsConnectionEvents) {
    this.#options = options
    this.#events = events
    this.#socket = openSocket(options)
    this.#handshakeTimer = setTimeout(() => this.close('the handshake took too long'), TIMERS.handshakeMs)
    this.#socket.on('upgrade', (response) => response.socket.setKeepAlive(true, KEEPALIVE_MS))
    this.#socket.on('open', () => this.#sendHello())
    this.#socket.on('message', (data, isBinary) => this.#onFrame(data as Buffer, isBinary))
    this.#socket.on('error', (error) => {
      this.#reason ??= connectionFault(error)
    })
    this.#socket.on('close', (code) => this.#onClose(code))
  }

  /**
   * Queues a message; all messages of one turn share frames. Nothing is thrown: what is not sent ends with the
   * connection.
   */
  send(message: AnyMessage): void {
    if (this.#closed) return
    try {
      this.#queue.add(message)
    } catch (error) {
      return this.#closeUnencodable(error)
    }
    if (this.#queue.bytes > QUEUE_BYTES) this.close('too much waits to be sent')
    else this.#scheduleFlush()
  }

  /** Takes the message of a request out of what waits. */
  withdraw(request: number): void {
    this.#queue.withdraw((message) => 'request' in message && message.request === request)
  }

  /** Ends the connection at once. What is queued is lost; `closed` follows in a later turn. */
  close(reason: string): void {
    this.#reason ??= reason
    // A closing handshake would wait for a peer that may be gone; nothing is lost by not having one.
    this.#socket.terminate()
  }

  #sendHello(): void {
    const { name, cluster } = this.#options
    this.#transmit([
      {
        type: 'hello',
        kind: 'client',
        wire: WIRE_VERSION,
        wireMin: WIRE_VERSION_MIN,
        ...(cluster === undefined ? {} : { cluster }),
        counter: 0,
        name,
        address: '',
        credential: new Uint8Array(0),
      },
    ])
  }

  #onFrame(data: Buffer, isBinary: boolean): void {
    // The connection is ending: frames behind one that was not taken must not be taken either.
    if (this.#reason !== undefined) return
    this.#options.counters.receivedBytes += data.length
    let messages: AnyMessage[]
    try {
      messages = this.#read(data, isBinary)
    } catch (error) {
      if (!(error instanceof AshlarError)) throw error
      this.#options.counters.badFrames++
      this.close(error.message)
      return
    }
    // The codec gives no empty frame, and a message of the handshake alone in its own.
    if (this.#welcomed) this.#events.messages(messages as Message[])
    else this.#onGreeting(messages[0] as AnyMessage)
  }

  /** The messages of a frame that may come now; throws BAD_FRAME or CHECKSUM. */
  #read(data: Buffer, isBinary: boolean): AnyMessage[] {
    if (!isBinary) throw new AshlarError('BAD_FRAME', 'a text frame came where only binary frames are sent')
    if (!this.#welcomed && data.length > HELLO_MAX_BYTES)
      throw new AshlarError('BAD_FRAME', `a first frame of ${data.length} bytes; at most ${HELLO_MAX_BYTES}`)
    const messages = decodeFrame(data, this.#wire)
    for (const message of messages) {
      // Bytes of a read are checked on arrival: a response that does not match closes its connection, and the request
      // is sent again.
      if (!verifyChecksums(message)) throw new AshlarError('CHECKSUM', 'bytes of a read do not match their checksum')
    }
    return messages
  }

  #onGreeting(message: AnyMessage): void {
    if (message.type === 'refused') {
      this.close(`refused: ${message.message} (${errorCodeOf(message.code) ?? message.code})`)
    } else if (message.type !== 'welcome' || message.wire < WIRE_VERSION_MIN || message.wire > WIRE_VERSION) {
      this.close('the server does not speak this version of the protocol')
    } else if (isOther(this.#options.cluster, message.cluster)) {
      this.close(`${message.name} belongs to cluster ${message.cluster}, this client to ${this.#options.cluster}`)
    } else {
      clearTimeout(this.#handshakeTimer)
      this.#welcomed = true
      this.#wire = message.wire
      this.#events.welcome(message.store, message.cluster, message.wire)
    }
  }

  /**
   * Messages that follow from what came in one turn of the event loop (answers, then the calls that their callers make
   * next) go out together, at its end.
   */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushScheduled = false
    while (!this.#closed && !this.#queue.isEmpty && this.#socket.bufferedAmount < SOCKET_BYTES)
      this.#transmit(this.#queue.take())
  }

  #transmit(messages: readonly AnyMessage[]): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return
    const { frameMemory } = this.#options
    let frame: Uint8Array
    try {
      frame = encodeFrame(messages, this.#wire, frameMemory)
    } catch (error) {
      return this.#closeUnencodable(error)
    }
    this.#options.counters.sentBytes += frame.length
    // The callback comes when the kernel took the bytes: then there is room for more.
    this.#socket.send(frame, { binary: true, compress: false }, (error) => {
      frameMemory.onSent(frame, error)
      this.#flush()
    })
  }

  /** A message that breaks a limit of the wire is a fault of this build: it costs its connection, not the program. */
  #closeUnencodable(error: unknown): void {
    this.#options.counters.unencodableMessages++
    this.close(`a message for it cannot be encoded: ${(error as Error).message}`)
  }

  #onClose(code: number): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#handshakeTimer)
    this.#events.closed(this.#reason ?? `closed by the server (${code})`)
  }
}

function openSocket({ address, tls }: WsConnectionOptions): WebSocket {
  return new WebSocket(`${tls === undefined ? 'ws' : 'wss'}://${address}`, {
    ...WEBSOCKET_DIAL_OPTIONS,
    ...tlsOptions(tls),
  })
}

/** The same as node:tls takes it. */
export function tlsOptions(tls: ClientTls | undefined): TlsMaterial {
  if (tls === undefined) return {}
  const bytes = (value: string | Uint8Array | undefined) =>
    value === undefined || typeof value === 'string' ? value : Buffer.from(value)
  return { ca: bytes(tls.ca), cert: bytes(tls.cert), key: bytes(tls.key), servername: tls.servername }
}

interface TlsMaterial {
  readonly ca?: string | Buffer | undefined
  readonly cert?: string | Buffer | undefined
  readonly key?: string | Buffer | undefined
  readonly servername?: string | undefined
}

/** A node that belongs to no cluster yet is no other one. */
function isOther(own: ClusterId | undefined, other: ClusterId | undefined): boolean {
  return own !== undefined && other !== undefined && own !== other
}
