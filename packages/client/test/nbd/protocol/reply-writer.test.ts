import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReadPart, ReplyWriter } from '../../../src/nbd/protocol/reply-writer.ts'
import type { NbdRequest } from '../../../src/nbd/protocol/request-reader.ts'
import { type Chunk, CMD, ERR, FLAG, parseReplies, u32, u64 } from '../support/wire.ts'

const DONE = 1
const TYPE = { NONE: 0, DATA: 1, HOLE: 2, STATUS: 5, ERROR: 0x8001 }

function asked(command: number, fields: Partial<NbdRequest> = {}): NbdRequest {
  return {
    command,
    flags: 0,
    cookieHigh: 0x80000000,
    cookieLow: 7,
    offset: 4096,
    length: 0,
    errno: 0,
    payload: new Uint8Array(0),
    ...fields,
  }
}

function written(structuredReplies: boolean, write: (writer: ReplyWriter) => void): Buffer {
  const writer = new ReplyWriter({ structuredReplies })
  write(writer)
  const parts = writer.take()
  assert.equal(writer.pendingBytes, 0)
  return Buffer.concat(parts)
}

function chunks(write: (writer: ReplyWriter) => void): Chunk[] {
  return parseReplies(written(true, write)).map((reply) => {
    assert.ok(reply.kind === 'chunk')
    return reply
  })
}

function bytesOf(parts: readonly ReadPart[]): Buffer {
  return Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : Buffer.alloc(part.zeroBytes))))
}

const PARTS: readonly ReadPart[] = [
  Buffer.alloc(100, 1),
  { zeroBytes: 200_000 },
  Buffer.alloc(50_000, 2),
  { zeroBytes: 1 },
]
const LENGTH = 250_101

test('nbd 63: a simple read is its header and exactly the data, holes expanded', () => {
  const bytes = written(false, (writer) => writer.read(asked(CMD.READ, { length: LENGTH }), PARTS))
  const [reply] = parseReplies(bytes, () => LENGTH)
  assert.deepEqual(reply, { kind: 'simple', cookie: (1n << 63n) + 7n, error: 0, data: bytesOf(PARTS) })
})

test('nbd 63: a simple read that failed has no data', () => {
  const bytes = written(false, (writer) => writer.error(asked(CMD.READ, { length: 512 }), ERR.EIO, 'broken'))
  assert.deepEqual(parseReplies(bytes), [
    { kind: 'simple', cookie: (1n << 63n) + 7n, error: ERR.EIO, data: Buffer.alloc(0) },
  ])
})

test('nbd 64, 67: a structured read covers its range in order; only the last chunk is done; zeroes are holes', () => {
  const found = chunks((writer) => writer.read(asked(CMD.READ, { length: LENGTH }), PARTS))
  assert.deepEqual(
    found.map((chunk) => [chunk.type, chunk.flags, chunk.data.readBigUInt64BE(0), chunk.data.length]),
    [
      [TYPE.DATA, 0, 4096n, 108],
      [TYPE.HOLE, 0, 4196n, 12],
      [TYPE.DATA, 0, 204_196n, 50_008],
      [TYPE.HOLE, DONE, 254_196n, 12],
    ],
  )
  assert.equal(found[1]?.data.readUInt32BE(8), 200_000)
  assert.deepEqual(found[2]?.data.subarray(8), Buffer.alloc(50_000, 2))
})

test('nbd 64: a structured read that failed is one error chunk with its text', () => {
  const [chunk] = chunks((writer) => writer.error(asked(CMD.READ), ERR.EINVAL, 'ünfit'))
  assert.equal(chunk?.type, TYPE.ERROR)
  assert.equal(chunk?.flags, DONE)
  assert.deepEqual(chunk?.data, Buffer.concat([u32(ERR.EINVAL), Buffer.from([0, 6]), Buffer.from('ünfit')]))
})

