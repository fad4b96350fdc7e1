import { encodeUtf8, viewOf } from './bytes.ts'
import {
  BASE_ALLOCATION,
  NBD_FLAG_C_FIXED_NEWSTYLE,
  NBD_FLAG_C_NO_ZEROES,
  NBD_OPT_ABORT,
  NBD_OPT_EXPORT_NAME,
  NBD_OPT_GO,
  NBD_OPT_INFO,
  NBD_OPT_LIST,
  NBD_OPT_LIST_META_CONTEXT,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_OPTS_MAGIC_HIGH,
  NBD_OPTS_MAGIC_LOW,
  NBD_REP_ACK,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_SHUTDOWN,
  NBD_REP_ERR_TOO_BIG,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_ERR_UNSUP,
} from './constants.ts'
import type { ExportDescription } from './export-description.ts'
import { InputBuffer } from './input-buffer.ts'
import { type MetaContextRequest, parseInfoRequest, parseMetaContextRequest, parseString } from './option-data.ts'
import {
  allocationContextReply,
  exportNameResponse,
  greeting,
  infoReplies,
  optionReply,
  quoteName,
  serverReply,
} from './option-reply.ts'
import type { TransmissionRules } from './validate.ts'

/** Option data that is read; more is answered by NBD_REP_ERR_TOO_BIG. Holds 1024 queries beside the longest name. */
export const MAX_OPTION_BYTES = 64 * 1024
/** Option data that is read past after NBD_REP_ERR_TOO_BIG; a longer option ends the connection. */
export const MAX_DISCARDED_OPTION_BYTES = 1024 * 1024
/** Options that one handshake may take. */
export const MAX_OPTIONS = 64
/** Metadata context queries in one option. */
export const MAX_QUERIES = 1024
/** Texts are cut to this many characters, which are at most three times as many bytes. */
const MAX_TEXT_LENGTH = 1024
/** Id of `base:allocation` after it was selected. */
const ALLOCATION_CONTEXT_ID = 1

/** What the handshake wants from the world, in order. */
export type HandshakeEvent =
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Requests the exports; the response is `answerList`. */
  | { readonly type: 'list' }
  /** Requests the description of an export without opening it; the response is `answerExport`. */
  | { readonly type: 'describe'; readonly name: string }
  /** Requests that an export is opened for this connection; the response is `answerExport`. */
  | { readonly type: 'open'; readonly name: string }
  /** The handshake is over. `rest` is what the client sent after it. */
  | { readonly type: 'transmission'; readonly rules: TransmissionRules; readonly rest: Uint8Array }
  /** The connection ends once what was sent before is out. `orderly` when the client asked for it. */
  | { readonly type: 'close'; readonly reason: string; readonly orderly: boolean }

/** Why an export or the list is not given; `text` is for the person at the client. */
export interface Refusal {
  readonly refused: 'unknown' | 'policy' | 'shutdown'
  readonly text: string
}

export interface ListedExport {
  readonly name: string
  readonly description?: string
}

type ExportResponse = ExportDescription | Refusal
/** What is done with an answer once it is there. */
type Waiting = { readonly for: 'list' } | { readonly for: 'export'; readonly use: (answer: ExportResponse) => void }

interface Reply {
  readonly type: number
  /** For people. */
  readonly text?: string
}
const ACK: Reply = { type: NBD_REP_ACK }
const SHUTTING_DOWN: Reply = { type: NBD_REP_ERR_SHUTDOWN, text: 'the server is shutting down' }
const NO_TLS: Reply = { type: NBD_REP_ERR_POLICY, text: 'this server does not offer TLS here' }
const invalid = (text: string): Reply => ({ type: NBD_REP_ERR_INVALID, text })
const tooBig = (text: string): Reply => ({ type: NBD_REP_ERR_TOO_BIG, text })
const refusal = (answer: Refusal): Reply => ({ type: REFUSAL_REPLIES[answer.refused], text: answer.text })

const REFUSAL_REPLIES = {
  unknown: NBD_REP_ERR_UNKNOWN,
  policy: NBD_REP_ERR_POLICY,
  shutdown: NBD_REP_ERR_SHUTDOWN,
} as const

/**
 * The server's side of the fixed newstyle handshake as a state machine.
 *
 * ```
 * flags ──► header ──► data ──► (reply) ──► header
 *              │         └────► waiting ──► header | done
 *              └► discard ─► header
 * ```
 *
 * Bytes go in by `receive`, events come out; after `list`, `describe` or `open` nothing is parsed until the answer
 * comes, and the caller should stop reading its socket for so long. No text that goes to the client repeats more than
 * 64 characters of what it sent.
 */
export class Handshake {
  readonly #input = new InputBuffer()
  #state: 'flags' | 'header' | 'data' | 'discard' | 'waiting' | 'done' = 'flags'
  #events: HandshakeEvent[] = []
  #fixedNewstyle = false
  #noZeroes = false
  #structuredReplies = false
  /** The export for which `base:allocation` was selected by the last NBD_OPT_SET_META_CONTEXT. */
  #allocationFor: string | undefined
  #shuttingDown = false
  #options = 0
  #option = 0
  #dataBytes = 0
  #waiting: Waiting | undefined

