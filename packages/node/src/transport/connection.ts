import {
  type AnyMessage,
  AshlarError,
  type ClusterId,
  errorCodeOf,
  type Hello,
  LIMITS,
  type Message,
  type Refused,
  TIMERS,
  type Welcome,
} from '@ashlar/proto'
import {
  CLIENT_MESSAGE_TYPES,
  connectionFault,
  decodeFrame,
  encodeFrame,
  FrameQueue,
  HANDSHAKE_WIRE_VERSION,
  HELLO_MAX_BYTES,
  verifyChecksums,
} from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import type { LinkPeer } from '../core/machine.ts'
import {
  CLOSE_NORMAL,
  CLOSE_POLICY,
  CLOSE_PROTOCOL_ERROR,
  CLOSE_REASON_LENGTH,
  CLOSE_UNSUPPORTED,
} from './close-codes.ts'
import type { ConnectionContext, ConnectionEvents, ConnectionOrigin } from './connection-ports.ts'
import { separateDamagedWrites } from './damaged-writes.ts'
import { helloOf, judgeHello, judgeWelcome, type OtherSide, otherSideOf, peerOf, welcomeOf } from './handshake.ts'
import type { Lane } from './lanes.ts'
import { Liveness } from './liveness.ts'
import { CLOSE_MS, SOCKET_BYTES, STALL_MS } from './options.ts'

/** Message of the error of ws for an upgrade that takes longer than `handshakeTimeout`; it has no code. */
const UPGRADE_TIMED_OUT = 'Opening handshake has timed out'

/**
 * One WebSocket from its upgrade (or dial) to its end.
 *
 *   handshake --hello/welcome fit--> open --close, fault, cut--> leaving --socket closed--> ended
 *       \------------ refused, silent, foreign -----------------/
 */
export class Connection {
  readonly direction: 'in' | 'out'
  readonly lane: Lane | undefined
  /** Why the two sides do not fit; undefined when the handshake did not fail, or when the connection broke. */
  refusal: Refused | undefined
  refusedBy: 'this side' | 'other side' | undefined
  /** Code of the error of the system that ended it. */
  errorCode: string | undefined
  /** The other side did not complete the handshake in time. */
  timedOut = false
  /** The other side as its handshake described it, also where it was refused. */
  otherSide: OtherSide | undefined
  /** The cluster of the other side, from its handshake. */
  cluster: ClusterId | undefined
  /** Which side closed it after all its messages; undefined before its end, and when messages in flight were lost. */
  closedBy: 'this side' | 'other side' | undefined
  readonly remote: string
  private readonly socket: WebSocket
  private readonly origin: ConnectionOrigin
  private readonly context: ConnectionContext
  private readonly events: ConnectionEvents<Connection>
  private readonly queue: FrameQueue<Message> = new FrameQueue()
  private readonly handshakeTimer: NodeJS.Timeout
  private closeTimer: NodeJS.Timeout | undefined
  private state: 'handshake' | 'open' | 'leaving' | 'ended' = 'handshake'
  private peer: LinkPeer | undefined
  /** Version of the frames: the handshake's own until it has chosen one. */
  private wire = HANDSHAKE_WIRE_VERSION
  private reason: string | undefined
  private readonly liveness: Liveness = new Liveness()
  private watched = false

  constructor(
    socket: WebSocket,
    origin: ConnectionOrigin,
    context: ConnectionContext,
    events: ConnectionEvents<Connection>,
  ) {
    this.socket = socket
    this.origin = origin
    this.direction = origin.direction
    this.remote = origin.remote
    this.lane = origin.lane
    this.context = context
    this.events = events
    this.handshakeTimer = setTimeout(() => this.endHandshake(), TIMERS.handshakeMs)
    socket.on('message', (data, isBinary) => this.onFrame(data as Buffer, isBinary))
    socket.on('error', (error) => this.onError(error))
    socket.on('close', (code, reason) => this.onClose(code, reason))
    socket.on('ping', () => this.liveness.onSign())
    socket.on('pong', () => this.liveness.onSign())
    if (origin.direction === 'out') socket.on('open', () => this.transmit([helloOf(this.context.identity())]))
  }

