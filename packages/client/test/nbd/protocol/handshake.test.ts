import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExportDescription } from '../../../src/nbd/protocol/export-description.ts'
import {
  Handshake,
  type HandshakeEvent,
  MAX_DISCARDED_OPTION_BYTES,
  MAX_OPTION_BYTES,
  MAX_OPTIONS,
  type Refusal,
  unknownExport,
} from '../../../src/nbd/protocol/handshake.ts'
import {
  clientFlags,
  HAVE_OPTION,
  infoData,
  MAGIC,
  metaData,
  OPT,
  type OptionReply,
  option,
  parseOptionReplies,
  REP,
  text,
  u16,
  u32,
} from '../support/wire.ts'

const VOL: ExportDescription = {
  name: 'vol',
  sizeBytes: 1 << 20,
  readOnly: false,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 32 << 20,
  fastZero: true,
}

/** Feeds a handshake and answers its questions as a server with one export would. */
class Session {
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

function begun(exports?: readonly ExportDescription[]): Session {
  return new Session(exports).feed(clientFlags())
}

test('nbd 1: the greeting is NBDMAGIC, IHAVEOPT and the two handshake flags, nothing else', () => {
  const [greeting, ...rest] = new Handshake().start()
  assert.ok(greeting?.type === 'send')
  assert.deepEqual(Buffer.from(greeting.bytes), Buffer.concat([Buffer.from(MAGIC), Buffer.from(HAVE_OPTION), u16(3)]))
  assert.deepEqual(rest, [])
})

test('nbd 2: any client flag but the two known ones ends the connection', () => {
  for (const known of [0, 1, 2, 3]) assert.equal(new Session().feed(clientFlags(known)).closed, undefined)
  for (let bit = 2; bit < 32; bit++) {
    assert.match(new Session().feed(u32((3 | (1 << bit)) >>> 0)).closed ?? '', /flags/, `bit ${bit}`)
  }
})

test('nbd 3: without fixed newstyle only NBD_OPT_EXPORT_NAME is valid', () => {
  assert.ok(new Session().feed(clientFlags(0), option(OPT.EXPORT_NAME, Buffer.from('vol'))).transmission)
  for (const type of [OPT.GO, OPT.LIST, OPT.STARTTLS, OPT.ABORT, 77]) {
    const session = new Session().feed(clientFlags(0), option(type))
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
  const session = new Session().feed(together)
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

test('nbd 15: NBD_OPT_EXPORT_NAME is answered by size, flags and exactly 124 zeroes unless they were waived', () => {
  for (const [flags, zeroes] of [
    [1, 124],
    [3, 0],
  ] as const) {
    const session = new Session().feed(clientFlags(flags), option(OPT.EXPORT_NAME, Buffer.from('vol')))
    assert.equal(session.sent.length, 10 + zeroes)
    assert.equal(session.sent.readBigUInt64BE(0), BigInt(VOL.sizeBytes))
    assert.ok(session.sent.subarray(10).every((byte) => byte === 0))
    assert.ok(session.transmission)
  }
  const unknown = begun().feed(option(OPT.EXPORT_NAME, Buffer.from('nope')))
  assert.match(unknown.closed ?? '', /no export "nope"/)
  assert.equal(unknown.sent.length, 0)
})

test('nbd 16: NBD_OPT_ABORT is acknowledged whatever data it carries, then the connection ends in order', () => {
  const session = begun().feed(option(OPT.ABORT, Buffer.from('ignored')))
  assert.deepEqual(session.replyTypes, [REP.ACK])
  assert.deepEqual(session.events.at(-1), { type: 'close', reason: session.closed, orderly: true })
  assert.deepEqual(session.handshake.receive(option(OPT.LIST)), [])
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
  const types = (session: Session): (number | undefined)[] =>
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
  const whole = new Session().feed(bytes).events
  for (let cut = 1; cut < bytes.length; cut++) {
    assert.deepEqual(new Session().feed(bytes.subarray(0, cut), bytes.subarray(cut)).events, whole, `cut at ${cut}`)
  }
  const single = new Session()
  for (const byte of bytes) single.feed(Uint8Array.of(byte))
  assert.deepEqual(single.events, whole)
})

test('nbd 115: hostile export names are names like any other', () => {
  for (const name of ['__proto__', 'constructor', '../../etc/passwd', '{"a":1}', '%00', '\u202e', 'vol\n']) {
    assert.deepEqual(begun().feed(option(OPT.GO, infoData(name))).replyTypes, [REP.ERR_UNKNOWN], name)
  }
})