  /** What the server says first. */
  start(): HandshakeEvent[] {
    return [{ type: 'send', bytes: greeting() }]
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  receive(bytes: Uint8Array): HandshakeEvent[] {
    if (this.#state === 'done') return []
    this.#input.append(bytes)
    return this.#advance()
  }

  answerList(answer: readonly ListedExport[] | Refusal): HandshakeEvent[] {
    if (this.#waiting?.for !== 'list') return []
    this.#waiting = undefined
    this.#state = 'header'
    if ('refused' in answer) this.#reply(refusal(answer))
    else {
      for (const item of answer) this.#send(serverReply(this.#option, item.name, item.description))
      this.#reply(ACK)
    }
    return this.#advance()
  }

  answerExport(answer: ExportResponse): HandshakeEvent[] {
    const waiting = this.#waiting
    if (waiting?.for !== 'export') return []
    this.#waiting = undefined
    this.#state = 'header'
    waiting.use(answer)
    return this.#advance()
  }

  /** From now on every option but NBD_OPT_ABORT is refused because the server shuts down. */
  beginShutdown(): void {
    this.#shuttingDown = true
  }

  #advance(): HandshakeEvent[] {
    while (this.#step());
    const events = this.#events
    this.#events = []
    return events
  }

  /** Takes one item of input; false when there is not enough of it, or nothing is to be read now. */
  #step(): boolean {
    switch (this.#state) {
      case 'flags':
        return this.#onInput(4, (bytes) => this.#onClientFlags(viewOf(bytes).getUint32(0)))
      case 'header':
        return this.#onInput(16, (bytes) => this.#onOptionHeader(viewOf(bytes)))
      case 'data':
        return this.#onInput(this.#dataBytes, (bytes) => this.#onOption(bytes))
      case 'discard':
        this.#dataBytes -= this.#input.skip(this.#dataBytes)
        if (this.#dataBytes > 0) return false
        this.#state = 'header'
        return true
      default:
        return false
    }
  }

  #onInput(count: number, use: (bytes: Uint8Array) => void): boolean {
    const bytes = this.#input.take(count)
    if (bytes === undefined) return false
    use(bytes)
    return true
  }

  #onClientFlags(flags: number): void {
    if ((flags & ~(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES)) !== 0) {
      this.#close('the client set handshake flags that this server does not know')
      return
    }
    this.#fixedNewstyle = (flags & NBD_FLAG_C_FIXED_NEWSTYLE) !== 0
    this.#noZeroes = (flags & NBD_FLAG_C_NO_ZEROES) !== 0
    this.#state = 'header'
  }

  #onOptionHeader(view: DataView): void {
    if (view.getUint32(0) !== NBD_OPTS_MAGIC_HIGH || view.getUint32(4) !== NBD_OPTS_MAGIC_LOW) {
      this.#close('the option does not start with IHAVEOPT')
      return
    }
    this.#option = view.getUint32(8)
    this.#dataBytes = view.getUint32(12)
    this.#options++
    if (this.#options > MAX_OPTIONS) {
      this.#close(`more than ${MAX_OPTIONS} options`)
      return
    }
    if (!this.#fixedNewstyle && this.#option !== NBD_OPT_EXPORT_NAME) {
      this.#close('a client without fixed newstyle may only send NBD_OPT_EXPORT_NAME')
      return
    }
    if (this.#dataBytes <= MAX_OPTION_BYTES) {
      this.#state = 'data'
      return
    }
    if (this.#option === NBD_OPT_EXPORT_NAME || this.#dataBytes > MAX_DISCARDED_OPTION_BYTES) {
      this.#close(`option data of ${this.#dataBytes} bytes`)
      return
    }
    this.#reply(tooBig(`at most ${MAX_OPTION_BYTES} bytes of option data`))
    this.#state = 'discard'
  }

  #onOption(data: Uint8Array): void {
    this.#state = 'header'
    if (this.#option === NBD_OPT_EXPORT_NAME) this.#onExportName(data)
    else if (this.#option === NBD_OPT_ABORT) {
      this.#reply(ACK)
      this.#close('the client aborted the handshake', true)
    } else {
      const reply = this.#shuttingDown ? SHUTTING_DOWN : this.#answer(data)
      if (reply !== undefined) this.#reply(reply)
    }
  }

