import type { ExportDescription } from '../../../src/nbd/protocol/export-description.ts'
import { Handshake, type HandshakeEvent, type Refusal, unknownExport } from '../../../src/nbd/protocol/handshake.ts'
import { clientFlags, type OptionReply, parseOptionReplies } from './wire.ts'

/** The export of these sessions. */
export const VOL: ExportDescription = {
  name: 'vol',
  sizeBytes: 1 << 20,
  readOnly: false,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 32 << 20,
  fastZero: true,
}

/** Feeds a handshake and answers its questions as a server with one export would. */
export class HandshakeSession {
  readonly handshake = new Handshake()
  readonly events: HandshakeEvent[] = []
  readonly asked: string[] = []
  readonly #exports: readonly ExportDescription[]

  constructor(exports: readonly ExportDescription[] = [VOL]) {
    this.#exports = exports
    this.#take(this.handshake.start())
  }

  feed(...pieces: readonly Uint8Array[]): this {
    for (const piece of pieces) this.#take(this.handshake.receive(piece))
    return this
  }

  /** What was sent after the greeting. */
  get sent(): Buffer {
    const sends = this.events.flatMap((event) => (event.type === 'send' ? [event.bytes] : []))
    return Buffer.concat(sends.slice(1))
  }

  get replies(): OptionReply[] {
    return parseOptionReplies(this.sent)
  }

  get replyTypes(): number[] {
    return this.replies.map((reply) => reply.type)
  }

  get closed(): string | undefined {
    for (const event of this.events) if (event.type === 'close') return event.reason
    return undefined
  }

  get transmission(): Extract<HandshakeEvent, { type: 'transmission' }> | undefined {
    for (const event of this.events) if (event.type === 'transmission') return event
    return undefined
  }

  #take(events: readonly HandshakeEvent[]): void {
    for (const event of events) {
      this.events.push(event)
      if (event.type === 'list') this.#take(this.handshake.answerList(this.#exports))
      if (event.type === 'describe' || event.type === 'open') {
        this.asked.push(`${event.type} ${event.name}`)
        this.#take(this.handshake.answerExport(this.#find(event.name)))
      }
    }
  }

  #find(name: string): ExportDescription | Refusal {
    return this.#exports.find((item) => item.name === name || name === '') ?? unknownExport(name)
  }
}

/** A session after the client's flags. */
export function begun(exports?: readonly ExportDescription[]): HandshakeSession {
  return new HandshakeSession(exports).feed(clientFlags())
}