  /** The link of this connection is up. `watched`: the link has another connection, so this one must detect its own silence. */
  establish(watched: boolean): void {
    clearTimeout(this.handshakeTimer)
    this.watched = watched
  }

  /** False: nothing has answered the request for a connection. */
  get wasAccepted(): boolean {
    return this.direction === 'in' || this.origin.accepted?.() === true
  }

  /** As Transport.send. `besides`: bytes queued on the other connection of the link. */
  send(message: Message, besides = 0): 'queued' | 'full' | 'down' {
    if (this.state !== 'open') return 'down'
    const waiting = this.waitingBytes + besides
    if (waiting > LIMITS.linkCutBytes) {
      this.context.counters.fullLinks++
      this.context.logger.warn({ remote: this.remote, waitingBytes: waiting }, 'link is full: closed')
      this.cut(`send queue over linkCutBytes (${LIMITS.linkCutBytes})`)
      return 'full'
    }
    try {
      this.queue.add(message)
    } catch (error) {
      this.cutUnencodable(error)
      return 'down'
    }
    return 'queued'
  }

  /** Hands messages to the socket up to its bound; the rest follows as it sends. */
  flush(): void {
    while (this.state === 'open' && !this.queue.isEmpty && this.socket.bufferedAmount < SOCKET_BYTES) {
      this.transmit(this.queue.take())
    }
    this.throttle()
  }

  /** Sends the queue, then closes, in CLOSE_MS at most. `down` follows in a later microtask, before the socket is closed. */
  close(reason: string): void {
    if (this.state === 'leaving' || this.state === 'ended') return
    while (this.state === 'open' && !this.queue.isEmpty) this.transmit(this.queue.take())
    this.leave(reason)
    this.closeSocket(CLOSE_NORMAL, reason)
  }

  /** The other connection of the link ended: ends this one in the same way. */
  endWith(other: Connection): void {
    if (this.state === 'leaving' || this.state === 'ended') return
    const reason = `the other connection of the link ended: ${other.endReason}`
    if (other.closedBy === 'this side') this.close(reason)
    else this.cut(reason)
  }

  /** The other side closed the other connection of the link: messages that it sent before may still arrive over this one. */
  endAfter(other: Connection): void {
    this.closeTimer ??= setTimeout(() => this.endWith(other), CLOSE_MS)
  }

  get isOpen(): boolean {
    return this.state === 'open'
  }

  /** Refuses a peer that passed the handshake but differs from the peer of the other connection of the link. */
  refuse(refusal: Refused): void {
    this.failHandshake(refusal, refusal.message, 'this side')
  }

  /** Ends the connection at once; its queue is lost. */
  cut(reason: string): void {
    if (this.state === 'ended') return
    this.leave(reason)
    this.socket.terminate()
  }

  private endHandshake(): void {
    this.timedOut = true
    this.cut('the handshake timed out')
  }

  /** Called every STALL_CHECK_MS. */
  check(): void {
    this.checkStall()
    if (this.watched && this.state === 'open') this.checkSilence()
  }

  /** A peer that reads nothing must not hold memory without limit. */
  private checkStall(): void {
    if (!this.liveness.isStalled(this.state === 'open' && this.waitingBytes > 0)) return
    this.context.counters.stalledLinks++
    this.context.logger.warn({ remote: this.remote, waitingBytes: this.waitingBytes }, 'link is stalled: closed')
    this.cut(`send queue made no progress for ${STALL_MS / 1000} s`)
  }

  /**
   * One connection of a link may be dead while the other works, and the kernel still accepts its bytes. So each is pinged by
   * itself.
   */
  private checkSilence(): void {
    const silentMs = this.liveness.silentMs()
    if (silentMs >= STALL_MS) this.cut(`nothing received for ${STALL_MS / 1000} s`)
    else if (silentMs > 0) this.socket.ping()
  }

