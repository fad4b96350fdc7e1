import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AshlarError, formatAddress } from '@ashlar/proto'
import { type WebSocket, WebSocketServer } from 'ws'
import type { TransportCounters } from './metrics.ts'
import { HTTP_MAX_HEADERS, HTTP_OPTIONS, type TransportLogger, WS_SERVER_OPTIONS } from './options.ts'

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly maxConnections: number
  readonly logger: TransportLogger
  readonly counters: TransportCounters
  /** A connection became a WebSocket; its handshake follows. `path`: of the upgrade request. */
  readonly onSocket: (socket: WebSocket, remote: string, path: string | undefined) => void
}

const TLS_HANDSHAKE = 0x16
const WRONG_PORT = 'This port speaks only the WebSocket of an Ashlar cluster; the HTTP API has a port of its own.\n'
const BAD_REQUEST =
  'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n' +
  `Content-Length: ${Buffer.byteLength(WRONG_PORT)}\r\n\r\n${WRONG_PORT}`

/** The accepting side: an HTTP server that only upgrades, and rejects every other connection with one log line. */
export class WsListener {
  private readonly options: ListenerOptions
  private readonly server: Server
  private readonly upgrader: WebSocketServer

  private constructor(options: ListenerOptions) {
    this.options = options
    this.upgrader = new WebSocketServer(WS_SERVER_OPTIONS)
    this.upgrader.on('wsClientError', (error, socket) => this.reject(socket, error.message))
    this.server = createServer(HTTP_OPTIONS)
    this.server.maxHeadersCount = HTTP_MAX_HEADERS
    this.server.maxConnections = options.maxConnections
    this.server.on('request', (request, response) => this.onRequest(request, response))
    this.server.on('upgrade', (request, socket, head) => this.onUpgrade(request, socket, head))
    this.server.on('clientError', (error, socket) => this.onClientError(error, socket))
    this.server.on('drop', (data) => this.onDrop(data?.remoteAddress))
  }

  /** Listens; rejects with AshlarError USAGE when it cannot bind the address. */
  static async open(options: ListenerOptions): Promise<WsListener> {
    const listener = new WsListener(options)
    await new Promise<void>((resolve, reject) => {
      listener.server.once('error', (error) => reject(listenError(options, error)))
      listener.server.listen(options.port, options.host, resolve)
    })
    listener.server.removeAllListeners('error')
    listener.server.on('error', (error) => options.logger.warn({ reason: error.message }, 'listener fault'))
    return listener
  }

  /** host:port as bound. */
  get address(): string {
    const { address: host, port } = this.server.address() as AddressInfo
    return formatAddress({ host, port })
  }

  /** Accepts no more connections, cuts those that are not upgraded, and resolves when all are closed. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.logForeign(request.socket, `an HTTP request (${request.method}) without an upgrade to WebSocket`)
    response.writeHead(426, { connection: 'close', upgrade: 'websocket', 'content-type': 'text/plain' })
    response.end(WRONG_PORT)
  }

  private onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A browser lets every web page open a WebSocket to this machine, and always sends the origin of the page. Without this
    // check a page could read and destroy the volumes of a cluster on loopback. Peers and clients send no origin.
    if (request.headers.origin !== undefined) {
      this.reject(socket, `a WebSocket from a web page (origin ${request.headers.origin})`)
      return
    }
    // Until ws has taken the socket over, an error without a listener would end the process.
    const onEarlyError = (error: Error): void => this.logForeign(socket, error.message)
    socket.once('error', onEarlyError)
    this.upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('error', onEarlyError)
      this.options.onSocket(webSocket, remoteOf(socket), request.url)
    })
  }

  private onClientError(error: Error & { rawPacket?: Buffer }, socket: Duplex): void {
    const tls = error.rawPacket?.[0] === TLS_HANDSHAKE
    this.reject(socket, tls ? 'a TLS handshake on a port that speaks plain text' : error.message)
  }

  private reject(socket: Duplex, what: string): void {
    this.logForeign(socket, what)
    if (!socket.writable) {
      socket.destroy()
      return
    }
    // A reset without a listener would end the process.
    socket.on('error', () => {})
    socket.end(BAD_REQUEST, () => socket.destroy())
  }

  private onDrop(remoteAddress: string | undefined): void {
    const { logger, maxConnections } = this.options
    logger.warn({ remote: remoteAddress, maxConnections }, 'connection dropped: too many are open')
  }

  private logForeign(socket: Duplex, what: string): void {
    this.options.counters.foreignConnections++
    this.options.logger.warn({ remote: remoteOf(socket), what }, 'foreign connection rejected')
  }
}

function listenError({ host, port }: ListenerOptions, error: NodeJS.ErrnoException): AshlarError {
  const why = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message
  return new AshlarError('USAGE', `cannot listen on ${host}:${port}: ${why}`, {
    hint: 'Choose another --listen address, or stop the process that uses it.',
    cause: error,
  })
}

function remoteOf(socket: Duplex): string {
  const { remoteAddress, remotePort } = socket as Socket
  return `${remoteAddress ?? 'unknown'}:${remotePort ?? 0}`
}
