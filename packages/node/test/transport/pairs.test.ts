import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type ClusterId, type Hello, type StoreId, type Welcome, WIRE_VERSION_MIN } from '@ashlar/proto'
import { encodeFrame, HANDSHAKE_WIRE_VERSION } from '@ashlar/proto/codec'
import { WebSocket, WebSocketServer } from 'ws'
import { CLOSE_MS, STALL_CHECK_MS, STALL_MS } from '../../src/transport/options.ts'
import type { RecordedLink } from '../conformance/link-recorder.ts'
import { heavy, newStore, numbered } from '../conformance/transport-suite.ts'
import { clientHello, type Listening, listening, RawPeer } from './raw-peer.ts'

function nodeHello(store: StoreId, changes: Partial<Hello> = {}): Hello {
  return clientHello({ kind: 'node', store, counter: 4, name: 'n2', address: '127.0.0.1:2', ...changes })
}

interface Joined {
  readonly main: RawPeer
  readonly urgent: RawPeer
  readonly into: RecordedLink
}

/** A link of two connections to a node under test. */
async function pairTo({ transport, recorder }: Listening): Promise<Joined> {
  const [token, store] = [randomUUID(), newStore()]
  const main = await half(transport.address, token, store, false)
  const urgent = await half(transport.address, token, store, true)
  urgent.send({ type: 'ping' })
  return { main, urgent, into: await recorder.up('in', recorder.links.length) }
}

/** Passes the handshake of one connection of a link. */
async function half(address: string, token: string, store: StoreId, urgent: boolean, changes: Partial<Hello> = {}) {
  const path = `/link/${token}${urgent ? '/urgent' : ''}`
  return await RawPeer.join(`${address}${path}`, nodeHello(store, changes))
}

test('a link of two connections is up with the first frame after both handshakes, and what is urgent leaves over the second', async () => {
  await using node = await listening()
  const { transport, recorder } = node
  const [token, store] = [randomUUID(), newStore()]
  const main = await half(transport.address, token, store, false)
  const urgent = await half(transport.address, token, store, true)
  assert.equal(recorder.links.length, 0)
  urgent.send({ type: 'ping' })
  const into = await recorder.up('in')
  assert.deepEqual(into.peer.kind === 'node' && [into.peer.store, into.peer.counter], [store, 4])
  transport.send(into.link, numbered(7))
  transport.send(into.link, { type: 'ping' })
  transport.flush()
  assert.equal((await urgent.next(2))[1]?.type, 'ping')
  assert.equal((await main.next(2))[1]?.type, 'ack')
  main.send(numbered(1))
  urgent.send({ type: 'ping' })
  await recorder.received(into, 2)
  assert.deepEqual(
    into.batches
      .flat()
      .map(({ type }) => type)
      .toSorted(),
    ['ack', 'ping'],
  )
})

test('either connection takes the link with it, and the other one', async () => {
  await using node = await listening()
  const { transport, recorder } = node
  for (const ends of ['main', 'urgent']) {
    const [token, store] = [randomUUID(), newStore()]
    const main = await half(transport.address, token, store, false)
    const urgent = await half(transport.address, token, store, true)
    urgent.send({ type: 'ping' })
    const into = await recorder.up('in', recorder.links.length)
    const [one, other] = ends === 'main' ? [main, urgent] : [urgent, main]
    one.socket.terminate()
    await recorder.down(into)
    await other.closed
    assert.equal(transport.send(into.link, numbered(1)), 'down')
  }
})

test('a second connection that no link waits for, or that another store dials, is closed', async () => {
  await using node = await listening()
  const { transport, recorder } = node
  const [token, store] = [randomUUID(), newStore()]
  const stray = await half(transport.address, randomUUID(), store, true)
  await stray.closed
  const main = await half(transport.address, token, store, false)
  const foreign = await half(transport.address, token, newStore(), true)
  await foreign.closed
  const old = await half(transport.address, token, store, true, { counter: 3 })
  await old.closed
  const urgent = await half(transport.address, token, store, true)
  main.send(numbered(1))
  await recorder.received(await recorder.up('in'), 1)
  const twice = await half(transport.address, token, store, true)
  await twice.closed
  assert.equal(urgent.socket.readyState, WebSocket.OPEN)
})

test('a message over the first connection before the second is there closes it', async () => {
  await using node = await listening()
  const main = await half(node.transport.address, randomUUID(), newStore(), false)
  main.send(numbered(1))
  await main.closed
  assert.equal(node.recorder.links.length, 0)
})

test('a node of an older build has a link of one connection, whatever path it requests', async () => {
  await using node = await listening()
  const { transport, recorder } = node
  const old = await half(transport.address, randomUUID(), newStore(), false, { wire: WIRE_VERSION_MIN })
  const into = await recorder.up('in')
  transport.send(into.link, { type: 'ping' })
  transport.send(into.link, numbered(1))
  transport.flush()
  assert.deepEqual(
    (await old.next(3)).slice(1).map(({ type }) => type),
    ['ping', 'ack'],
  )
  const pathless = await RawPeer.join(transport.address, nodeHello(newStore()))
  const other = await recorder.up('in', 1)
  transport.send(other.link, { type: 'ping' })
  transport.flush()
  assert.equal((await pathless.next(2))[1]?.type, 'ping')
})

