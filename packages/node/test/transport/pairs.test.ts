import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { type Hello, type StoreId, WIRE_VERSION_MIN } from '@ashlar/proto'
import { WebSocket } from 'ws'
import { STALL_CHECK_MS, STALL_MS } from '../../src/transport/options.ts'
import { newStore, numbered } from '../conformance/transport-suite.ts'
import { clientHello, listening, RawPeer } from './raw-peer.ts'

function nodeHello(store: StoreId, changes: Partial<Hello> = {}): Hello {
  return clientHello({ kind: 'node', store, counter: 4, name: 'n2', address: '127.0.0.1:2', ...changes })
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

test('a node of an older build has a link of one connection, whatever path it asks for', async () => {
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

test('a connection over which nothing comes any more is found although the other one lives', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  await using node = await listening()
  const { transport, recorder, log } = node
  const [token, store] = [randomUUID(), newStore()]
  const main = await half(transport.address, token, store, false)
  const urgent = await half(transport.address, token, store, true)
  urgent.send({ type: 'ping' })
  const into = await recorder.up('in')
  // A connection that is dead answers nothing: not even what the protocol below answers by itself.
  main.socket.pause()
  for (let checks = 0; checks < STALL_MS / STALL_CHECK_MS; checks++) {
    assert.equal(into.downs, 0, `down after ${checks} checks`)
    t.mock.timers.tick(STALL_CHECK_MS)
    urgent.send({ type: 'ping' })
    await recorder.received(into, checks + 1)
  }
  t.mock.timers.tick(STALL_CHECK_MS)
  await recorder.down(into)
  assert.match(JSON.stringify(log.lines), /nothing came over it for too long/)
})
