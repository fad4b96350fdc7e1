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
import { decodeFrame, encodeFrame, verifyChecksums } from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import type { ClientTransportCounters } from './client-transport.ts'
import { Outbox } from './outbox.ts'

/** Frames are cut near this size: large enough that the cost of a frame does not show, small enough to let others in between. */
const FRAME_BYTES = MIB
/** Bytes that may wait inside `ws` and the kernel's socket; more wait in the outbox, where they cost no copy. */
const SOCKET_BYTES = 4 * MIB
/** Bytes that may wait in the outbox. The machine bounds what it has on its way; beyond this something is broken. */
const OUTBOX_BYTES = 2 * LIMITS.clientInFlightBytes

/** A node whose host vanished is found by TCP after this long without a byte, also while the client is idle. */
const KEEPALIVE_MS = 10_000

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
}

export interface WsConnectionEvents {
  /** The handshake is over. At most once. */
  welcome(store: StoreId, cluster: ClusterId | undefined): void
  messages(messages: readonly Message[]): void
  /** The connection is over, or never came to be. Exactly once. */
  closed(reason: string): void
}

/** One WebSocket to one node, from the dial to its end. */
export class WsConnection {
  readonly #options: WsConnectionOptions
  readonly #events: WsConnectionEvents
  readonly #socket: WebSocket
  readonly #outbox = new Outbox()
  readonly #handshakeTimer: NodeJS.Timeout
  #welcomed = false
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
      this.#reason ??= reasonOf(error)
    })
    this.#socket.on('close', (code) => this.#onClose(code))
  }

  /** Queues a message; all messages of one turn share frames. Nothing is thrown: what is not sent ends with the connection. */
  send(message: AnyMessage): void {
    if (this.#closed) return
    this.#outbox.add(message)
    if (this.#outbox.bytes > OUTBOX_BYTES) this.close('too much waits to be sent')
    else this.#scheduleFlush()
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
      if (!isBinary) throw new AshlarError('BAD_FRAME', 'a text frame came where only binary frames are sent')
      messages = decodeFrame(data)
      // Bytes of a read are checked where they arrive: a bad answer costs its connection, and the request is sent again.
      if (!messages.every(verifyChecksums))
        throw new AshlarError('CHECKSUM', 'bytes of a read do not match their checksum')
    } catch (error) {
      this.#options.counters.badFrames++
      this.close(reasonOf(error))
      return
    }
    if (this.#welcomed) this.#events.messages(messages as Message[])
    else this.#onGreeting(messages)
  }

  #onGreeting(messages: readonly AnyMessage[]): void {
    const [first, ...rest] = messages
    if (first?.type === 'refused') {
      this.close(`refused: ${first.message} (${errorCodeOf(first.code) ?? first.code})`)
    } else if (first?.type === 'welcome' && first.wire >= WIRE_VERSION_MIN && first.wire <= WIRE_VERSION) {
      clearTimeout(this.#handshakeTimer)
      this.#welcomed = true
      this.#events.welcome(first.store, first.cluster)
      if (rest.length > 0) this.#events.messages(rest as Message[])
    } else this.close('the server does not speak this version of the protocol')
  }

  /**
   * Messages that follow from one another in one turn (answers, then the calls that their callers make next) go out
   * together: after the microtasks of the turn.
   */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    this.#flushScheduled = false
    while (!this.#closed && !this.#outbox.isEmpty && this.#socket.bufferedAmount < SOCKET_BYTES)
      this.#transmit(this.#outbox.take(FRAME_BYTES, LIMITS.frameRecords))
  }

  #transmit(messages: readonly AnyMessage[]): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return
    const frame = encodeFrame(messages)
    this.#options.counters.sentBytes += frame.length
    // The callback comes when the kernel took the bytes: then there is room for more.
    this.#socket.send(frame, { binary: true, compress: false }, () => this.#flush())
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
    // ws compresses by default on the dialing side: block data would pay for it twice.
    perMessageDeflate: false,
    maxPayload: LIMITS.frameBytes,
    maxFragments: 4,
    skipUTF8Validation: true,
    followRedirects: false,
    handshakeTimeout: TIMERS.handshakeMs,
    // A mask of zeroes lets ws send our buffer as it is, neither copied nor changed. Masks protect proxies in between,
    // never secrets, and there is none in a storage network.
    generateMask: (mask: Buffer) => mask.fill(0),
    ...tlsOptions(tls),
  })
}

function tlsOptions(tls: ClientTls | undefined): object {
  if (tls === undefined) return {}
  const bytes = (value: string | Uint8Array | undefined) =>
    value === undefined || typeof value === 'string' ? value : Buffer.from(value)
  return { ca: bytes(tls.ca), cert: bytes(tls.cert), key: bytes(tls.key), servername: tls.servername }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code
  // An AggregateError of a host with several addresses has an empty message.
  if (error.message === '') return code ?? error.name
  return error.message
}
