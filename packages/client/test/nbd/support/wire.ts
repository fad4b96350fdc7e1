/** Builders and parsers of NBD bytes, written apart from the code under test, straight from the specification. */

export const MAGIC = 'NBDMAGIC'
export const HAVE_OPTION = 'IHAVEOPT'
export const REPLY_MAGIC = 0x0003e889045565a9n
export const SIMPLE_MAGIC = 0x67446698
export const CHUNK_MAGIC = 0x668e33ef

export const OPT = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  PEEK_EXPORT: 4,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const

export const REP = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_TOO_BIG: 0x80000009,
} as const

export const CMD = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
  RESIZE: 8,
} as const

export const FLAG = { FUA: 1, NO_HOLE: 2, DF: 4, REQ_ONE: 8, FAST_ZERO: 16, PAYLOAD_LEN: 32 } as const
export const ERR = { EPERM: 1, EIO: 5, EINVAL: 22, ENOSPC: 28, EOVERFLOW: 75, ENOTSUP: 95, ESHUTDOWN: 108 } as const

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

export function clientFlags(flags = 3): Buffer {
  return u32(flags)
}

export function option(type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(HAVE_OPTION), u32(type), u32(data.length), data])
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u32(bytes.length), bytes])
}

export function infoData(name: string, types: readonly number[] = []): Buffer {
  return Buffer.concat([text(name), u16(types.length), ...types.map(u16)])
}

export function metaData(name: string, queries: readonly string[]): Buffer {
  return Buffer.concat([text(name), u32(queries.length), ...queries.map(text)])
}

export interface RequestFields {
  readonly command: number
  readonly flags?: number
  readonly cookie?: bigint
  readonly offset?: bigint | number
  readonly length?: number
  readonly payload?: Uint8Array
}

export function request(fields: RequestFields): Buffer {
  const payload = fields.payload ?? Buffer.alloc(0)
  return Buffer.concat([
    u32(0x25609513),
    u16(fields.flags ?? 0),
    u16(fields.command),
    u64(fields.cookie ?? 0n),
    u64(BigInt(fields.offset ?? 0)),
    u32(fields.length ?? payload.length),
    payload,
  ])
}

export interface OptionReply {
  readonly option: number
  readonly type: number
  readonly data: Buffer
}

export interface SimpleReply {
  readonly kind: 'simple'
  readonly cookie: bigint
  readonly error: number
}

export interface Chunk {
  readonly kind: 'chunk'
  readonly cookie: bigint
  readonly flags: number
  readonly type: number
  readonly data: Buffer
}

/** Option replies at the start of the bytes; fails on anything else. */
export function parseOptionReplies(bytes: Uint8Array): OptionReply[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const replies: OptionReply[] = []
  for (let at = 0; at < buffer.length; ) {
    if (buffer.readBigUInt64BE(at) !== REPLY_MAGIC) throw new Error(`no option reply at byte ${at}`)
    const length = buffer.readUInt32BE(at + 16)
    if (at + 20 + length > buffer.length) throw new Error('an option reply is cut off')
    replies.push({
      option: buffer.readUInt32BE(at + 8),
      type: buffer.readUInt32BE(at + 12),
      data: buffer.subarray(at + 20, at + 20 + length),
    })
    at += 20 + length
  }
  return replies
}

/** Replies of the transmission phase. `simpleBytes` says how much data follows a simple reply without an error. */
export function parseReplies(
  bytes: Uint8Array,
  simpleBytes: (cookie: bigint) => number = () => 0,
): ((SimpleReply & { data: Buffer }) | Chunk)[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const replies: ((SimpleReply & { data: Buffer }) | Chunk)[] = []
  for (let at = 0; at < buffer.length; ) {
    const magic = buffer.readUInt32BE(at)
    const cookie = buffer.readBigUInt64BE(at + 8)
    if (magic === SIMPLE_MAGIC) {
      const error = buffer.readUInt32BE(at + 4)
      const length = error === 0 ? simpleBytes(cookie) : 0
      replies.push({ kind: 'simple', cookie, error, data: buffer.subarray(at + 16, at + 16 + length) })
      at += 16 + length
    } else if (magic === CHUNK_MAGIC) {
      const length = buffer.readUInt32BE(at + 16)
      if (at + 20 + length > buffer.length) throw new Error('a chunk is cut off')
      replies.push({
        kind: 'chunk',
        cookie,
        flags: buffer.readUInt16BE(at + 4),
        type: buffer.readUInt16BE(at + 6),
        data: buffer.subarray(at + 20, at + 20 + length),
      })
      at += 20 + length
    } else throw new Error(`no reply at byte ${at}`)
  }
  return replies
}
