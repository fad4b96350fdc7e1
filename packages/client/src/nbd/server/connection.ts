import { Socket } from 'node:net'
import { AshlarError, InvariantError } from '@ashlar/proto'
import {
  type ExportDescription,
  Handshake,
  type HandshakeEvent,
  type Refusal,
  type TransmissionRules,
  unknownExport,
} from '../protocol/index.ts'
import type { Budget } from './budget.ts'
import type { ByteStream } from './byte-stream.ts'
import type { DeadlineSignals } from './deadline-signals.ts'
import type { ExportInfo } from './exports.ts'
import type { NbdServerLimits } from './limits.ts'
import type { CloseReason, NbdLogger, NbdObserver } from './observer.ts'
import type { ExportUser, OpenExport, OpenExports } from './open-exports.ts'
import { Outgoing } from './outgoing.ts'
import type { PooledBuffer, TransferMemory } from './transfer-memory.ts'
import { Transmission, type TransmissionHost } from './transmission.ts'

/** What the connections of one server share. */
export interface ConnectionContext {
  readonly exports: OpenExports
  readonly limits: NbdServerLimits
  readonly budget: Budget
  readonly deadlines: DeadlineSignals
  readonly transferMemory: TransferMemory
  readonly observer: NbdObserver
  readonly logger: NbdLogger
  /** The client opened an export. */
  onNegotiated(connection: Connection): void
  /** The socket is closed and no request of the client is being executed any more. */
  onClosed(connection: Connection, reason: CloseReason): void
}

/** The server's preferred block size is at least the smallest that the specification allows. */
const SMALLEST_PREFERRED_BYTES = 512

/**
 * One client, from the greeting to its last settled request:
 *
 * ```
 * handshake ──► (predecessors settle) ──► transmission ──► leaving ──► settled, socket closed
 * ```
 *
 * It closes in the reverse order of opening: no more requests, those in flight settle, replies go out, the export is
 * released, the socket ends.
 */
export class Connection implements TransmissionHost, ExportUser {
  readonly id: number
  readonly #socket: ByteStream
  readonly #context: ConnectionContext
  readonly #logger: { readonly connection: number; readonly remote: string }
  readonly #handshake = new Handshake()
  readonly #outgoing: Outgoing
  readonly #settlement = Promise.withResolvers<void>()
  #open: OpenExport | undefined
  #transmission: Transmission | undefined
  /** The client must have finished its part by then: the handshake, a request that began, or closing after our end. */
  #deadline: { readonly at: number; readonly reason: CloseReason } | undefined
  /** The request that was here in part when deadlines were last looked at. */
  #partialRequest: number | undefined
  /** An answer of the handshake is being found. */
  #finding = false
  #paused = false
  #closeReason: CloseReason | undefined
  #socketClosed = false
  #settled = false
  #over = false