test('a connection that receives nothing is cut although the other connection of its link works', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  await using node = await listening()
  const { transport, recorder, log } = node
  const [token, store] = [randomUUID(), newStore()]
  const main = await half(transport.address, token, store, false)
  const urgent = await half(transport.address, token, store, true)
  urgent.send({ type: 'ping' })
  const into = await recorder.up('in')
  // A dead connection sends nothing, not even pongs.
  main.socket.pause()
  for (let checks = 0; checks < STALL_MS / STALL_CHECK_MS; checks++) {
    assert.equal(into.downs, 0, `down after ${checks} checks`)
    t.mock.timers.tick(STALL_CHECK_MS)
    urgent.send({ type: 'ping' })
    await recorder.received(into, checks + 1)
  }
  t.mock.timers.tick(STALL_CHECK_MS)
  await recorder.down(into)
  assert.match(JSON.stringify(log.lines), /nothing received for 10 s/)
})

for (const slow of ['main', 'urgent'] as const) {
  test(`what was sent over both connections leaves before either is cut (${slow} takes it late)`, async () => {
    await using node = await listening()
    const { transport } = node
    const { main, urgent, into } = await pairTo(node)
    const late = slow === 'main' ? main : urgent
    late.socket.pause()
    for (let i = 0; i < 12; i++) transport.send(into.link, heavy(i))
    transport.send(into.link, { type: 'get-map', have: 1, watch: false })
    transport.closeLink(into.link, 'this much and no more')
    await node.recorder.down(into)
    await (late === main ? urgent : main).closed
    late.socket.resume()
    for (const peer of [main, urgent]) assert.deepEqual(await peer.closed, [1000, 'this much and no more'])
    assert.equal(main.received.filter(({ type }) => type === 'push').length, 12)
    assert.equal(urgent.received.at(-1)?.type, 'get-map')
  })
}

test('a connection that takes nothing is cut in time although the link was closed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const node = await listening()
  const { main, urgent, into } = await pairTo(node)
  for (const peer of [main, urgent]) peer.socket.pause()
  node.transport.closeLink(into.link, 'test')
  await node.recorder.down(into)
  t.mock.timers.tick(CLOSE_MS)
  await node.transport.close()
})

test('what the other side sent before it closed a link is let in, over both connections', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using node = await listening()
  for (const first of ['main', 'urgent'] as const) {
    const { main, urgent, into } = await pairTo(node)
    const [one, other] = first === 'main' ? [main, urgent] : [urgent, main]
    one.socket.close(1000, 'done')
    await one.closed
    other.send(numbered(1), numbered(2))
    await node.recorder.received(into, 2)
    assert.equal(into.downs, 0)
    if (first === 'main') other.socket.close(1000, 'done')
    else t.mock.timers.tick(CLOSE_MS)
    await node.recorder.down(into)
    assert.equal(node.transport.send(into.link, numbered(3)), 'down')
    await other.closed
  }
})

test('a connection that the other side refuses takes the link with it at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using node = await listening()
  for (const refused of ['main', 'urgent'] as const) {
    const { main, urgent, into } = await pairTo(node)
    const [one, other] = refused === 'main' ? [main, urgent] : [urgent, main]
    one.socket.close(1008, 'no link waits for this connection')
    await node.recorder.down(into)
    await other.closed
  }
})

const OTHER_PEERS: readonly (readonly [what: string, changes: Partial<Welcome>])[] = [
  ['store', { store: newStore() }],
  ['start counter', { counter: 5 }],
  ['wire version', { wire: WIRE_VERSION_MIN }],
  ['cluster', { cluster: randomUUID() as string as ClusterId }],
]
for (const [what, changes] of OTHER_PEERS) {
  test(`another ${what} on the second connection that was dialed is refused by name, and the first one with it`, async () => {
    await using node = await listening()
    const closed = Promise.withResolvers<readonly [path: string | undefined, reason: string]>()
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    const store = newStore()
    const cluster = randomUUID() as string as ClusterId
    let firstClosed: Promise<unknown> | undefined
    server.on('connection', (socket, request) => {
      const isUrgent = request.url?.endsWith('/urgent') === true
      const { kind: _, wireMin: __, credential: ___, ...hello } = nodeHello(store, { cluster })
      const welcome = { ...hello, type: 'welcome', store, ...(isUrgent ? changes : {}) } as Welcome
      socket.once('message', () => socket.send(encodeFrame([welcome], HANDSHAKE_WIRE_VERSION)))
      if (isUrgent) socket.on('close', (_code, reason) => closed.resolve([request.url, reason.toString()]))
      else firstClosed ??= once(socket, 'close')
    })
    await once(server, 'listening')
    node.transport.setDialed([`127.0.0.1:${(server.address() as AddressInfo).port}`])
    const [, reason] = await closed.promise
    assert.match(reason, new RegExp(`lead to different nodes: ${what}`))
    await firstClosed
    await node.log.until('the failure is logged', (lines) => lines.some((line) => line.message === 'dial failed'))
    assert.match(JSON.stringify(node.log.warnings), new RegExp(`lead to different nodes: ${what} .* on the first`))
    assert.equal(node.recorder.links.length, 0)
    node.transport.setDialed([])
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
}
