import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExportDescription } from '../../../src/nbd/protocol/export-description.ts'
import { begun, HandshakeSession, VOL } from '../support/handshake-session.ts'
import { clientFlags, infoData, metaData, OPT, option, REP, text, u16, u32 } from '../support/wire.ts'

test('nbd 15: NBD_OPT_EXPORT_NAME is answered by size, flags and exactly 124 zeroes unless they were waived', () => {
  for (const [flags, zeroes] of [
    [1, 124],
    [3, 0],
  ] as const) {
    const session = new HandshakeSession().feed(clientFlags(flags), option(OPT.EXPORT_NAME, Buffer.from('vol')))
    assert.equal(session.sent.length, 10 + zeroes)
    assert.equal(session.sent.readBigUInt64BE(0), BigInt(VOL.sizeBytes))
    assert.ok(session.sent.subarray(10).every((byte) => byte === 0))
    assert.ok(session.transmission)
  }
  const unknown = begun().feed(option(OPT.EXPORT_NAME, Buffer.from('nope')))
  assert.match(unknown.closed ?? '', /no export "nope"/)
  assert.equal(unknown.sent.length, 0)
})

test('nbd 17: NBD_OPT_LIST gives every export with its description, and takes no data', () => {
  const session = begun([VOL, { ...VOL, name: 'zwei', description: 'the second' }])
  const [first, second] = session.feed(option(OPT.LIST)).replies
  assert.deepEqual(first?.data, text('vol'))
  assert.deepEqual(second?.data, Buffer.concat([text('zwei'), Buffer.from('the second')]))
  assert.deepEqual(session.replyTypes, [REP.SERVER, REP.SERVER, REP.ACK])
  assert.deepEqual(begun().feed(option(OPT.LIST, Buffer.from('x'))).replyTypes, [REP.ERR_INVALID])
})

test('nbd 18, 31: NBD_OPT_PEEK_EXPORT and NBD_OPT_EXTENDED_HEADERS are not supported', () => {
  const session = begun().feed(option(OPT.PEEK_EXPORT), option(OPT.EXTENDED_HEADERS))
  assert.deepEqual(session.replyTypes, [REP.ERR_UNSUP, REP.ERR_UNSUP])
})

test('nbd 19, 82: NBD_OPT_STARTTLS is refused by policy, and as malformed when it carries data', () => {
  const session = begun().feed(option(OPT.STARTTLS), option(OPT.STARTTLS, Buffer.from('x')), option(OPT.STARTTLS))
  assert.deepEqual(session.replyTypes, [REP.ERR_POLICY, REP.ERR_INVALID, REP.ERR_POLICY])
})

test('nbd 20: lengths inside NBD_OPT_INFO and NBD_OPT_GO must fit the option exactly', () => {
  const malformed = [
    Buffer.alloc(0),
    u32(0),
    Buffer.concat([u32(3), Buffer.from('vo')]),
    Buffer.concat([u32(0xffffffff), Buffer.from('vol'), u16(0)]),
    Buffer.concat([u32(0xfffffffe), Buffer.from('vol'), u16(0)]),
    Buffer.concat([text('vol'), u16(2), u16(1)]),
    Buffer.concat([text('vol'), u16(0), Buffer.from('x')]),
    Buffer.concat([text('vol'), u16(0xffff)]),
  ]
  for (const type of [OPT.INFO, OPT.GO]) {
    for (const data of malformed) {
      const session = begun().feed(option(type, data), option(OPT.LIST))
      assert.deepEqual(session.replyTypes, [REP.ERR_INVALID, REP.SERVER, REP.ACK])
    }
  }
})

test('nbd 21: NBD_INFO_EXPORT comes before the acknowledgement; unknown and repeated requests are ignored', () => {
  const session = begun().feed(option(OPT.INFO, infoData('vol', [0, 0, 999, 999])))
  assert.deepEqual(session.replyTypes, [REP.INFO, REP.ACK])
  const info = session.replies[0]?.data
  assert.equal(info?.length, 12)
  assert.equal(info?.readUInt16BE(0), 0)
  assert.equal(info?.readBigUInt64BE(2), BigInt(VOL.sizeBytes))
})