test('nbd 66: with DF a read is one data chunk, holes expanded', () => {
  for (const parts of [PARTS, [{ zeroBytes: LENGTH }]] as const) {
    const found = chunks((writer) => writer.read(asked(CMD.READ, { length: LENGTH, flags: FLAG.DF }), parts))
    assert.equal(found.length, 1)
    assert.equal(found[0]?.type, TYPE.DATA)
    assert.equal(found[0]?.flags, DONE)
    assert.deepEqual(found[0]?.data, Buffer.concat([u64(4096n), bytesOf(parts)]))
  }
})

test('nbd 68: an error text is cut to what the protocol allows', () => {
  const [chunk] = chunks((writer) => writer.error(asked(CMD.READ), ERR.EIO, '\ud800€'.repeat(10_000)))
  const length = chunk?.data.readUInt16BE(4) ?? 0
  assert.ok(length > 0 && length <= 4096)
  assert.equal(chunk?.data.length, 6 + length)
})

test('everything but reads and block status is answered simply, also after structured replies were agreed', () => {
  for (const command of [CMD.WRITE, CMD.FLUSH, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES, 99]) {
    const bytes = written(true, (writer) => {
      writer.done(asked(command))
      writer.error(asked(command), ERR.EPERM, 'no')
    })
    assert.deepEqual(
      parseReplies(bytes).map((reply) => (reply.kind === 'simple' ? reply.error : 'chunk')),
      [0, ERR.EPERM],
    )
  }
})

test('nbd 76: block status is one chunk with the context and its extents', () => {
  const extents = [
    { length: 4096, status: 0 },
    { length: 8192, status: 3 },
  ]
  const [chunk] = chunks((writer) => writer.status(asked(CMD.BLOCK_STATUS), 1, extents))
  assert.equal(chunk?.type, TYPE.STATUS)
  assert.equal(chunk?.flags, DONE)
  assert.deepEqual(chunk?.data, Buffer.concat([1, 4096, 0, 8192, 3].map(u32)))
})

test('nbd 50: many replies come out whole and in order, small ones gathered, large data uncopied', () => {
  const writer = new ReplyWriter({ structuredReplies: true })
  const large = Buffer.alloc(100_000, 9)
  const expected: string[] = []
  for (let index = 0; index < 500; index++) {
    const cookie = { cookieHigh: 0, cookieLow: index, length: index % 50 === 49 ? large.length : 4096 }
    if (index % 50 === 49) writer.read(asked(CMD.READ, cookie), [large])
    else if (index % 3 === 0) writer.done(asked(CMD.WRITE, cookie))
    else writer.read(asked(CMD.READ, cookie), [Buffer.alloc(4096, index)])
    expected.push(`${index}`)
  }
  const pending = writer.pendingBytes
  const parts = writer.take()
  const bytes = Buffer.concat(parts)
  assert.equal(bytes.length, pending)
  const replies = parseReplies(bytes)
  assert.deepEqual(
    replies.map((reply) => `${reply.cookie}`),
    expected,
  )
  for (const reply of replies) {
    if (reply.kind !== 'chunk' || reply.data.length !== 4104) continue
    assert.ok(reply.data.subarray(8).every((byte) => byte === Number(reply.cookie) % 256))
  }
  assert.ok(parts.length < 60, `${parts.length} parts`)
  assert.equal(parts.filter((part) => part === large).length, 10)
})

test('replies written after a take do not touch what was taken', () => {
  const writer = new ReplyWriter({ structuredReplies: false })
  writer.done(asked(CMD.WRITE, { cookieLow: 1 }))
  const first = writer.take()
  const copy = Buffer.concat(first)
  writer.done(asked(CMD.WRITE, { cookieLow: 2 }))
  assert.deepEqual(Buffer.concat(first), copy)
  assert.equal(parseReplies(Buffer.concat(writer.take()))[0]?.cookie, (1n << 63n) + 2n)
  assert.deepEqual(writer.take(), [])
})
