import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NbdRequest, RequestReader } from '../../../src/nbd/protocol/request-reader.ts'
import { CMD, ERR, FLAG, request, u32 } from '../support/wire.ts'

const RULES = {
  sizeBytes: 1 << 20,
  readOnly: false,
  minimumBlockBytes: 1,
  maximumPayloadBytes: 64 * 1024,
  fastZero: true,
  structuredReplies: true,
  allocationContextId: 1,
}
const HARD_LIMIT = 128 * 1024

function reader(rules = RULES): RequestReader {
  return new RequestReader({ rules, hardPayloadLimitBytes: HARD_LIMIT })
}

/** What the reader makes of a stream given in pieces, as plain values. */
function readAll(...pieces: readonly Uint8Array[]): { requests: object[]; fault: string | undefined; inside: boolean } {
  const from = reader()
  const requests: object[] = []
  for (const piece of pieces) {
    from.append(piece)
    for (let next = from.read(); next !== undefined; next = from.read()) requests.push(plain(next))
  }
  return { requests, fault: from.fault, inside: from.insideRequest }
}

function plain({ cookieHigh, cookieLow, payload, ...rest }: NbdRequest): object {
  return {
    ...rest,
    cookie: (BigInt(cookieHigh) << 32n) | BigInt(cookieLow),
    payload: Buffer.from(payload).toString('hex'),
  }
}

const STREAM = Buffer.concat([
  request({ command: CMD.READ, cookie: 1n, offset: 4096, length: 512 }),
  request({ command: CMD.WRITE, cookie: 2n, offset: 7, payload: Buffer.from('some bytes'), flags: FLAG.FUA }),
  request({ command: CMD.WRITE, cookie: 3n, offset: 1 << 20, payload: Buffer.from('beyond the end') }),
  request({ command: CMD.WRITE, cookie: 4n, length: 0 }),
  request({ command: 99, cookie: 5n, length: 4096 }),
  request({ command: CMD.FLUSH, cookie: 6n }),
  request({ command: CMD.DISC, cookie: 7n }),
])

test('nbd 48: requests are read as they were sent, with the verdict on each', () => {
  const { requests, fault, inside } = readAll(STREAM)
  assert.equal(fault, undefined)
  assert.equal(inside, false)
  const summary = requests.map((item) => {
    const { command, errno, payload } = item as { command: number; errno: number; payload: string }
    return [command, errno, Buffer.from(payload, 'hex').toString()]
  })
  assert.deepEqual(summary, [
    [CMD.READ, 0, ''],
    [CMD.WRITE, 0, 'some bytes'],
    [CMD.WRITE, ERR.ENOSPC, ''],
    [CMD.WRITE, ERR.EINVAL, ''],
    [99, ERR.EINVAL, ''],
    [CMD.FLUSH, 0, ''],
    [CMD.DISC, 0, ''],
  ])
})

test('a stream of requests that is cut at any two bytes gives the same requests', () => {
  const whole = readAll(STREAM)
  for (let cut = 0; cut <= STREAM.length; cut++) {
    assert.deepEqual(readAll(STREAM.subarray(0, cut), STREAM.subarray(cut)), whole, `cut at ${cut}`)
    for (let next = cut; next <= STREAM.length; next += 7) {
      const pieces = [STREAM.subarray(0, cut), STREAM.subarray(cut, next), STREAM.subarray(next)]
      assert.deepEqual(readAll(...pieces), whole, `cut at ${cut} and ${next}`)
    }
  }
  assert.deepEqual(readAll(...[...STREAM].map((byte) => Uint8Array.of(byte))), whole)
})

test('nbd 49: cookies are kept bit by bit', () => {
  for (const cookie of [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]) {
    assert.equal((readAll(request({ command: CMD.FLUSH, cookie })).requests[0] as { cookie: bigint }).cookie, cookie)
  }
})

test('nbd 48: anything but the request magic is a fault, and nothing is read after it', () => {
  for (const magic of [0, 0x25609514, 0x21e41c71, 0x67446698]) {
    const wrong = Buffer.concat([u32(magic), request({ command: CMD.FLUSH }).subarray(4)])
    const { requests, fault } = readAll(request({ command: CMD.FLUSH }), wrong, request({ command: CMD.FLUSH }))
    assert.equal(requests.length, 1)
    assert.match(fault ?? '', /magic/)
  }
})

test('nbd 54: the data of a write that is refused is passed over, and the next request is read', () => {
  for (const flags of [FLAG.DF, FLAG.REQ_ONE, FLAG.PAYLOAD_LEN, 1 << 15]) {
    const write = request({ command: CMD.WRITE, flags, payload: Buffer.alloc(50_000, 0x25) })
    const { requests, fault } = readAll(write, request({ command: CMD.FLUSH }))
    assert.deepEqual(
      requests.map((item) => (item as { errno: number }).errno),
      [ERR.EINVAL, 0],
    )
    assert.equal(fault, undefined)
  }
})

test('nbd 60: a write above the maximum is read past; above the hard limit it is a fault before its data', () => {
  const { requests } = readAll(
    request({ command: CMD.WRITE, payload: Buffer.alloc(RULES.maximumPayloadBytes + 1) }),
    request({ command: CMD.WRITE, payload: Buffer.alloc(HARD_LIMIT) }),
    request({ command: CMD.WRITE, payload: Buffer.alloc(RULES.maximumPayloadBytes) }),
  )
  assert.deepEqual(
    requests.map((item) => (item as { errno: number }).errno),
    [ERR.EINVAL, ERR.EINVAL, 0],
  )
  for (const length of [HARD_LIMIT + 1, 0xffffffff]) {
    const { requests: none, fault } = readAll(request({ command: CMD.WRITE, length }))
    assert.equal(none.length, 0)
    assert.match(fault ?? '', /announced/)
  }
})

test('nbd 111: a write whose data never comes holds no more memory than has arrived', () => {
  const sizes: number[] = []
  const from = new RequestReader({
    rules: { ...RULES, sizeBytes: 1 << 30, maximumPayloadBytes: 32 << 20 },
    hardPayloadLimitBytes: 64 << 20,
    allocate: (length) => {
      sizes.push(length)
      return new Uint8Array(length)
    },
  })
  from.append(request({ command: CMD.WRITE, length: 32 << 20 }))
  from.append(Buffer.alloc(1000))
  assert.equal(from.read(), undefined)
  assert.equal(from.insideRequest, true)
  assert.deepEqual(sizes, [])
})

test('the data of a write that arrived in one piece is not copied', () => {
  const from = reader()
  const bytes = request({ command: CMD.WRITE, payload: Buffer.from('data of the write') })
  from.append(bytes)
  const payload = from.read()?.payload
  assert.equal(payload?.buffer, bytes.buffer)
  assert.equal(Buffer.from(payload ?? []).toString(), 'data of the write')
})

test('a reader that is not pulled keeps what it was given', () => {
  const from = reader()
  from.append(STREAM)
  from.append(STREAM)
  let count = 0
  while (from.read() !== undefined) count++
  assert.equal(count, 14)
})