test('nbd 22: name, description and block sizes are given on request, block sizes also when they differ', () => {
  const described = { ...VOL, description: 'a volume' }
  const types = (session: HandshakeSession): (number | undefined)[] =>
    session.replies.filter((reply) => reply.type === REP.INFO).map((reply) => reply.data.readUInt16BE(0))
  assert.deepEqual(types(begun([described]).feed(option(OPT.INFO, infoData('vol', [1, 2, 3])))), [0, 1, 2, 3])
  assert.deepEqual(types(begun().feed(option(OPT.INFO, infoData('vol', [1, 2, 3])))), [0, 1, 3])
  assert.deepEqual(types(begun().feed(option(OPT.INFO, infoData('vol')))), [0])
  const coarse = begun([{ ...VOL, preferredBlockBytes: 65536 }]).feed(option(OPT.INFO, infoData('vol')))
  assert.deepEqual(types(coarse), [0, 3])
  assert.deepEqual(coarse.replies[1]?.data, Buffer.concat([u16(3), u32(1), u32(65536), u32(32 << 20)]))
  const byDefaultName = begun().feed(option(OPT.INFO, infoData('', [1])))
  assert.deepEqual(byDefaultName.replies[1]?.data, Buffer.concat([u16(1), Buffer.from('vol')]))
})

test('nbd 23, 25: an unknown export is told, and another name may be tried', () => {
  const session = begun().feed(option(OPT.GO, infoData('nope')), option(OPT.GO, infoData('vol')))
  assert.deepEqual(session.replyTypes, [REP.ERR_UNKNOWN, REP.INFO, REP.ACK])
  assert.ok(session.transmission)
})

test('nbd 24, 47: flags are the same in NBD_OPT_INFO, NBD_OPT_GO and NBD_OPT_EXPORT_NAME', () => {
  for (const description of [VOL, { ...VOL, readOnly: true }, { ...VOL, fastZero: false }]) {
    for (const options of [[], [option(OPT.STRUCTURED_REPLY)]]) {
      const go = begun([description]).feed(
        ...options,
        option(OPT.INFO, infoData('vol')),
        option(OPT.GO, infoData('vol')),
      )
      const infos = go.replies.filter((reply) => reply.type === REP.INFO).map((reply) => reply.data)
      assert.deepEqual(infos[0], infos[1])
      const old = begun([description]).feed(...options, option(OPT.EXPORT_NAME, Buffer.from('vol')))
      assert.deepEqual(old.sent.subarray(-10), infos[0]?.subarray(2))
    }
  }
})

test('nbd 34 to 46: transmission flags say what is supported', () => {
  const flags = (description: ExportDescription, ...options: Buffer[]): number =>
    begun([description])
      .feed(...options, option(OPT.GO, infoData('vol')))
      .replies.at(-2)
      ?.data.readUInt16BE(10) ?? 0
  const base = 0b1 | 0b100 | 0b1000 | 0b1_0000_0000
  assert.equal(flags(VOL), base | 0b10_0000 | 0b100_0000 | 0b1000_0000_0000)
  assert.equal(flags({ ...VOL, fastZero: false }), base | 0b10_0000 | 0b100_0000)
  assert.equal(flags({ ...VOL, readOnly: true }), base | 0b10)
  assert.equal(flags({ ...VOL, readOnly: true }, option(OPT.STRUCTURED_REPLY)), base | 0b10 | 0b1000_0000)
})

test('nbd 27: structured replies are agreed without data only', () => {
  const session = begun().feed(option(OPT.STRUCTURED_REPLY, Buffer.from('x')), option(OPT.GO, infoData('vol')))
  assert.deepEqual(session.replyTypes, [REP.ERR_INVALID, REP.INFO, REP.ACK])
  assert.equal(session.transmission?.rules.structuredReplies, false)
})

test('nbd 28: NBD_OPT_LIST_META_CONTEXT lists what the queries match', () => {
  const listed = (queries: string[], name = 'vol'): number[] =>
    begun()
      .feed(option(OPT.STRUCTURED_REPLY), option(OPT.LIST_META_CONTEXT, metaData(name, queries)))
      .replyTypes.slice(1)
  assert.deepEqual(listed([]), [REP.META_CONTEXT, REP.ACK])
  assert.deepEqual(listed(['base:']), [REP.META_CONTEXT, REP.ACK])
  assert.deepEqual(listed(['x-other:thing', 'base:allocation', 'base:']), [REP.META_CONTEXT, REP.ACK])
  assert.deepEqual(listed(['x-other:thing', 'base:nothing', '']), [REP.ACK])
  assert.deepEqual(listed([], 'nope'), [REP.ERR_UNKNOWN])
  const context = begun().feed(option(OPT.STRUCTURED_REPLY), option(OPT.LIST_META_CONTEXT, metaData('vol', [])))
    .replies[1]
  assert.deepEqual(context?.data, Buffer.concat([u32(0), Buffer.from('base:allocation')]))
})

