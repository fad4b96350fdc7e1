import type { Server, Socket } from 'node:net'
import { AshlarError, isLocal, type ListenAddress, parseListenAddress } from '@ashlar/proto'
import type { VolumeSource } from '../device/volume-device.ts'
import { Budget } from './budget.ts'
import type { ByteStream } from './byte-stream.ts'
import { Connection, type ConnectionContext } from './connection.ts'
import { DeadlineSignals } from './deadline-signals.ts'
import { type ExportProvider, volumeExports } from './exports.ts'
import { DEFAULT_LIMITS, type NbdServerLimits } from './limits.ts'
import { type BoundAddress, type ListenTarget, listen } from './listener.ts'
import { type CloseReason, type NbdLogger, type NbdObserver, SILENT_LOGGER } from './observer.ts'
import { OpenExports } from './open-exports.ts'
import { TransferMemory } from './transfer-memory.ts'

export interface NbdServerOptions {
  /** `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`, one or several. Port 0 takes a free one. */
  readonly listen: string | readonly string[]
  /** File descriptors of sockets that listen already, as socket activation passes them; the server closes them. */
  readonly descriptors?: readonly number[]
  /** Device calls are aborted after this long. Without it the device alone decides when to give up, as volumes do. */
  readonly ioTimeoutMs?: number
  readonly logger?: NbdLogger
  readonly observer?: NbdObserver
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<NbdServerLimits>
  /** Listens on addresses that other machines can reach, although NBD is plain text here. */
  readonly insecure?: boolean
}

export interface NbdServer extends AsyncDisposable {
  /** In the order of `listen`, then of `descriptors`. */
  readonly addresses: readonly BoundAddress[]
  /** Connections that are open. */
  readonly connections: number
  /**
   * Stops accepting, refuses new requests with ESHUTDOWN, lets those in flight end, closes connections, then devices.
   * After `limits.closeMs` clients are cut off, and device calls that have not ended then are not waited for. May be
   * called again; every call resolves when all is closed.
   */
  close(): Promise<void>
}

/** How long sockets that were cut off get to close; device calls that hang longer are left to who owns the device. */
const CUT_MS = 1000
/** How often deadlines of connections are looked at, at the least. */
const SWEEP_MS = 1000

/**
 * Serves volumes, or what a provider gives, over NBD. Resolves when every address listens. Volumes given here stay open
 * when the server closes.
 *
 * Throws USAGE for an address that cannot be used and CONFLICT for one in use. A unix socket file without a listener is
 * replaced.
 */
