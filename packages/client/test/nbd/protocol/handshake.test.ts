import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Handshake,
  MAX_DISCARDED_OPTION_BYTES,
  MAX_OPTION_BYTES,
  MAX_OPTIONS,
} from '../../../src/nbd/protocol/handshake.ts'
import { begun, HandshakeSession } from '../support/handshake-session.ts'
import { clientFlags, HAVE_OPTION, infoData, MAGIC, metaData, OPT, option, REP, u16, u32 } from '../support/wire.ts'

test('nbd 1: the greeting is NBDMAGIC, IHAVEOPT and the two handshake flags, nothing else', () => {
  const [greeting, ...rest] = new Handshake().start()
  assert.ok(greeting?.type === 'send')
  assert.deepEqual(Buffer.from(greeting.bytes), Buffer.concat([Buffer.from(MAGIC), Buffer.from(HAVE_OPTION), u16(3)]))
  assert.deepEqual(rest, [])
})

test('nbd 2: any client flag but the two known ones ends the connection', () => {
  for (const known of [0, 1, 2, 3]) assert.equal(new HandshakeSession().feed(clientFlags(known)).closed, undefined)
  for (let bit = 2; bit < 32; bit++) {
    assert.match(new HandshakeSession().feed(u32((3 | (1 << bit)) >>> 0)).closed ?? '', /flags/, `bit ${bit}`)
  }
})

test('nbd 3: without fixed newstyle only NBD_OPT_EXPORT_NAME is valid', () => {
  assert.ok(new HandshakeSession().feed(clientFlags(0), option(OPT.EXPORT_NAME, Buffer.from('vol'))).transmission)
  for (const type of [OPT.GO, OPT.LIST, OPT.STARTTLS, OPT.ABORT, 77]) {
    const session = new HandshakeSession().feed(clientFlags(0), option(type))
    assert.match(session.closed ?? '', /fixed newstyle/)
    assert.equal(session.sent.length, 0)
  }
})

test('nbd 4: an option that does not start with IHAVEOPT ends the connection', () => {
  const wrong = option(OPT.LIST)
  wrong[7] = 0x55
  assert.match(begun().feed(wrong).closed ?? '', /IHAVEOPT/)
})

test('nbd 5: an unknown option is refused, its data skipped, and the next option is understood', () => {
  for (const size of [0, 1, 4096, 64 * 1024]) {
    const session = begun().feed(option(4711, Buffer.alloc(size, 0x49)), option(OPT.LIST))
    assert.deepEqual(session.replyTypes, [REP.ERR_UNSUP, REP.SERVER, REP.ACK], `${size} bytes`)
    assert.equal(session.replies[0]?.option, 4711)
  }
})

test('nbd 6: error texts are short and do not repeat more than 64 characters of the client, none unprintable', () => {
  const name = `\u0007${'x'.repeat(4000)}`
  const [reply] = begun().feed(option(OPT.GO, infoData(name))).replies
  assert.equal(reply?.type, REP.ERR_UNKNOWN)
  assert.match(reply?.data.toString() ?? '', /^there is no export "\?x{63}\.\.\."$/)
})

test('nbd 7: too much option data is refused and skipped up to a bound, and ends the connection beyond it', () => {
  for (const size of [MAX_OPTION_BYTES + 1, MAX_DISCARDED_OPTION_BYTES]) {
    const session = begun().feed(option(OPT.INFO, Buffer.alloc(size)), option(OPT.LIST))
    assert.deepEqual(session.replyTypes, [REP.ERR_TOO_BIG, REP.SERVER, REP.ACK])
  }
  const header = (bytes: number): Buffer => Buffer.concat([Buffer.from(HAVE_OPTION), u32(OPT.INFO), u32(bytes)])
  for (const size of [MAX_DISCARDED_OPTION_BYTES + 1, 0xffffffff]) {
    assert.match(begun().feed(header(size)).closed ?? '', /option data/)
  }
  const longName = Buffer.concat([Buffer.from(HAVE_OPTION), u32(OPT.EXPORT_NAME), u32(MAX_OPTION_BYTES + 1)])
  assert.match(begun().feed(longName).closed ?? '', /option data/)
})

test('nbd 8: options sent before the reply to the one before them are answered in order', () => {
  const together = Buffer.concat([
    clientFlags(),
    option(OPT.STRUCTURED_REPLY),
    option(OPT.INFO, infoData('vol')),
    option(OPT.LIST),
    option(OPT.GO, infoData('vol')),
    Buffer.from('first bytes of transmission'),
  ])
  const session = new HandshakeSession().feed(together)
  assert.deepEqual(
    session.replies.map((reply) => [reply.option, reply.type]),
    [
      [OPT.STRUCTURED_REPLY, REP.ACK],
      [OPT.INFO, REP.INFO],
      [OPT.INFO, REP.ACK],
      [OPT.LIST, REP.SERVER],
      [OPT.LIST, REP.ACK],
      [OPT.GO, REP.INFO],
      [OPT.GO, REP.ACK],
    ],
  )
  assert.equal(Buffer.from(session.transmission?.rest ?? []).toString(), 'first bytes of transmission')
})

