import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import {
  AshlarError,
  type Epoch,
  ERRORS,
  extentId,
  LIMITS,
  type SessionId,
  type VolumeId,
  WIRE_VERSION,
  type Write,
} from '@ashlar/proto'
import { checksum, encodeFrame, HELLO_MAX_BYTES } from '@ashlar/proto/codec'
import { WebSocket } from 'ws'
import { createWsTransport } from '../../src/transport/index.ts'
import { LinkRecorder } from '../conformance/link-recorder.ts'
import { heavy, newStore, numbered } from '../conformance/transport-suite.ts'
import { LogLines } from './log-lines.ts'
import { clientHello, type Listening, listening, openTcp, RawPeer, rawExchange } from './raw-peer.ts'

const EXTENT = extentId(7 as VolumeId, 0)

/** A write of one block, with the checksum of its payload. */
function writeOf(request: number): Write {
  const payload = new Uint8Array(4096).fill(request)
  return {
    ...{
      type: 'write',
      request,
      extent: EXTENT,
      epoch: 5 as Epoch,
      offset: 0,
      checksums: [checksum(payload)],
      payload,
    },
    operation: { session: 1 as SessionId, op: request, lowMark: 1, generation: 0 },
  }
}

/** Proves that the node still serves: a well-behaved client passes its handshake. */
async function assertServing(node: Listening): Promise<void> {
  const peer = await RawPeer.join(node.transport.address)
  assert.equal(peer.received[0]?.type, 'welcome')
}

function assertOneWarning(node: Listening, pattern: RegExp): void {
  assert.deepEqual(
    node.log.warnings.filter((line) => !pattern.test(JSON.stringify(line))),
    [],
    'no warning but the expected one',
  )
  assert.equal(node.log.warnings.length, 1, `one line, not ${JSON.stringify(node.log.warnings)}`)
}

test('an HTTP request gets 426 and the protocol of the port', async () => {
  await using node = await listening()
  const response = await fetch(`http://${node.transport.address}/metrics`)
  assert.equal(response.status, 426)
  assert.match(await response.text(), /WebSocket of an Ashlar cluster/)
  assertOneWarning(node, /without an upgrade/)
  assert.equal(node.transport.counters.foreignConnections, 1)
  await assertServing(node)
})

test('random bytes get 400 and one log line', async () => {
  await using node = await listening()
  // No method begins with 0xff; the first byte of a TLS record would be logged as that.
  const response = await rawExchange(node.transport.address, Buffer.concat([Buffer.of(0xff), randomBytes(500)]))
  assert.match(response, /^HTTP\/1\.1 400 /)
  assertOneWarning(node, /Parse Error/)
  await assertServing(node)
})

test('a TLS handshake is recognised', async () => {
  await using node = await listening()
  const clientHelloOfTls = new Uint8Array([0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03])
  await rawExchange(node.transport.address, clientHelloOfTls)
  assertOneWarning(node, /a TLS handshake on a port that speaks plain text/)
  await assertServing(node)
})

test('headers longer than allowed are refused', async () => {
  await using node = await listening()
  const response = await rawExchange(node.transport.address, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
  assert.match(response, /^HTTP\/1\.1 400 /)
  assertOneWarning(node, /Header overflow/)
})

test('an upgrade that is no WebSocket is refused with one log line', async () => {
  await using node = await listening()
  const response = await rawExchange(
    node.transport.address,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  )
  assert.match(response, /^HTTP\/1\.1 400 /)
  assertOneWarning(node, /Upgrade header/)
  await assertServing(node)
})

test('a WebSocket from a web page is rejected, whatever its origin', async () => {
  await using node = await listening()
  for (const origin of ['https://evil.example', 'null', `http://${node.transport.address}`]) {
    const socket = new WebSocket(`ws://${node.transport.address}`, { origin })
    const [error] = await once(socket, 'error')
    assert.match(String(error), /400/)
  }
  assert.equal(node.transport.counters.foreignConnections, 3)
  assert.match(JSON.stringify(node.log.warnings), /a WebSocket from a web page \(origin https:\/\/evil\.example\)/)
  await assertServing(node)
})

test('a connection that is reset before it sent a byte leaves no trace', async () => {
  await using node = await listening()
  const socket = openTcp(node.transport.address)
  await once(socket, 'connect')
  socket.resetAndDestroy()
  await assertServing(node)
  assert.equal(node.recorder.links.length, 1)
})

test('a text frame closes the connection', async () => {
  await using node = await listening()
  const peer = await RawPeer.dial(node.transport.address)
  peer.socket.send('hello')
  assert.deepEqual(await peer.closed, [1003, 'a text frame; this protocol is binary'])
  assertOneWarning(node, /text frame/)
})

test('a frame longer than LIMITS.frameBytes is not read to its end', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.socket.send(new Uint8Array(LIMITS.frameBytes + 1))
  assert.equal((await peer.closed)[0], 1009)
  await node.recorder.down(link)
  assertOneWarning(node, /Max payload size exceeded/)
  assert.equal(node.transport.counters.badFrames, 1)
})