export async function serveNbd(
  exports: ExportProvider | readonly VolumeSource[],
  options: NbdServerOptions,
): Promise<NbdServer> {
  const addresses = (typeof options.listen === 'string' ? [options.listen] : options.listen).map(parseListenAddress)
  const inherited = (options.descriptors ?? []).map((descriptor) => ({ type: 'descriptor', descriptor }) as const)
  const targets: ListenTarget[] = [...addresses, ...inherited]
  if (targets.length === 0) throw new AshlarError('USAGE', 'listen names no address', { hint: 'give at least one' })
  if (options.insecure !== true) for (const address of addresses) refuseExposed(address)
  const server = new RunningServer(providerOf(exports), options)
  try {
    for (const target of targets) {
      const bound = await server.listen(target)
      if (options.insecure !== true) refuseExposed(bound)
    }
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

export interface NbdStreamOptions extends Omit<NbdServerOptions, 'listen' | 'descriptors' | 'insecure'> {
  /** Ends the connection as closing a server does. */
  readonly signal?: AbortSignal
}

/**
 * Serves one client over a stream that is connected to it already: a socket, a pair of pipes, standard input and
 * output. Resolves, with why the connection ended, once none of its requests is being executed any more and devices are
 * closed.
 */
export async function serveNbdStream(
  exports: ExportProvider | readonly VolumeSource[],
  stream: ByteStream,
  options: NbdStreamOptions = {},
): Promise<CloseReason> {
  const server = new RunningServer(providerOf(exports), options)
  // A device whose calls hang would keep the connection from ending: closing waits for it only so long.
  const givenUp = Promise.withResolvers<CloseReason>()
  const close = (): void => void server.close().then(() => givenUp.resolve('server-closed'))
  const over = server.serve(stream)
  options.signal?.addEventListener('abort', close)
  if (options.signal?.aborted === true) close()
  try {
    return await Promise.race([over, givenUp.promise])
  } finally {
    options.signal?.removeEventListener('abort', close)
    await server.close()
  }
}

function providerOf(exports: ExportProvider | readonly VolumeSource[]): ExportProvider {
  return 'open' in exports ? exports : volumeExports(exports)
}

function refuseExposed(address: ListenAddress): void {
  if (isLocal(address) || address.type === 'unix') return
  throw new AshlarError('USAGE', `NBD is plain text and ${address.host} can be reached by other machines`, {
    hint: 'Listen on 127.0.0.1 or a unix socket, or allow it with insecure.',
  })
}

function sweepMs(limits: NbdServerLimits): number {
  return Math.min(SWEEP_MS, limits.handshakeMs / 4, limits.partialRequestMs / 4, limits.stalledReaderMs / 4)
}

class RunningServer implements NbdServer {
  readonly addresses: BoundAddress[] = []
  readonly #limits: NbdServerLimits
  readonly #observer: NbdObserver
  readonly #logger: NbdLogger
  readonly #context: ConnectionContext
  readonly #servers: Server[] = []
  readonly #connections = new Set<Connection>()
  readonly #unnegotiated = new Set<Connection>()
  /** Who waits for the end of a connection. */
  readonly #ends = new Map<Connection, (reason: CloseReason) => void>()
  readonly #sweep: NodeJS.Timeout
  #nextId = 1
  #closing: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(provider: ExportProvider, options: Omit<NbdServerOptions, 'listen'>) {
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#observer = options.observer ?? {}
    this.#logger = options.logger ?? SILENT_LOGGER
    this.#context = {
      exports: new OpenExports(provider, (name, error) => {
        this.#logger.error({ export: name, err: error }, 'NBD export lost; its connections are closed')
        this.#observer.exportLost?.(name, error)
      }),
      limits: this.#limits,
      budget: new Budget(this.#limits.totalInFlightBytes),
      deadlines: new DeadlineSignals(options.ioTimeoutMs),
      transferMemory: new TransferMemory(),
      observer: this.#observer,
      logger: this.#logger,
      onNegotiated: (connection) => this.#unnegotiated.delete(connection),
      onClosed: (connection, reason) => {
        this.#connections.delete(connection)
        this.#unnegotiated.delete(connection)
        this.#observer.connectionClosed?.(reason)
        this.#ends.get(connection)?.(reason)
        this.#ends.delete(connection)
        this.#logger.debug({ connection: connection.id, reason }, 'NBD connection closed')
        if (this.#connections.size === 0) this.#onEmpty?.()
      },
    }
    // After a stall of this process what clients sent meanwhile is read first, so that they are not blamed for it.
    this.#sweep = setInterval(() => setImmediate(() => this.#checkDeadlines()), sweepMs(this.#limits))
    this.#sweep.unref()
  }

  get connections(): number {
    return this.#connections.size
  }

  async listen(target: ListenTarget): Promise<BoundAddress> {
    const { server, bound } = await listen(
      target,
      (socket) => this.#onSocket(socket),
      (error) => this.#logger.error({ err: error }, 'NBD connection could not be accepted'),
    )
    this.#servers.push(server)
    this.addresses.push(bound)
    this.#logger.info({ uri: bound.uri }, 'NBD server listens')
    return bound
  }

  /** Serves a stream that no listener accepted; resolves when its connection is over. */
  serve(stream: ByteStream): Promise<CloseReason> {
    const connection = this.#connect(stream)
    return new Promise((resolve) => this.#ends.set(connection, resolve))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #onSocket(socket: Socket): void {
    const limit = this.#exceededLimit(socket)
    if (limit !== undefined) {
      this.#observer.connectionRefused?.(limit)
      this.#logger.warn({ remote: socket.remoteAddress, limit }, 'NBD connection refused')
      socket.destroy()
      return
    }
    this.#connect(socket)
  }

  #connect(stream: ByteStream): Connection {
    this.#observer.connectionOpened?.()
    const connection = new Connection(this.#nextId++, stream, this.#context)
    this.#connections.add(connection)
    this.#unnegotiated.add(connection)
    return connection
  }

  #exceededLimit(socket: Socket): 'connections' | 'unnegotiatedConnections' | 'unnegotiatedPerAddress' | undefined {
    const limits = this.#limits
    if (this.#connections.size >= limits.connections) return 'connections'
    if (this.#unnegotiated.size >= limits.unnegotiatedConnections) return 'unnegotiatedConnections'
    const address = socket.remoteAddress ?? 'unix'
    let same = 0
    for (const connection of this.#unnegotiated) if (connection.remoteAddress === address) same++
    return same >= limits.unnegotiatedPerAddress ? 'unnegotiatedPerAddress' : undefined
  }

  #checkDeadlines(): void {
    const now = performance.now()
    for (const connection of this.#connections) connection.checkDeadlines(now)
  }

  async #close(): Promise<void> {
    const stopped = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const connection of [...this.#connections]) connection.beginShutdown()
    if (!(await this.#emptyWithin(this.#limits.closeMs))) {
      for (const connection of [...this.#connections]) connection.destroy()
      await this.#emptyWithin(CUT_MS)
    }
    clearInterval(this.#sweep)
    this.#context.deadlines.close()
    for (const done of stopped) await done
    await this.#context.exports.closed()
  }

  /** Resolves to true when the last connection is over, to false when that takes longer. */
  #emptyWithin(milliseconds: number): Promise<boolean> {
    if (this.#connections.size === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), milliseconds)
      this.#onEmpty = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
  }
}