test('nbd 9: repeated options of state do no harm', () => {
  const meta = option(OPT.SET_META_CONTEXT, metaData('vol', ['base:allocation']))
  const session = begun().feed(option(OPT.STRUCTURED_REPLY), option(OPT.STRUCTURED_REPLY), meta, meta)
  session.feed(option(OPT.GO, infoData('vol')))
  assert.equal(session.transmission?.rules.allocationContextId, 1)
})

test('nbd 10: names are UTF-8 without NUL of at most 4096 bytes', () => {
  const bad = [Buffer.from([0xff]), Buffer.from('a\0b'), Buffer.alloc(4097, 0x61), Buffer.from([0xed, 0xa0, 0x80])]
  for (const name of bad) {
    const data = Buffer.concat([u32(name.length), name, u16(0)])
    assert.deepEqual(begun().feed(option(OPT.GO, data)).replyTypes, [REP.ERR_INVALID])
    assert.match(begun().feed(option(OPT.EXPORT_NAME, name)).closed ?? '', /not a valid string/)
  }
  const longest = 'ä'.repeat(2048)
  assert.deepEqual(begun().feed(option(OPT.GO, infoData(longest))).replyTypes, [REP.ERR_UNKNOWN])
})

test('nbd 11: a handshake takes 64 options', () => {
  const session = begun()
  for (let count = 0; count < MAX_OPTIONS; count++) session.feed(option(OPT.LIST))
  assert.equal(session.closed, undefined)
  assert.match(session.feed(option(OPT.LIST)).closed ?? '', /more than 64 options/)
})

test('nbd 12: only NBD_OPT_GO and NBD_OPT_EXPORT_NAME open an export', () => {
  const session = begun().feed(
    option(OPT.STRUCTURED_REPLY),
    option(OPT.LIST),
    option(OPT.INFO, infoData('vol')),
    option(OPT.LIST_META_CONTEXT, metaData('vol', [])),
    option(OPT.SET_META_CONTEXT, metaData('vol', ['base:allocation'])),
  )
  assert.deepEqual(session.asked, ['describe vol', 'describe vol', 'describe vol'])
  assert.deepEqual(session.feed(option(OPT.GO, infoData('vol'))).asked.at(-1), 'open vol')
})

test('nbd 16: NBD_OPT_ABORT is acknowledged whatever data it carries, then the connection ends in order', () => {
  const session = begun().feed(option(OPT.ABORT, Buffer.from('ignored')))
  assert.deepEqual(session.replyTypes, [REP.ACK])
  assert.deepEqual(session.events.at(-1), { type: 'close', reason: session.closed, orderly: true })
  assert.deepEqual(session.handshake.receive(option(OPT.LIST)), [])
})

test('nbd 33: during shutdown every option but NBD_OPT_ABORT is refused', () => {
  const session = begun()
  session.handshake.beginShutdown()
  session.feed(option(OPT.LIST), option(OPT.GO, infoData('vol')), option(99), option(OPT.ABORT))
  assert.deepEqual(session.replyTypes, [REP.ERR_SHUTDOWN, REP.ERR_SHUTDOWN, REP.ERR_SHUTDOWN, REP.ACK])
  const old = begun()
  old.handshake.beginShutdown()
  assert.match(old.feed(option(OPT.EXPORT_NAME, Buffer.from('vol'))).closed ?? '', /shutting down/)
})

test('nbd 14: a handshake that is cut at any byte gives the same events', () => {
  const bytes = Buffer.concat([
    clientFlags(),
    option(OPT.LIST),
    option(77, Buffer.from('unknown')),
    option(OPT.STRUCTURED_REPLY),
    option(OPT.SET_META_CONTEXT, metaData('vol', ['base:allocation'])),
    option(OPT.INFO, infoData('nope')),
    option(OPT.GO, infoData('vol', [3])),
  ])
  const whole = new HandshakeSession().feed(bytes).events
  for (let cut = 1; cut < bytes.length; cut++) {
    assert.deepEqual(
      new HandshakeSession().feed(bytes.subarray(0, cut), bytes.subarray(cut)).events,
      whole,
      `cut at ${cut}`,
    )
  }
  const single = new HandshakeSession()
  for (const byte of bytes) single.feed(Uint8Array.of(byte))
  assert.deepEqual(single.events, whole)
})

test('nbd 115: hostile export names are names like any other', () => {
  for (const name of ['__proto__', 'constructor', '../../etc/passwd', '{"a":1}', '%00', '\u202e', 'vol\n']) {
    assert.deepEqual(begun().feed(option(OPT.GO, infoData(name))).replyTypes, [REP.ERR_UNKNOWN], name)
  }
})