  constructor(id: number, socket: ByteStream, context: ConnectionContext) {
    this.id = id
    this.#socket = socket
    this.#context = context
    const remote = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`
    this.#logger = { connection: id, remote }
    this.#outgoing = new Outgoing(socket, context.budget, () => this.#guard(() => this.#transmission?.onRepliesTaken()))
    this.#deadline = { at: performance.now() + context.limits.handshakeMs, reason: 'handshake-timeout' }
    socket.on('data', (bytes) => this.#guard(() => this.#onData(bytes)))
    socket.on('end', () => this.#guard(() => this.#onEnd()))
    socket.on('error', (error) => context.logger.debug({ ...this.#logger, err: error }, 'NBD connection failed'))
    socket.on('close', () => this.#onSocketClosed())
    this.#guard(() => this.#onEvents(this.#handshake.start()))
  }

  get negotiated(): boolean {
    return this.#transmission !== undefined
  }

  /** Address that per-address limits count by. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? 'unix'
  }

  get unsentBytes(): number {
    return this.#outgoing.bytes
  }

  /** Called about once a second: ends a connection that has used up a deadline. */
  checkDeadlines(now: number): void {
    const { limits } = this.#context
    if (this.#outgoing.stalledMs(now) > limits.stalledReaderMs) {
      this.#drop('stalled-reader')
      return
    }
    if (this.#transmission !== undefined && this.#closeReason === undefined) {
      const partial = this.#transmission.partialRequest
      if (partial === undefined) this.#deadline = undefined
      else if (partial !== this.#partialRequest) {
        this.#deadline = { at: now + limits.partialRequestMs, reason: 'partial-request-timeout' }
      }
      this.#partialRequest = partial
    }
    if (this.#deadline !== undefined && now >= this.#deadline.at) this.#drop(this.#deadline.reason)
  }

  /** Refuses new requests, lets those in flight end, then closes. */
  beginShutdown(): void {
    this.#handshake.beginShutdown()
    if (this.#transmission !== undefined) this.#transmission.beginShutdown()
    else this.#drop('server-closed')
  }

  /** Cuts the connection off now. */
  destroy(): void {
    this.#drop('server-closed')
  }

  onExportLost(): void {
    // What was answered still goes out; nothing more is started.
    this.#leave('export-lost')
    this.#transmission?.sendReplies()
    this.#transmission?.abandon()
    this.#outgoing.end(true)
  }

  send(parts: readonly Uint8Array[], buffers: readonly PooledBuffer[]): void {
    this.#outgoing.push(parts, buffers)
  }

  setInputWanted(wanted: boolean): void {
    if (wanted !== this.#paused) return
    this.#paused = !wanted
    if (wanted) this.#socket.resume()
    else this.#socket.pause()
  }

  onDisconnectRequested(): void {
    this.#leave('client-left')
  }

  onFault(reason: string): void {
    this.#context.logger.warn(
      { ...this.#logger, reason },
      'NBD requests cannot be understood; the connection is dropped',
    )
    this.#drop('bad-request')
  }

  onSettled(): void {
    this.#leave('server-closed')
    this.#settled = true
    this.#settlement.resolve()
    this.#outgoing.end()
    // Input is read and dropped until a deadline, so that closing does not cut off replies in flight.
    this.setInputWanted(true)
    this.#deadline = { at: performance.now() + this.#context.limits.closeMs, reason: 'client-left' }
    if (this.#open !== undefined) this.#release(this.#open)
    this.#finishIfOver()
  }

  onDeviceLost(error: AshlarError): void {
    if (this.#open !== undefined) this.#context.exports.lose(this.#open, error)
  }

  onUnexpected(error: unknown): void {
    if (error instanceof InvariantError) throw error
    this.#context.logger.error({ ...this.#logger, err: error }, 'NBD connection dropped after an unexpected failure')
    this.#drop('internal-error')
  }

  #onData(bytes: Uint8Array): void {
    if (this.#closeReason !== undefined) return
    if (this.#transmission !== undefined) this.#transmission.receive(bytes)
    else this.#onEvents(this.#handshake.receive(bytes))
  }

  /** The client closed its side. Without NBD_CMD_DISC before that, it does not wait for replies. */
  #onEnd(): void {
    if (this.#closeReason !== 'client-left') this.#drop('client-vanished')
  }

  #onSocketClosed(): void {
    this.#socketClosed = true
    this.#leave('client-vanished')
    this.#outgoing.discard()
    if (this.#transmission === undefined) {
      this.#settled = true
      if (this.#open !== undefined) this.#release(this.#open)
    } else this.#transmission.abandon()
    this.#finishIfOver()
  }

  /** Ends the connection at once; what is in flight settles by itself. */
  #drop(reason: CloseReason): void {
    this.#leave(reason)
    this.#transmission?.abandon()
    this.#socket.destroy()
  }

  /** From now on the client starts nothing more. The first reason counts. */
  #leave(reason: CloseReason): void {
    if (this.#closeReason !== undefined) return
    this.#closeReason = reason
    this.#deadline = undefined
    this.#open?.users.delete(this)
    if (this.#transmission !== undefined) this.#open?.leave(this.#settlement.promise)
  }

  #finishIfOver(): void {
    if (!this.#settled || !this.#socketClosed || this.#finding || this.#over) return
    this.#over = true
    this.#context.onClosed(this, this.#closeReason ?? 'client-vanished')
  }

  #onEvents(events: readonly HandshakeEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'send':
          this.#outgoing.push([event.bytes])
          break
        case 'list':
          this.#answer(async () => {
            const list = await this.#context.exports.list().catch(refusalOf)
            return () => this.#handshake.answerList(list)
          })
          break
        case 'describe':
          this.#answer(async () => {
            const answer = await this.#describe(event.name)
            return () => this.#handshake.answerExport(answer)
          })
          break
        case 'open':
          this.#answer(async () => {
            const answer = await this.#acquire(event.name)
            return () => this.#handshake.answerExport(answer)
          })
          break
        case 'transmission':
          this.#beginTransmission(event.rules, event.rest)
          break
        case 'close':
          this.#onHandshakeClosed(event.reason, event.orderly)
          break
      }
    }
  }

  /** Finds an answer for the handshake while the socket is not read. The time that it takes is not the client's. */
  #answer(find: () => Promise<() => HandshakeEvent[]>): void {
    this.setInputWanted(false)
    const deadline = this.#deadline
    const since = performance.now()
    this.#deadline = undefined
    this.#finding = true
    find().then(
      (events) => {
        this.#finding = false
        if (this.#closeReason !== undefined) {
          this.#finishIfOver()
          return
        }
        if (deadline !== undefined) this.#deadline = { ...deadline, at: deadline.at + (performance.now() - since) }
        this.setInputWanted(true)
        this.#guard(() => this.#onEvents(events()))
      },
      (error) => {
        this.#finding = false
        this.onUnexpected(error)
      },
    )
  }

  async #describe(name: string): Promise<ExportDescription | Refusal> {
    try {
      const facts = await this.#context.exports.describe(name)
      return facts === undefined ? unknownExport(name) : this.#description(facts)
    } catch (error) {
      return this.#refused(name, error)
    }
  }

  async #acquire(name: string): Promise<ExportDescription | Refusal> {
    try {
      const open = await this.#context.exports.acquire(name)
      if (this.#closeReason !== undefined) {
        // The client left meanwhile.
        this.#release(open)
        return { refused: 'shutdown', text: 'the connection is closed' }
      }
      if (open.lost !== undefined) {
        this.#release(open)
        throw open.lost
      }
      this.#open = open
      open.users.add(this)
      return this.#description(open.facts)
    } catch (error) {
      return this.#refused(name, error)
    }
  }

  #description(facts: ExportInfo): ExportDescription {
    const { description } = facts
    return {
      name: facts.name,
      sizeBytes: facts.sizeBytes,
      readOnly: facts.readOnly,
      minimumBlockBytes: 1,
      preferredBlockBytes: Math.max(SMALLEST_PREFERRED_BYTES, facts.blockSizeBytes),
      maximumPayloadBytes: this.#context.limits.payloadBytes,
      fastZero: facts.fastZero,
      ...(description === undefined ? {} : { description }),
    }
  }

  #refused(name: string, error: unknown): Refusal {
    if (error instanceof AshlarError && error.code === 'NOT_FOUND') return unknownExport(name)
    this.#context.logger.warn({ ...this.#logger, export: name, err: error }, 'NBD export cannot be opened')
    return refusalOf(error)
  }

  #beginTransmission(rules: TransmissionRules, rest: Uint8Array): void {
    const open = this.#open
    if (open === undefined) throw new InvariantError('the transmission begins with an open export')
    const { limits, budget, observer, logger, deadlines, transferMemory } = this.#context
    this.#deadline = undefined
    const transmission = new Transmission({
      rules,
      open,
      limits,
      budget,
      host: this,
      observer,
      logger,
      // Only a socket reports when the kernel has the bytes.
      transferMemory: this.#socket instanceof Socket ? transferMemory : undefined,
      deadline: () => deadlines.current(),
    })
    this.#transmission = transmission
    this.#context.onNegotiated(this)
    this.setInputWanted(false)
    // Writes that a connection before this one left in flight must not land after what this client writes (A2.11-10).
    open.predecessorsSettled().then(() => {
      if (this.#closeReason !== undefined) return
      this.#guard(() => transmission.begin(rest))
    })
  }

  #onHandshakeClosed(reason: string, orderly: boolean): void {
    this.#context.logger.info({ ...this.#logger, reason }, 'NBD handshake ended without an export')
    this.#leave(orderly ? 'client-left' : 'handshake-failed')
    this.#outgoing.end(true)
  }

  #release(open: OpenExport): void {
    this.#context.exports.release(open).catch((error) => {
      this.#context.logger.error({ ...this.#logger, export: open.facts.name, err: error }, 'closing the export failed')
    })
  }

  /** Bad input must never end the process: what it makes us throw ends this connection only. */
  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.onUnexpected(error)
    }
  }
}

/** The refusal that a client gets when an export cannot be opened. */
function refusalOf(error: unknown): Refusal {
  if (!(error instanceof AshlarError))
    return { refused: 'policy', text: 'the export cannot be opened; the server logs why' }
  const text = error.hint === undefined ? error.message : `${error.message}; ${error.hint}`
  return { refused: error.code === 'CLOSED' ? 'shutdown' : 'policy', text }
}
