import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handshake, type HandshakeEvent, unknownExport } from '../../../src/nbd/protocol/handshake.ts'
import { parseInfoRequest, parseMetaContextRequest } from '../../../src/nbd/protocol/option-data.ts'
import { RequestReader } from '../../../src/nbd/protocol/request-reader.ts'
import { Random, seedOf } from '../support/random.ts'
import { CMD, clientFlags, infoData, metaData, OPT, option, parseOptionReplies, request } from '../support/wire.ts'

const DESCRIPTION = {
  name: 'vol',
  sizeBytes: 1 << 20,
  readOnly: false,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 32 << 20,
  fastZero: true,
}
const RULES = { ...DESCRIPTION, structuredReplies: true, allocationContextId: 1 }
const CASES = Number(process.env['ASHLAR_FUZZ_CASES'] ?? 50_000)
const SEED = seedOf(20_240_807)

const HANDSHAKE = Buffer.concat([
  clientFlags(),
  option(OPT.LIST),
  option(OPT.STRUCTURED_REPLY),
  option(OPT.SET_META_CONTEXT, metaData('vol', ['base:allocation'])),
  option(OPT.LIST_META_CONTEXT, metaData('vol', ['base:', 'x:y'])),
  option(OPT.INFO, infoData('vol', [1, 2, 3])),
  option(OPT.GO, infoData('vol', [3])),
])
const REQUESTS = Buffer.concat([
  request({ command: CMD.WRITE, cookie: 1n, offset: 100, payload: Buffer.alloc(64, 1) }),
  request({ command: CMD.READ, cookie: 2n, offset: 0, length: 4096 }),
  request({ command: CMD.WRITE_ZEROES, cookie: 3n, offset: 4096, length: 65536 }),
  request({ command: CMD.BLOCK_STATUS, cookie: 4n, offset: 0, length: 1 << 20 }),
  request({ command: CMD.FLUSH, cookie: 5n }),
  request({ command: CMD.DISC, cookie: 6n }),
])

/** Flips bits, overwrites, cuts out, repeats or inserts, a few times. */
function damaged(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes)
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(result.length)
    const kind = random.below(5)
    if (kind === 0) result[at] = (result[at] as number) ^ (1 << random.below(8))
    else if (kind === 1) result[at] = random.pick([0, 1, 0x7f, 0x80, 0xff])
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), result.subarray(at + random.below(9))])
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at), result.subarray(random.below(at + 1))])
    else result = Buffer.concat([result.subarray(0, at), random.bytes(random.below(9)), result.subarray(at)])
  }
  return result
}

/** Cuts bytes in a few pieces. */
function pieces(bytes: Buffer, random: Random): Buffer[] {
  const cuts = [0, random.below(bytes.length + 1), random.below(bytes.length + 1), bytes.length].sort((a, b) => a - b)
  return cuts.slice(1).map((cut, index) => bytes.subarray(cuts[index], cut))
}

function runHandshake(inputs: readonly Uint8Array[]): { sent: Buffer; over: boolean } {
  const handshake = new Handshake()
  const sends: Uint8Array[] = []
  let over = false
  const take = (events: readonly HandshakeEvent[]): void => {
    for (const event of events) {
      assert.equal(over, false, 'nothing comes after the end')
      if (event.type === 'send') sends.push(event.bytes)
      if (event.type === 'list') take(handshake.answerList([DESCRIPTION]))
      if (event.type === 'describe' || event.type === 'open') {
        take(handshake.answerExport(event.name === 'vol' ? DESCRIPTION : unknownExport(event.name)))
      }
      over ||= event.type === 'close' || event.type === 'transmission'
    }
  }
  take(handshake.start())
  for (const input of inputs) take(handshake.receive(input))
  return { sent: Buffer.concat(sends.slice(1)), over }
}

test(`nbd 107, 108: damaged handshakes never throw, and every reply is well formed (seed ${SEED})`, () => {
  const random = new Random(SEED)
  for (let index = 0; index < CASES; index++) {
    const bytes = random.below(10) === 0 ? Buffer.from(random.bytes(random.below(200) + 1)) : damaged(HANDSHAKE, random)
    const { sent } = runHandshake(pieces(bytes, random))
    assert.ok(isReplies(sent), `case ${index} (seed ${SEED})`)
  }
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})

/** Option replies, and perhaps the bare answer to an NBD_OPT_EXPORT_NAME after them: 10 bytes, or 134 with padding. */
function isReplies(bytes: Buffer): boolean {
  return [0, 10, 134].some((tail) => {
    try {
      parseOptionReplies(bytes.subarray(0, Math.max(0, bytes.length - tail)))
      return tail <= bytes.length
    } catch {
      return false
    }
  })
}

test(`nbd 107, 108: damaged requests never throw, and never give data that was not sent (seed ${SEED})`, () => {
  const random = new Random(SEED + 1)
  for (let index = 0; index < CASES; index++) {
    const bytes = damaged(REQUESTS, random)
    const reader = new RequestReader({ rules: RULES, hardPayloadLimitBytes: 64 << 20 })
    let consumed = 0
    for (const piece of pieces(bytes, random)) {
      reader.append(piece)
      for (let next = reader.read(); next !== undefined; next = reader.read()) {
        assert.equal(next.payload.length, next.command === CMD.WRITE && next.errno === 0 ? next.length : 0)
        consumed += 28 + (next.command === CMD.WRITE ? next.length : 0)
      }
    }
    assert.ok(consumed <= bytes.length, `case ${index}`)
    if (reader.fault === undefined && !reader.insideRequest) assert.equal(consumed, bytes.length, `case ${index}`)
  }
})

test(`nbd 20, 28: parsers of option data accept exactly what an encoder would write (seed ${SEED})`, () => {
  const random = new Random(SEED + 2)
  for (let index = 0; index < CASES; index++) {
    const info = damaged(infoData('vol', [0, 1, 2, 3]), random)
    const parsed = parseInfoRequest(info)
    if (parsed !== undefined) assert.deepEqual(infoData(parsed.name, parsed.types), info, `case ${index}`)
    const meta = damaged(metaData('vol', ['base:allocation', 'x:y']), random)
    const query = parseMetaContextRequest(meta)
    if (query !== undefined) assert.deepEqual(metaData(query.name, query.queries), meta, `case ${index}`)
  }
})
