import { AshlarError, invariant } from '@ashlar/proto'
import type { DeviceWriteOptions, DeviceZeroOptions } from '../device/device.ts'
import {
  COMMAND_NAMES,
  errnoOf,
  errnoText,
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_DISC,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
  NBD_ESHUTDOWN,
  NBD_OK,
  type NbdRequest,
  type ReadPart,
  ReplyWriter,
  RequestReader,
  type StatusExtent,
  type TransmissionRules,
} from '../protocol/index.ts'
import { blockStatus } from './block-status.ts'
import type { Budget } from './budget.ts'
import type { NbdServerLimits } from './limits.ts'
import type { NbdLogger, NbdObserver } from './observer.ts'
import type { OpenExport } from './open-exports.ts'
import { PayloadMemory } from './payload-memory.ts'
import type { PooledBuffer, TransferMemory } from './transfer-memory.ts'
import type { WriteTicket } from './write-order.ts'

/** What the pipeline needs of its connection. */
export interface TransmissionHost {
  /** Bytes of replies that the client has not taken. */
  readonly unsentBytes: number
  /** Buffers are released once the kernel has all of the bytes. */
  send(parts: readonly Uint8Array[], buffers: readonly PooledBuffer[]): void
  /** Whether more input is wanted now. */
  setInputWanted(wanted: boolean): void
  /** The client said NBD_CMD_DISC; its requests in flight go on. */
  onDisconnectRequested(): void
  /** The byte stream cannot be understood any more. */
  onFault(reason: string): void
  /** Nothing is in flight and no more will be: all replies have been sent or dropped. */
  onSettled(): void
  /** The device is permanently lost. */
  onDeviceLost(error: AshlarError): void
  /** An internal invariant was violated; the connection cannot go on. */
  onUnexpected(error: unknown): void
}

export interface TransmissionOptions {
  readonly rules: TransmissionRules
  readonly open: OpenExport
  readonly limits: NbdServerLimits
  readonly budget: Budget
  readonly host: TransmissionHost
  readonly observer: NbdObserver
  readonly logger: NbdLogger
  /** Memory for large requests, if the stream reports what it has sent. */
  readonly transferMemory: TransferMemory | undefined
  /** The signal that ends a device call started now, if calls have a deadline. */
  readonly deadline: () => AbortSignal | undefined
}

/**
 * The transmission phase of one connection: requests in, calls of the device, replies out as the calls end, in any
 * order. Requests are pulled out of the reader only while the caps on what is in flight allow; beyond them the socket
 * is not read.
 */
export class Transmission {
  readonly #options: TransmissionOptions
  readonly #payloads: PayloadMemory
  readonly #reader: RequestReader
  readonly #writer: ReplyWriter
  /** A request that was read and does not fit under the caps yet. */
  #held: NbdRequest | undefined
  #requests = 0
  #inFlight = 0
  #inFlightBytes = 0
  /** Writes that wait for an earlier overlapping one. */
  readonly #queued = new Map<WriteTicket, NbdRequest>()
  /** Memory of replies that are written and not handed over. */
  #buffers: PooledBuffer[] = []
  #flushScheduled = false
  #begun = false
  /** Requests are being taken: what ends meanwhile must not begin to take some itself. */
  #pumping = false
  /** No new request is started: after NBD_CMD_DISC, a fault, or the end of the stream. */
  #stopped = false
  /** The client does not take replies any more. */
  #abandoned = false
  #shuttingDown = false
  #settled = false
  readonly #pump = (): void => this.#pumpRequests()

  constructor(options: TransmissionOptions) {
    this.#options = options
    this.#payloads = new PayloadMemory(options.transferMemory)
    const { rules } = options
    const hardPayloadLimitBytes = options.limits.hardPayloadBytes
    this.#reader = new RequestReader({ rules, hardPayloadLimitBytes, allocate: this.#payloads.allocate })
    this.#writer = new ReplyWriter({ structuredReplies: rules.structuredReplies, allocate: Buffer.allocUnsafeSlow })
  }

  /** Number of the request that is here in part, while it is the client that we wait for. */
  get partialRequest(): number | undefined {
    return this.#held === undefined && this.#reader.insideRequest && !this.#stopped ? this.#requests : undefined
  }

  /** Serves from now on; `rest` came with the end of the handshake. */
  begin(rest: Uint8Array): void {
    this.#begun = true
    this.receive(rest)
  }