  /** The reply to an option, or undefined when it waits for an answer from outside. */
  #answer(data: Uint8Array): Reply | undefined {
    switch (this.#option) {
      case NBD_OPT_LIST:
        return this.#onList(data)
      case NBD_OPT_STARTTLS:
        return data.length > 0 ? invalid('NBD_OPT_STARTTLS takes no data') : NO_TLS
      case NBD_OPT_INFO:
      case NBD_OPT_GO:
        return this.#onInfo(data)
      case NBD_OPT_STRUCTURED_REPLY:
        if (data.length > 0) return invalid('NBD_OPT_STRUCTURED_REPLY takes no data')
        this.#structuredReplies = true
        return ACK
      case NBD_OPT_LIST_META_CONTEXT:
      case NBD_OPT_SET_META_CONTEXT:
        return this.#onMetaContext(data)
      default:
        return { type: NBD_REP_ERR_UNSUP, text: `option ${this.#option} is not supported` }
    }
  }

  /** The response to this option cannot report a failure: the connection ends. */
  #onExportName(data: Uint8Array): void {
    const name = parseString(data)
    if (name === undefined || this.#shuttingDown) {
      this.#close(name === undefined ? 'the export name is not a valid string' : 'the server is shutting down')
      return
    }
    this.#askExport('open', name, (answer) => {
      if ('refused' in answer) {
        this.#close(answer.text)
        return
      }
      this.#send(exportNameResponse(answer, this.#structuredReplies, !this.#noZeroes))
      this.#enterTransmission(name, answer)
    })
  }

  #onList(data: Uint8Array): Reply | undefined {
    if (data.length > 0) return invalid('NBD_OPT_LIST takes no data')
    this.#state = 'waiting'
    this.#waiting = { for: 'list' }
    this.#events.push({ type: 'list' })
    return undefined
  }

  #onInfo(data: Uint8Array): Reply | undefined {
    const request = parseInfoRequest(data)
    if (request === undefined) return invalid('malformed option data')
    const option = this.#option
    this.#askExport(option === NBD_OPT_GO ? 'open' : 'describe', request.name, (answer) => {
      if ('refused' in answer) {
        this.#reply(refusal(answer))
        return
      }
      this.#send(infoReplies(option, request.types, answer, this.#structuredReplies))
      this.#reply(ACK)
      if (option === NBD_OPT_GO) this.#enterTransmission(request.name, answer)
    })
    return undefined
  }

  #onMetaContext(data: Uint8Array): Reply | undefined {
    const setting = this.#option === NBD_OPT_SET_META_CONTEXT
    // Every NBD_OPT_SET_META_CONTEXT, also one that fails, drops what an earlier one selected.
    if (setting) this.#allocationFor = undefined
    if (!this.#structuredReplies) return invalid('NBD_OPT_STRUCTURED_REPLY must be agreed first')
    const request = parseMetaContextRequest(data)
    if (request === undefined) return invalid('malformed option data')
    if (request.queries.length > MAX_QUERIES) return tooBig(`at most ${MAX_QUERIES} metadata context queries`)
    this.#askExport('describe', request.name, (answer) => {
      if ('refused' in answer) {
        this.#reply(refusal(answer))
        return
      }
      if (matchesAllocation(request, setting)) {
        if (setting) this.#allocationFor = request.name
        this.#send(allocationContextReply(this.#option, setting ? ALLOCATION_CONTEXT_ID : 0))
      }
      this.#reply(ACK)
    })
    return undefined
  }

  #askExport(type: 'describe' | 'open', name: string, use: (answer: ExportResponse) => void): void {
    this.#state = 'waiting'
    this.#waiting = { for: 'export', use }
    this.#events.push({ type, name })
  }

  #enterTransmission(name: string, description: ExportDescription): void {
    const selected = this.#structuredReplies && this.#allocationFor === name
    this.#state = 'done'
    this.#events.push({
      type: 'transmission',
      rules: {
        sizeBytes: description.sizeBytes,
        readOnly: description.readOnly,
        minimumBlockBytes: description.minimumBlockBytes,
        maximumPayloadBytes: description.maximumPayloadBytes,
        fastZero: description.fastZero && !description.readOnly,
        structuredReplies: this.#structuredReplies,
        allocationContextId: selected ? ALLOCATION_CONTEXT_ID : undefined,
      },
      rest: this.#input.take(this.#input.length) ?? new Uint8Array(0),
    })
  }

  #reply(reply: Reply): void {
    const text = reply.text === undefined ? undefined : encodeUtf8(reply.text.slice(0, MAX_TEXT_LENGTH))
    this.#send(optionReply(this.#option, reply.type, text))
  }

  #send(bytes: Uint8Array): void {
    this.#events.push({ type: 'send', bytes })
  }

  #close(reason: string, orderly = false): void {
    this.#state = 'done'
    this.#events.push({ type: 'close', reason, orderly })
  }
}

/** The refusal of an export that is not there. */
export function unknownExport(name: string): Refusal {
  return { refused: 'unknown', text: `there is no export ${quoteName(name)}` }
}

/** A list without queries, and a query for the whole namespace in a list, mean every context. */
function matchesAllocation(request: MetaContextRequest, setting: boolean): boolean {
  if (request.queries.includes(BASE_ALLOCATION)) return true
  return !setting && (request.queries.length === 0 || request.queries.includes('base:'))
}
