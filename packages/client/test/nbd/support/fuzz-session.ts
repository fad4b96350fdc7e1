import { readFileSync } from 'node:fs'
import { Handshake, type HandshakeEvent, unknownExport } from '../../../src/nbd/protocol/handshake.ts'
import { ReplyWriter } from '../../../src/nbd/protocol/reply-writer.ts'
import { type NbdRequest, RequestReader } from '../../../src/nbd/protocol/request-reader.ts'
import type { TransmissionRules } from '../../../src/nbd/protocol/validate.ts'
import { VOL } from './handshake-session.ts'
import type { Random } from './random.ts'

/** Sessions that real clients had, from the first byte that they sent to the last; see test/nbd/bin/record-sessions.ts. */
export const SESSIONS: Readonly<Record<string, Buffer>> = Object.fromEntries(
  ['libnbd', 'qemu', 'fio'].map((name) => [name, readFileSync(new URL(`../fixtures/${name}.bin`, import.meta.url))]),
)

const EMPTY = new Uint8Array(0)
const CMD_READ = 0
const CMD_DISC = 2
const CMD_BLOCK_STATUS = 7
/** Requests that one input may make: it is shorter than that many headers. */
const MAX_REQUESTS = 10_000

/** Replies are looked at before the next one is written, so all sessions can write into the same memory. */
const SLAB = new Uint8Array(64 * 1024)
const allocate = (length: number): Uint8Array => (length === SLAB.length ? SLAB : new Uint8Array(length))

/** The whole protocol for one client: handshake, requests, and an answer to each as a device full of zeroes gives it. */
export class FuzzSession {
  #handshake: Handshake | undefined = new Handshake()
  #reader: RequestReader | undefined
  #writer: ReplyWriter | undefined
  #digest = 17
  /** Bytes that went to the client, and requests that came from it. */
  sentBytes = 0
  requests = 0
  /** Bytes of the requests, without what is in part. */
  consumedBytes = 0
  transmissionBytes = 0
  closed = false

  constructor() {
    this.#take(this.#handshake?.start() ?? [])
  }

  /** Stands for all that happened: equal sessions have equal outcomes, however their bytes were cut. */
  get outcome(): string {
    return `${this.#digest} ${this.sentBytes} ${this.requests} ${this.closed} ${this.#reader?.fault ?? ''}`
  }

  /** True when no request is here in part and the stream can still be understood. */
  get whole(): boolean {
    return this.#reader !== undefined && this.#reader.fault === undefined && !this.#reader.insideRequest
  }

  feed(bytes: Uint8Array): void {
    if (this.closed) return
    if (this.#reader !== undefined) this.#receive(bytes)
    else if (this.#handshake !== undefined) this.#take(this.#handshake.receive(bytes))
  }

  #take(events: readonly HandshakeEvent[]): void {
    for (const event of events) {
      if (this.closed || this.#reader !== undefined) throw new Error(`${event.type} after the end of the handshake`)
      if (event.type === 'send') this.#send(event.bytes)
      else if (event.type === 'list') this.#take(this.#handshake?.answerList([VOL]) ?? [])
      else if (event.type === 'close') this.closed = true
      else if (event.type === 'transmission') this.#begin(event.rules, event.rest)
      else {
        const known = event.name === VOL.name || event.name === ''
        this.#take(this.#handshake?.answerExport(known ? VOL : unknownExport(event.name)) ?? [])
      }
    }
  }

  #begin(rules: TransmissionRules, rest: Uint8Array): void {
    this.#handshake = undefined
    this.#reader = new RequestReader({ rules, hardPayloadLimitBytes: 64 << 20 })
    this.#writer = new ReplyWriter({ structuredReplies: rules.structuredReplies, allocate })
    this.#receive(rest)
  }

  #receive(bytes: Uint8Array): void {
    const reader = this.#reader as RequestReader
    this.transmissionBytes += bytes.length
    reader.append(bytes)
    for (let request = reader.read(); request !== undefined; request = reader.read()) {
      this.#onRequest(request)
      if (this.closed) return
    }
    if (reader.fault !== undefined) this.closed = true
  }

  #onRequest(request: NbdRequest): void {
    const { command, flags, errno, offset, length, payload } = request
    const writer = this.#writer as ReplyWriter
    if (++this.requests > MAX_REQUESTS) throw new Error('more requests than bytes')
    this.consumedBytes += 28 + (command === 1 ? length : 0)
    if (payload.length !== (command === 1 && errno === 0 ? length : 0)) throw new Error('data that was not sent')
    for (const value of [command, flags, errno, offset, length, payload.length, request.cookieLow]) this.#mix(value)
    if (command === CMD_DISC) {
      this.closed = true
      return
    }
    if (errno !== 0) writer.error(request, errno, 'refused')
    else if (offset + length > VOL.sizeBytes) throw new Error('a request past the end was accepted')
    else if (command === CMD_READ) writer.read(request, [{ zeroBytes: length }])
    else if (command === CMD_BLOCK_STATUS) writer.status(request, 1, [{ length, status: 3 }])
    else writer.done(request)
    for (const part of writer.take()) this.#send(part)
  }

  #send(bytes: Uint8Array): void {
    this.sentBytes += bytes.length
    // What is long is zeroes: its ends are enough.
    for (let at = 0; at < bytes.length && at < 64; at++) this.#mix(bytes[at] as number)
  }

  #mix(value: number): void {
    this.#digest = Math.imul(this.#digest ^ (value | 0), 0x01000193)
  }
}

export function outcomeOf(...pieces: readonly Uint8Array[]): string {
  const session = new FuzzSession()
  for (const piece of pieces) session.feed(piece)
  return session.outcome
}

/** One damaged session, cut in up to three pieces: bits flipped, bytes overwritten, cut out, repeated, inserted, crossed. */
export function damagedPieces(sources: readonly Buffer[], random: Random): Uint8Array[] {
  const source = random.pick(sources)
  let bytes: Buffer = Buffer.from(source)
  for (let count = 1 + random.below(3); count > 0 && bytes.length > 0; count--) {
    const at = random.below(bytes.length)
    const kind = random.below(10)
    if (kind < 5) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
    else if (kind === 5) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff])
    else if (kind === 6) bytes = bytes.subarray(0, at)
    else if (kind === 7) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(9))])
    else if (kind === 8) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(at + 1))])
    else {
      const other = random.pick(sources)
      bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length))])
    }
  }
  const first = random.below(bytes.length + 1)
  const second = first + random.below(bytes.length - first + 1)
  return [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)].map(
    (piece) => piece ?? EMPTY,
  )
}

/** Runs one damaged session; throws when a promise of the protocol is broken. */
export function runDamaged(pieces: readonly Uint8Array[]): void {
  const session = new FuzzSession()
  for (const piece of pieces) session.feed(piece)
  if (session.consumedBytes > session.transmissionBytes) throw new Error('more was consumed than was sent')
  if (session.whole && !session.closed && session.consumedBytes !== session.transmissionBytes) {
    throw new Error('bytes were lost between requests')
  }
}
