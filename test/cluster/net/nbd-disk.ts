import { connect, type Socket } from 'node:net'
import {
  CMD,
  clientFlags,
  infoData,
  OPT,
  option,
  REP,
  request,
  SIMPLE_MAGIC,
} from '../../../packages/client/test/nbd/support/wire.ts'
import { Deadline } from '../../kit/deadline.ts'
import { type Disk, DiskFailure } from './disk.ts'

const GREETING_BYTES = 18
const OPTION_REPLY_BYTES = 20
const SIMPLE_REPLY_BYTES = 16
const EIO = 5
const ESHUTDOWN = 108

/**
 * How long the client waits for an answer before it gives the connection up: a gateway that is cut off says nothing.
 */
export interface NbdPatience {
  readonly connectMs: number
  readonly answerMs: number
}

interface Waiting {
  readonly readBytes: number
  readonly resolve: (data: Uint8Array) => void
  readonly reject: (failure: DiskFailure) => void
  readonly deadline: Deadline
}

/**
 * A volume over NBD, with many requests in flight at once. When the connection is lost, their results are unknown.
 */
export class NbdDisk implements Disk {
  readonly #socket: Socket
  readonly #patience: NbdPatience
  readonly #waiting = new Map<bigint, Waiting>()
  #received: Buffer = Buffer.alloc(0)
  #cookie = 0n
  #lost: string | undefined
  #onBytes: (() => void) | undefined

  /** Rejects with DiskFailure when the export cannot be opened in time. */
  static async open(host: string, port: number, name: string, patience: NbdPatience): Promise<NbdDisk> {
    const disk = new NbdDisk(connect({ host, port, noDelay: true }), patience)
    using deadline = new Deadline(patience.connectMs)
    deadline.onPassed(() => disk.#lose(deadline.missed('the export is opened')))
    try {
      await disk.#handshake(name)
      return disk
    } catch (error) {
      disk.#lose(String(error))
      throw error
    }
  }

  private constructor(socket: Socket, patience: NbdPatience) {
    this.#socket = socket
    this.#patience = patience
    socket.on('data', (bytes) => {
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
      this.#onBytes?.()
    })
    socket.on('error', (error) => this.#lose(error.message))
    socket.on('close', () => this.#lose('the connection was closed'))
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#ask({ command: CMD.READ, offset, length }, length)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#ask({ command: CMD.WRITE, offset, payload: bytes }, 0)
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#ask({ command: CMD.TRIM, offset, length }, 0)
  }

  close(): Promise<void> {
    this.#socket.write(request({ command: CMD.DISC }))
    this.#lose('it was closed')
    return Promise.resolve()
  }

  async #handshake(name: string): Promise<void> {
    await this.#take(GREETING_BYTES)
    this.#socket.write(Buffer.concat([clientFlags(), option(OPT.GO, infoData(name))]))
    for (;;) {
      const header = await this.#take(OPTION_REPLY_BYTES)
      const type = header.readUInt32BE(12)
      const data = await this.#take(header.readUInt32BE(16))
      if (type === REP.ACK) break
      if (type >= 2 ** 31) throw this.#failure(`the gateway refused ${name}: ${data}`)
    }
    this.#onBytes = () => this.#takeReplies()
    this.#takeReplies()
  }

  /** For the handshake, where one side speaks at a time. */
  async #take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#lost !== undefined) throw this.#failure(this.#lost)
      await new Promise<void>((resolve) => {
        this.#onBytes = resolve
      })
    }
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }

  #takeReplies(): void {
    while (this.#received.length >= SIMPLE_REPLY_BYTES) {
      const cookie = this.#received.readBigUInt64BE(8)
      const waiting = this.#waiting.get(cookie)
      if (this.#received.readUInt32BE(0) !== SIMPLE_MAGIC || waiting === undefined)
        return this.#lose('a reply to nothing')
      const errno = this.#received.readUInt32BE(4)
      const end = SIMPLE_REPLY_BYTES + (errno === 0 ? waiting.readBytes : 0)
      if (this.#received.length < end) return
      const data = this.#received.subarray(SIMPLE_REPLY_BYTES, end)
      this.#received = this.#received.subarray(end)
      this.#waiting.delete(cookie)
      waiting.deadline[Symbol.dispose]()
      if (errno === 0) waiting.resolve(data)
      else waiting.reject(refused(errno))
    }
  }

  #ask(fields: Parameters<typeof request>[0], readBytes: number): Promise<Uint8Array> {
    if (this.#lost !== undefined) return Promise.reject(this.#failure(this.#lost, 'never'))
    const cookie = ++this.#cookie
    return new Promise((resolve, reject) => {
      const deadline = new Deadline(this.#patience.answerMs)
      deadline.onPassed(() => this.#lose(deadline.missed('a request is answered')))
      this.#waiting.set(cookie, { readBytes, resolve, reject, deadline })
      this.#socket.write(request({ ...fields, cookie }))
    })
  }

  #lose(why: string): void {
    if (this.#lost !== undefined) return
    this.#lost = why
    this.#socket.destroySoon()
    for (const { reject, deadline } of this.#waiting.values()) {
      deadline[Symbol.dispose]()
      reject(this.#failure(why))
    }
    this.#waiting.clear()
    this.#onBytes?.()
  }

  #failure(why: string, ending: 'unknown' | 'never' = 'unknown'): DiskFailure {
    return new DiskFailure(`NBD: ${why}`, { ending, reason: `NBD: ${why}`, explained: true, over: true })
  }
}

function refused(errno: number): DiskFailure {
  return new DiskFailure(`NBD: error ${errno}`, {
    ending: 'unknown',
    reason: `NBD: error ${errno}`,
    explained: errno === EIO || errno === ESHUTDOWN,
    over: errno === ESHUTDOWN,
  })
}