  receive(bytes: Uint8Array): void {
    if (this.#stopped) return
    this.#reader.append(bytes)
    this.#pumpRequests()
  }

  /** The client took replies: there may be room for more requests. */
  onRepliesTaken(): void {
    if (!this.#stopped) this.#pumpRequests()
  }

  /** Hands over the replies that are written already. */
  sendReplies(): void {
    if (this.#abandoned) return
    this.#options.host.send(this.#writer.take(), this.#buffers)
    this.#buffers = []
  }

  /** Starts nothing more; what is in flight goes on and is answered. */
  stop(): void {
    this.#stopped = true
    this.#held = undefined
    this.#options.budget.forget(this.#pump)
    this.#settleIfIdle()
  }

  /**
   * The client is gone: drops replies, and writes that have not started. Those that have started settle by themselves.
   */
  abandon(): void {
    if (this.#abandoned) return
    this.#abandoned = true
    // To leave can give the turn to another write of ours that waits: its turn does nothing now.
    for (const [ticket, request] of this.#queued) {
      this.#options.open.order.leave(ticket)
      this.#releaseBuffer(request)
    }
    this.#queued.clear()
    this.stop()
  }

  /** Refuses new requests; settles once those in flight are answered. */
  beginShutdown(): void {
    this.#shuttingDown = true
    if (this.#inFlight === 0 && !this.#reader.insideRequest) this.stop()
  }

  #pumpRequests(): void {
    if (!this.#begun || this.#pumping) return
    const { host, limits, observer } = this.#options
    this.#pumping = true
    while (!this.#stopped) {
      const request = this.#held ?? this.#payloads.note(this.#reader.read())
      if (request === undefined) break
      const limit = this.#exceededLimit(request)
      if (limit !== undefined) {
        if (this.#held === undefined) observer.inputPaused?.(limit)
        this.#held = request
        break
      }
      this.#held = undefined
      this.#start(request)
    }
    this.#pumping = false
    if (this.#reader.fault !== undefined) {
      this.#stopped = true
      host.onFault(this.#reader.fault)
      return
    }
    if (!this.#stopped) host.setInputWanted(this.#held === undefined && this.#inFlight < limits.inFlightRequests)
  }

  /** The cap that keeps the request from being started now. */
  #exceededLimit(request: NbdRequest): 'inFlightRequests' | 'inFlightBytes' | undefined {
    const { limits, budget, host } = this.#options
    if (this.#inFlight >= limits.inFlightRequests) return 'inFlightRequests'
    const held = this.#inFlightBytes + this.#writer.pendingBytes + host.unsentBytes
    if (held === 0) return undefined
    const cost = costOf(request)
    if (held + cost > limits.inFlightBytes) return 'inFlightBytes'
    if (budget.fits(held, cost)) return undefined
    budget.wait(this.#pump)
    return 'inFlightBytes'
  }

  #start(request: NbdRequest): void {
    this.#requests++
    if (request.command === NBD_CMD_DISC) {
      this.#stopped = true
      this.#options.host.onDisconnectRequested()
      this.#settleIfIdle()
      return
    }
    const cost = costOf(request)
    this.#inFlight++
    this.#inFlightBytes += cost
    this.#options.budget.add(cost)
    const started = this.#options.observer.requestFinished === undefined ? 0 : performance.now()
    if (request.errno !== NBD_OK || this.#shuttingDown) {
      const errno = this.#shuttingDown ? NBD_ESHUTDOWN : request.errno
      this.#writer.error(request, errno, errnoText(errno))
      this.#finish(request, errno, started)
      return
    }
    switch (request.command) {
      case NBD_CMD_READ:
        this.#read(request, started)
        break
      case NBD_CMD_WRITE:
      case NBD_CMD_TRIM:
      case NBD_CMD_WRITE_ZEROES:
        this.#change(request, started)
        break
      case NBD_CMD_FLUSH:
        this.#options.open.device.flush(this.#callOptions()).then(
          () => this.#succeed(request, started),
          (error) => this.#fail(request, error, started),
        )
        break
      case NBD_CMD_BLOCK_STATUS:
        blockStatus(this.#options.open.device, request, this.#callOptions()).then(
          (extents) => this.#succeed(request, started, () => this.#writeStatus(request, extents)),
          (error) => this.#fail(request, error, started),
        )
        break
      default:
        // NBD_CMD_CACHE: a hint without effect, since nothing is cached here.
        this.#succeed(request, started)
    }
  }

  #read(request: NbdRequest, started: number): void {
    const buffer = this.#options.transferMemory?.bufferFor(request.length)
    const options = this.#callOptions()
    const read = buffer === undefined ? options : { ...options, allocate: buffer.allocate }
    this.#options.open.device.read(request.offset, request.length, read).then(
      (parts) =>
        this.#succeed(request, started, () => {
          this.#writeParts(request, parts)
          if (buffer !== undefined) this.#buffers.push(buffer)
        }),
      (error) => this.#fail(request, error, started),
    )
  }

  #change(request: NbdRequest, started: number): void {
    const ticket: WriteTicket = this.#options.open.order.enter(request.offset, request.length, () => {
      if (this.#abandoned) return
      this.#queued.delete(ticket)
      this.#executeEffects(request, ticket, started)
    })
    if (ticket.blockers === 0) this.#executeEffects(request, ticket, started)
    else this.#queued.set(ticket, request)
  }

  #executeEffects(request: NbdRequest, ticket: WriteTicket, started: number): void {
    const order = this.#options.open.order
    this.#call(request).then(
      () => {
        this.#payloads.releaseBuffer(request)
        order.leave(ticket)
        this.#succeed(request, started)
      },
      (error) => {
        order.leave(ticket)
        this.#fail(request, error, started)
      },
    )
  }

  #call(request: NbdRequest): Promise<void> {
    const { device } = this.#options.open
    const options = this.#callOptions(request.flags)
    if (request.command === NBD_CMD_WRITE) return device.write(request.offset, request.payload, options)
    if (request.command === NBD_CMD_TRIM) return device.trim(request.offset, request.length, options)
    return device.writeZeroes(request.offset, request.length, options)
  }

  #callOptions(flags = 0): DeviceZeroOptions | undefined {
    const signal = this.#options.deadline()
    if (flags === 0 && signal === undefined) return undefined
    const options: DeviceWriteOptions = {
      ...(signal === undefined ? {} : { signal }),
      ...((flags & NBD_CMD_FLAG_FUA) === 0 ? {} : { fua: true }),
    }
    return (flags & NBD_CMD_FLAG_NO_HOLE) === 0 ? options : { ...options, noHole: true }
  }

  #writeParts(request: NbdRequest, parts: readonly ReadPart[]): void {
    let length = 0
    for (const part of parts) length += part instanceof Uint8Array ? part.length : part.zeroBytes
    invariant(length === request.length, `the device gave ${length} bytes for a read of ${request.length}`)
    this.#writer.read(request, parts)
  }

  #writeStatus(request: NbdRequest, extents: readonly StatusExtent[]): void {
    const contextId = this.#options.rules.allocationContextId
    invariant(contextId !== undefined && extents.length > 0, 'a status has a context and at least one extent')
    this.#writer.status(request, contextId, extents)
  }

  #succeed(request: NbdRequest, started: number, write?: () => void): void {
    try {
      if (this.#abandoned) this.#finish(request, NBD_OK, started)
      else {
        if (write === undefined) this.#writer.done(request)
        else write()
        this.#finish(request, NBD_OK, started)
      }
    } catch (error) {
      this.#options.host.onUnexpected(error)
    }
  }

  #fail(request: NbdRequest, error: unknown, started: number): void {
    const { logger, open, host } = this.#options
    const command = COMMAND_NAMES[request.command]
    const { offset, length } = request
    logger.warn({ export: open.facts.name, command, offset, length, err: error }, 'NBD request failed')
    try {
      const errno = errnoOf(error)
      if (!this.#abandoned) this.#writer.error(request, errno, error instanceof Error ? error.message : String(error))
      this.#finish(request, errno, started)
      if (error instanceof AshlarError && error.code === 'FENCED') host.onDeviceLost(error)
    } catch (unexpected) {
      host.onUnexpected(unexpected)
    }
  }

  #finish(request: NbdRequest, errno: number, started: number): void {
    const { observer, open } = this.#options
    this.#releaseBuffer(request)
    observer.requestFinished?.({
      exportName: open.facts.name,
      command: COMMAND_NAMES[request.command] ?? 'unknown',
      bytes: errno === NBD_OK ? request.length : 0,
      seconds: (performance.now() - started) / 1000,
      errno,
    })
    // The last reply takes the ones before it along at once; until then they wait for others of the same turn.
    if (this.#inFlight === 0 && !this.#pumping) this.#flush()
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true
      setImmediate(() => this.#onScheduledFlush())
    }
  }

  #releaseBuffer(request: NbdRequest): void {
    const cost = costOf(request)
    this.#inFlight--
    this.#inFlightBytes -= cost
    this.#options.budget.give(cost)
  }

  #onScheduledFlush(): void {
    this.#flushScheduled = false
    try {
      this.#flush()
    } catch (error) {
      this.#options.host.onUnexpected(error)
    }
  }

  #flush(): void {
    this.sendReplies()
    if (this.#shuttingDown && this.#inFlight === 0) this.stop()
    if (this.#stopped) this.#settleIfIdle()
    else this.#pumpRequests()
  }

  #settleIfIdle(): void {
    if (this.#settled || !this.#stopped || this.#inFlight > 0 || this.#flushScheduled) return
    this.#settled = true
    this.#options.host.onSettled()
  }
}

/** Bytes that a request makes us hold until it is answered. */
function costOf(request: NbdRequest): number {
  if (request.errno !== NBD_OK) return 0
  return request.command === NBD_CMD_READ || request.command === NBD_CMD_WRITE ? request.length : 0
}
