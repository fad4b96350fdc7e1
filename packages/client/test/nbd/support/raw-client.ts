import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import type { BoundAddress } from '@ashlar/client/nbd'
import {
  type Chunk,
  clientFlags,
  infoData,
  metaData,
  OPT,
  type OptionReply,
  option,
  parseOptionReplies,
  parseReplies,
  REP,
  type RequestFields,
  request,
  SIMPLE_MAGIC,
  type SimpleReply,
} from './wire.ts'

/** Nothing in these tests takes longer unless something is wrong. */
const PATIENCE_MS = 10_000

export interface AttachOptions {
  /** `vol` unless given. */
  readonly name?: string
  readonly structured?: boolean
  readonly allocation?: boolean
}

/** An NBD client that sends exactly what it is told, also nonsense. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #ended = false
  #wake: (() => void) | undefined

  static async connect(address: BoundAddress | undefined): Promise<RawClient> {
    assert.ok(address !== undefined, 'the server listens')
    const options = address.type === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
    const socket = connect({ ...options, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  /** A client that is through the handshake. */
  static async attach(address: BoundAddress | undefined, options: AttachOptions = {}): Promise<RawClient> {
    const client = await RawClient.connect(address)
    await client.attachNow(options)
    return client
  }

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#wake?.()
    })
    const end = (): void => {
      this.#ended = true
      this.#wake?.()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  /** Goes through the handshake. */
  async attachNow(options: AttachOptions = {}): Promise<void> {
    const { name = 'vol', structured = true, allocation = structured } = options
    await this.read(18)
    this.write(clientFlags())
    if (structured) await this.ask(OPT.STRUCTURED_REPLY)
    if (allocation) await this.ask(OPT.SET_META_CONTEXT, metaData(name, ['base:allocation']))
    const replies = await this.ask(OPT.GO, infoData(name))
    assert.equal(replies.at(-1)?.type, REP.ACK, `${replies.at(-1)?.data}`)
  }

  get receivedBytes(): number {
    return this.#received.length
  }

  write(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.socket.write(piece)
  }

  /** The next bytes; fails when the connection ends before they are there. */
  async read(count: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= count, `${count} bytes`)
    const bytes = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return bytes
  }

  /** Resolves when the server has closed; gives what it had sent and nobody read. */
  async closed(): Promise<Buffer> {
    await this.#until(() => this.#ended, 'the end of the connection')
    return this.#received
  }

  /** Sends an option and gives its replies, up to the one that ends them. */
  async ask(type: number, data?: Uint8Array): Promise<OptionReply[]> {
    this.write(option(type, data))
    const replies: OptionReply[] = []
    for (;;) {
      const header = await this.read(20)
      const body = await this.read(header.readUInt32BE(16))
      const [reply] = parseOptionReplies(Buffer.concat([header, body]))
      assert.ok(reply !== undefined)
      replies.push(reply)
      if (reply.type === REP.ACK || reply.type >= 0x80000000) return replies
    }
  }

  send(...requests: readonly RequestFields[]): void {
    this.write(Buffer.concat(requests.map(request)))
  }

  /** The next reply or chunk; `dataBytes` follow a simple reply without an error. */
  async reply(dataBytes = 0): Promise<(SimpleReply & { data: Buffer }) | Chunk> {
    const head = await this.read(16)
    const simple = head.readUInt32BE(0) === SIMPLE_MAGIC
    const more = simple ? Buffer.alloc(0) : await this.read(4)
    const length = simple ? (head.readUInt32BE(4) === 0 ? dataBytes : 0) : more.readUInt32BE(0)
    const bytes = Buffer.concat([head, more, await this.read(length)])
    const [reply] = parseReplies(bytes, () => length)
    assert.ok(reply !== undefined)
    return reply
  }

  /** Sends a request and gives the error number of its answer; 0 for success. Data is dropped. */
  async errorOf(fields: RequestFields): Promise<number> {
    this.send(fields)
    for (;;) {
      const reply = await this.reply(fields.command === 0 ? fields.length : 0)
      if (reply.kind === 'simple') return reply.error
      if (reply.type === 0x8001) return reply.data.readUInt32BE(0)
      if ((reply.flags & 1) !== 0) return 0
    }
  }

  /** Reads a range with structured replies, holes filled with zeroes. */
  async readRange(offset: number, length: number, flags = 0): Promise<Buffer> {
    this.send({ command: 0, offset, length, flags, cookie: 77n })
    const bytes = Buffer.alloc(length, 0xee)
    for (;;) {
      const chunk = await this.reply()
      assert.ok(chunk.kind === 'chunk' && chunk.type < 0x8000, 'the read succeeds')
      const at = Number(chunk.data.readBigUInt64BE(0)) - offset
      if (chunk.type === 1) chunk.data.copy(bytes, at, 8)
      else bytes.fill(0, at, at + chunk.data.readUInt32BE(8))
      if ((chunk.flags & 1) !== 0) return bytes
    }
  }

  destroy(): void {
    this.socket.destroy()
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!condition()) {
      if (this.#ended) throw new Error(`the connection ended before ${what}`)
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`no ${what} within ${PATIENCE_MS} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
  }
}
