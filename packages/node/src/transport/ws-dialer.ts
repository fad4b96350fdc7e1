import { randomUUID } from 'node:crypto'
import { createConnection, type TcpNetConnectOpts } from 'node:net'
import { RedialPause, TIMERS } from '@ashlar/proto'
import { connectionFault, KEEPALIVE_MS } from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import type { Connection } from './connection.ts'
import { type Lane, pathOf } from './lanes.ts'
import { type TransportLogger, WS_DIAL_OPTIONS } from './options.ts'

/** An address that is kept dialed: connected, or waiting for its next attempt. */
interface Target {
  readonly address: string
  connection: Connection | undefined
  /** The next attempt or, while a link is up, the time from which it counts as stable. */
  timer: NodeJS.Timeout | undefined
  readonly pause: RedialPause
  lastFailure: string | undefined
  wanted: boolean
}

export interface DialerOptions {
  readonly logger: TransportLogger
  /** Makes the connection of a WebSocket that is being opened. */
  readonly openConnection: (socket: WebSocket, address: string, lane: Lane, accepted: () => boolean) => Connection
  readonly onFailed: () => void
  /** The address cannot be dialed at all. */
  readonly onMalformed: (address: string, reason: string) => void
}

/** Keeps one outgoing connection to each address of a set; dials again after pauses that double, with jitter. */
export class WsDialer {
  private readonly options: DialerOptions
  private readonly targets: Map<string, Target> = new Map()
  private readonly byConnection: Map<Connection, Target> = new Map()

  constructor(options: DialerOptions) {
    this.options = options
  }

  /** New addresses are dialed at once; connections to addresses that are no longer in the set are closed. */
  setDialed(addresses: readonly string[]): void {
    const wanted = new Set(addresses)
    for (const [address, target] of this.targets) {
      if (wanted.has(address)) continue
      this.targets.delete(address)
      target.wanted = false
      clearTimeout(target.timer)
      target.connection?.close('the address is not dialed any more')
    }
    for (const address of wanted) {
      if (this.targets.has(address)) continue
      const target: Target = {
        address,
        connection: undefined,
        timer: undefined,
        pause: new RedialPause(),
        lastFailure: undefined,
        wanted: true,
      }
      this.targets.set(address, target)
      this.dial(target)
    }
  }

  /** A connection passed its handshake. Its pause is reset only once it was stable: a flapping peer is dialed less often. */
  onUp(connection: Connection): void {
    const target = this.byConnection.get(connection)
    if (target === undefined) return
    target.lastFailure = undefined
    target.timer = setTimeout(() => target.pause.startOver(), TIMERS.redialMaxMs)
  }

  /** A connection of any direction ended. */
  onEnded(connection: Connection, reason: string, wasUp: boolean): void {
    const target = this.byConnection.get(connection)
    if (target === undefined) return
    this.byConnection.delete(connection)
    target.connection = undefined
    clearTimeout(target.timer)
    if (!wasUp) this.fail(target, reason)
    if (target.wanted) this.dialLater(target)
  }

  /** Dials the second connection of a link, once. The transport handles its end. */
  dialUrgent(main: Connection): Connection {
    return this.connect(main.remote, { token: main.lane?.token ?? '', urgent: true })
  }

  private dial(target: Target): void {
    let connection: Connection
    try {
      connection = this.connect(target.address, { token: randomUUID(), urgent: false })
    } catch (error) {
      // A malformed address may come from another node: that is a failed dial, not a bug of this one.
      this.options.onMalformed(target.address, connectionFault(error))
      this.fail(target, connectionFault(error))
      this.dialLater(target)
      return
    }
    target.connection = connection
    this.byConnection.set(connection, target)
  }

  private connect(address: string, lane: Lane): Connection {
    let accepted = false
    // The path is the one of the request: to a socket it would be the name of a file.
    const dial = (options: TcpNetConnectOpts) =>
      createConnection({ ...options, path: undefined } as TcpNetConnectOpts).once('connect', () => {
        accepted = true
      })
    const createTracked = dial as typeof createConnection
    const options = { ...WS_DIAL_OPTIONS, createConnection: createTracked }
    const socket = new WebSocket(`ws://${address}${pathOf(lane)}`, options)
    socket.once('upgrade', (response) => {
      response.socket.setKeepAlive(true, KEEPALIVE_MS)
      response.socket.setNoDelay(true)
    })
    return this.options.openConnection(socket, address, lane, () => accepted)
  }

  private dialLater(target: Target): void {
    target.timer = setTimeout(() => this.dial(target), target.pause.next(Math.random()))
  }

  private fail(target: Target, reason: string): void {
    if (!target.wanted) return
    this.options.onFailed()
    // A peer that is down is dialed until it is back; only a new reason is worth a warning.
    const level = target.lastFailure === reason ? 'debug' : 'warn'
    target.lastFailure = reason
    this.options.logger[level]({ address: target.address, reason }, 'dial failed')
  }
}