  /** Why the connection closes or closed, for log messages. */
  get endReason(): string {
    return this.reason ?? ''
  }

  /** Bytes queued to be sent. */
  get waitingBytes(): number {
    return this.queue.bytes + this.socket.bufferedAmount
  }

  private transmit(messages: readonly AnyMessage[]): void {
    if (this.socket.readyState !== WebSocket.OPEN) return
    const { frameMemory } = this.context
    let frame: Uint8Array
    try {
      frame = encodeFrame(messages, this.wire, frameMemory)
    } catch (error) {
      return this.cutUnencodable(error)
    }
    this.context.counters.sentFrames++
    this.context.counters.sentBytes += frame.length
    this.socket.send(frame, { binary: true, compress: false, fin: true }, (error) => {
      frameMemory.onSent(frame, error)
      this.liveness.onFrameGone()
      this.flush()
    })
  }

  /**
   * A message that breaks a limit of the wire is a bug of this build, and costs this link only: the process goes on serving the
   * others. The other side dials again and may request something that can be sent.
   */
  private cutUnencodable(error: unknown): void {
    const what = (error as Error).message
    this.context.counters.unencodableMessages++
    this.context.logger.warn(
      { remote: this.remote, direction: this.direction, what },
      'unencodable message: link closed',
    )
    this.cut(`message cannot be encoded: ${what}`)
  }

  /**
   * Stops reading from a client that sends requests faster than it takes responses, until it has taken most of them. Peers
   * are always read from: two nodes that wait for each other to read would deadlock.
   */
  private throttle(): void {
    if (this.peer?.kind !== 'client' || this.state !== 'open') return
    const waiting = this.waitingBytes
    if (!this.socket.isPaused && waiting > LIMITS.linkHighBytes) {
      this.context.counters.pausedClients++
      this.socket.pause()
    } else if (this.socket.isPaused && waiting < LIMITS.linkHighBytes / 2) this.socket.resume()
  }

  private onFrame(data: Buffer, isBinary: boolean): void {
    if (this.state === 'leaving' || this.state === 'ended') return
    this.liveness.onSign()
    this.context.counters.receivedFrames++
    this.context.counters.receivedBytes += data.length
    if (!isBinary) return this.refuseFrame(CLOSE_UNSUPPORTED, 'a text frame; this protocol is binary')
    if (this.state === 'handshake' && data.length > HELLO_MAX_BYTES) {
      return this.refuseFrame(CLOSE_POLICY, `a first frame of ${data.length} bytes; at most ${HELLO_MAX_BYTES}`)
    }
    let messages: AnyMessage[]
    try {
      messages = decodeFrame(data, this.wire)
    } catch (error) {
      if (!(error instanceof AshlarError)) throw error
      return this.refuseFrame(CLOSE_PROTOCOL_ERROR, error.message)
    }
    if (this.state === 'handshake') return this.onHandshake(messages[0] as AnyMessage)
    for (const message of messages) {
      const problem = this.problemOf(message)
      if (problem !== undefined) return this.refuseFrame(CLOSE_POLICY, problem)
    }
    const { sound, damaged } = separateDamagedWrites(messages as Message[], this.context.blockSizeOf)
    this.events.messages(this, sound)
    if (damaged.length > 0) this.events.damagedWrites(this, damaged)
  }

  /** Why an open link may not carry a message that is valid in itself. */
  private problemOf(message: AnyMessage): string | undefined {
    if (this.peer?.kind === 'client' && !CLIENT_MESSAGE_TYPES.has(message.type as Message['type'])) {
      return `${message.type} from a client`
    }
    return verifyChecksums(message) ? undefined : `bytes of a ${message.type} that do not match their checksum`
  }

  private onHandshake(message: AnyMessage): void {
    if (this.direction === 'in' && message.type === 'hello') this.onHello(message)
    else if (this.direction === 'out' && message.type === 'welcome') this.onWelcome(message)
    else if (this.direction === 'out' && message.type === 'refused') this.onRefused(message)
    else this.refuseFrame(CLOSE_POLICY, `${message.type} where the handshake should begin`)
  }