test('a first frame longer than a hello can be is refused unread', async () => {
  await using node = await listening()
  const peer = await RawPeer.dial(node.transport.address)
  peer.socket.send(new Uint8Array(HELLO_MAX_BYTES + 1))
  assert.equal((await peer.closed)[0], 1008)
  assertOneWarning(node, /first frame of 8193 bytes/)
  assert.equal(node.recorder.links.length, 0)
})

test('a first message that is no hello is refused', async () => {
  await using node = await listening()
  const peer = await RawPeer.dial(node.transport.address)
  peer.send(numbered(1))
  assert.equal((await peer.closed)[0], 1002)
  assertOneWarning(node, /a frame of wire version 3 before the handshake is over/)
})

test('a second hello closes the link', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.send(clientHello())
  assert.equal((await peer.closed)[0], 1002)
  await node.recorder.down(link)
  assertOneWarning(node, /a frame of the handshake after the handshake/)
})

test('a client cannot speak as a node', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.send(numbered(1))
  assert.deepEqual(await peer.closed, [1008, 'ack from a client'])
  await node.recorder.down(link)
  assert.deepEqual(link.batches, [])
})

test('a good message in a frame with a bad one is not handed on', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.send({ type: 'get-map', have: 0, watch: false }, numbered(1))
  await node.recorder.down(link)
  assert.deepEqual(link.batches, [])
})

test('block bytes that do not match their checksum close the link', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address, clientHello({ kind: 'node', store: newStore() }))
  const link = await node.recorder.up('in')
  peer.send(heavy(1), { ...heavy(2), checksum: 1 })
  assert.match((await peer.closed)[1], /bytes of a push that do not match/)
  await node.recorder.down(link)
  assert.deepEqual(link.batches, [])
  assertOneWarning(node, /bytes of a push/)
})

test('a write with a wrong checksum is refused, the rest of its frame is handed on and the link stays open', async () => {
  await using node = await listening({ blockSizeOf: (extent) => (extent === EXTENT ? 4096 : undefined) })
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.send(writeOf(1), { ...writeOf(2), checksums: [0] }, writeOf(3))
  const refusal = { type: 'answer', request: 2, code: ERRORS.CHECKSUM.number, epoch: 5 }
  await peer.next(2)
  assert.deepEqual({ ...peer.received[1] }, refusal)
  peer.send({ ...writeOf(4), checksums: [0] })
  await peer.next(3)
  assert.deepEqual(
    link.batches.map((batch) => batch.map((message) => message.type === 'write' && message.request)),
    [[1, 3]],
  )
  assert.deepEqual(
    link.refusedWrites.map(({ request }) => request),
    [2, 4],
  )
  assert.deepEqual(node.recorder.breaches, [])
  assert.equal(link.downs, 0)
  assert.equal(node.transport.counters.badFrames, 0)
})

test('a write of an extent of unknown block size is handed on for the node to refuse', async () => {
  await using node = await listening({ blockSizeOf: () => undefined })
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.send({ ...writeOf(1), checksums: [0] })
  assert.equal((await node.recorder.received(link, 1))[0]?.type, 'write')
  assert.deepEqual(link.refusedWrites, [])
})

test('damaged frames on a link close it, whatever byte is damaged', async () => {
  await using node = await listening()
  const frame = encodeFrame([{ type: 'get-map', have: 0, watch: false }], WIRE_VERSION)
  for (let at = 0; at < frame.length; at += 3) {
    const peer = await RawPeer.join(node.transport.address)
    const damaged = new Uint8Array(frame)
    damaged[at] = (damaged[at] as number) ^ 0x55
    peer.socket.send(damaged)
    assert.equal((await peer.closed)[0], 1002)
  }
  await node.recorder.until('every link is down', () => (node.recorder.upLinks.length === 0 ? true : undefined))
  assert.deepEqual(node.recorder.breaches, [])
  await assertServing(node)
})

test('a connection that breaks in the middle of a frame is a link that went down once', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  // The start of a binary frame of 1,000 bytes that never comes.
  const { _socket: tcp } = peer.socket as unknown as { _socket: { write(bytes: Uint8Array): void; destroy(): void } }
  tcp.write(new Uint8Array([0x82, 0xfe, 0x03, 0xe8, 0, 0, 0, 0, 1, 2, 3]))
  tcp.destroy()
  await node.recorder.down(link)
  assert.deepEqual(node.recorder.breaches, [])
  assert.deepEqual(link.batches, [])
})

test('connections beyond the limit are dropped and logged', async () => {
  await using node = await listening({ maxConnections: 1 })
  await RawPeer.join(node.transport.address)
  const second = openTcp(node.transport.address)
  await once(second, 'close')
  assertOneWarning(node, /too many are open/)
})

test('an address in use is refused with its name', async () => {
  await using node = await listening()
  const port = Number(node.transport.address.split(':')[1])
  const options = {
    listen: { host: '127.0.0.1', port },
    identity: () => assert.fail('identity is not called'),
    logger: new LogLines(),
  }
  await assert.rejects(createWsTransport(options, new LinkRecorder()), (error) => {
    assert.ok(error instanceof AshlarError)
    assert.equal(error.code, 'USAGE')
    assert.match(error.message, new RegExp(`127.0.0.1:${port}: another process listens there`))
    return true
  })
})