test('nbd 28, 29: malformed metadata context options are refused', () => {
  const malformed = [
    Buffer.alloc(0),
    text('vol'),
    Buffer.concat([text('vol'), u32(1)]),
    Buffer.concat([text('vol'), u32(1), u32(9), Buffer.from('base:')]),
    Buffer.concat([text('vol'), u32(0xffffffff), text('base:allocation')]),
    Buffer.concat([metaData('vol', ['base:allocation']), Buffer.from('x')]),
    Buffer.concat([text('vol'), u32(1), u32(1), Buffer.from([0xc0])]),
  ]
  for (const type of [OPT.LIST_META_CONTEXT, OPT.SET_META_CONTEXT]) {
    for (const data of malformed) {
      const session = begun().feed(option(OPT.STRUCTURED_REPLY), option(type, data), option(OPT.LIST))
      assert.deepEqual(session.replyTypes.slice(1), [REP.ERR_INVALID, REP.SERVER, REP.ACK])
    }
    const early = begun().feed(option(type, metaData('vol', ['base:allocation'])))
    assert.deepEqual(early.replyTypes, [REP.ERR_INVALID])
    const many = metaData(
      'vol',
      Array.from({ length: 1025 }, () => 'x:y'),
    )
    assert.equal(begun().feed(option(OPT.STRUCTURED_REPLY), option(type, many)).replyTypes[1], REP.ERR_TOO_BIG)
  }
})

test('nbd 29, 30: the last NBD_OPT_SET_META_CONTEXT counts, only for the export that it named', () => {
  const contextAfter = (...options: Buffer[]): number | undefined =>
    begun([VOL, { ...VOL, name: 'other' }]).feed(
      option(OPT.STRUCTURED_REPLY),
      ...options,
      option(OPT.GO, infoData('vol')),
    ).transmission?.rules.allocationContextId
  const set = (name: string, queries: string[]): Buffer => option(OPT.SET_META_CONTEXT, metaData(name, queries))
  assert.equal(contextAfter(set('vol', ['base:allocation'])), 1)
  assert.equal(contextAfter(), undefined)
  assert.equal(contextAfter(set('vol', [])), undefined)
  assert.equal(contextAfter(set('vol', ['base:'])), undefined)
  assert.equal(contextAfter(set('other', ['base:allocation'])), undefined)
  assert.equal(contextAfter(set('vol', ['base:allocation']), set('nope', ['base:allocation'])), undefined)
  assert.equal(contextAfter(set('vol', ['base:allocation']), option(OPT.SET_META_CONTEXT, u32(9))), undefined)
  assert.equal(contextAfter(set('vol', ['base:allocation']), set('vol', ['x:y'])), undefined)
  assert.equal(contextAfter(set('vol', ['x:y']), set('vol', ['base:allocation'])), 1)
})

test('nbd 26: a client that does not ask for block sizes is served all the same, whatever they are', () => {
  for (const minimumBlockBytes of [1, 512, 4096]) {
    for (const type of [OPT.INFO, OPT.GO]) {
      const session = begun([{ ...VOL, minimumBlockBytes }]).feed(option(type, infoData('vol')))
      assert.equal(session.replyTypes.at(-1), REP.ACK)
      assert.ok(session.replyTypes.every((reply) => reply === REP.INFO || reply === REP.ACK))
    }
  }
})

test('nbd 32: NBD_OPT_STARTTLS never succeeds here, so nothing crosses into TLS that came before or with it', () => {
  const together = Buffer.concat([option(OPT.STARTTLS), option(OPT.GO, infoData('vol'))])
  const session = begun().feed(
    option(OPT.STRUCTURED_REPLY),
    option(OPT.SET_META_CONTEXT, metaData('vol', ['base:allocation'])),
    together,
  )
  assert.deepEqual(session.replyTypes.slice(3, 4), [REP.ERR_POLICY])
  assert.deepEqual(session.transmission?.rules.allocationContextId, 1)
})

test('nbd 42: several connections are offered always, since every device and volume answers for all of them', () => {
  const multi = 0b1_0000_0000
  for (const description of [VOL, { ...VOL, readOnly: true }]) {
    const [info] = begun([description]).feed(option(OPT.GO, infoData('vol'))).replies
    assert.equal((info?.data.readUInt16BE(10) ?? 0) & multi, multi)
  }
})