  private onHello(hello: Hello): void {
    const identity = this.context.identity()
    this.otherSide = otherSideOf(hello)
    const refusal = judgeHello(identity, hello)
    if (refusal === undefined) {
      this.transmit([welcomeOf(identity, hello)])
      return this.open(peerOf(hello), hello.cluster)
    }
    this.transmit([refusal])
    this.failHandshake(refusal, refusal.message, 'this side')
  }

  private onWelcome(welcome: Welcome): void {
    this.otherSide = otherSideOf(welcome)
    const problem = judgeWelcome(this.context.identity(), welcome)
    if (problem === undefined) this.open(peerOf(welcome), welcome.cluster)
    else this.failHandshake(problem, problem.message, 'this side')
  }

  private onRefused(refusal: Refused): void {
    const code = errorCodeOf(refusal.code) ?? refusal.code
    this.failHandshake(refusal, `refused by the other side: ${refusal.message} (${code})`, 'other side')
  }

  private failHandshake(refusal: Refused, reason: string, by: 'this side' | 'other side'): void {
    this.context.counters.refusedHandshakes++
    this.refusal = refusal
    this.refusedBy = by
    // For outgoing connections the dialer logs the reason, once and not at every attempt.
    if (this.direction === 'in') this.context.logger.warn({ remote: this.remote, reason }, 'handshake refused')
    this.leave(reason)
    this.closeSocket(CLOSE_POLICY, reason)
  }

  private open(peer: LinkPeer, cluster: ClusterId | undefined): void {
    this.state = 'open'
    this.peer = peer
    this.cluster = cluster
    this.wire = peer.wire
    this.events.up(this, peer)
  }

  private refuseFrame(code: number, what: string): void {
    this.context.counters.badFrames++
    this.context.logger.warn({ remote: this.remote, direction: this.direction, what }, 'bad frame: connection closed')
    this.leave(`bad frame: ${what}`)
    this.closeSocket(code, what)
  }

  /** Leaves the open state: no message is sent or handed on any more, and `down` follows if there was an `up`. */
  private leave(reason: string): void {
    this.reason ??= reason
    if (this.state === 'leaving' || this.state === 'ended') return
    const wasOpen = this.state === 'open'
    this.state = 'leaving'
    this.queue.clear()
    clearTimeout(this.handshakeTimer)
    clearTimeout(this.closeTimer)
    // Deferred: the owner may be inside `send` or `closeLink` and must not be called back from there.
    if (wasOpen) queueMicrotask(() => this.events.down(this))
  }

  private closeSocket(code: number, reason: string): void {
    this.closedBy = 'this side'
    // A paused socket never sees the other side's close frame.
    if (this.socket.isPaused) this.socket.resume()
    this.socket.close(code, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, CLOSE_REASON_LENGTH))
  }

  private onError(error: Error): void {
    const { code, message } = error as NodeJS.ErrnoException
    this.errorCode ??= code
    // ws has the same limit for the upgrade as the timer here, and may come first.
    this.timedOut ||= message === UPGRADE_TIMED_OUT
    // ws reports violations of RFC 6455 here (an oversize frame, a bad opcode) and closes by itself.
    if (code?.startsWith('WS_ERR') && this.state !== 'leaving') {
      this.context.counters.badFrames++
      this.context.logger.warn({ remote: this.remote, what: message }, 'bad frame: connection closed')
    }
    this.leave(connectionFault(error))
  }

  private onClose(code: number, reason: Buffer): void {
    if (this.state === 'ended') return
    // With any other code the other side refused something, and has dropped what it still had to send.
    if (this.state === 'open' && code === CLOSE_NORMAL) this.closedBy = 'other side'
    this.leave(`closed by the other side (${code}${reason.length === 0 ? '' : `: ${reason.toString()}`})`)
    this.state = 'ended'
    // After the microtask of `down`, so that `ended` is the last event of a connection.
    queueMicrotask(() => this.events.ended(this, this.endReason))
  }
}
