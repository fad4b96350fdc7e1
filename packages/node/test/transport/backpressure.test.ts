import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { Message } from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'
import { STALL_CHECK_MS, STALL_MS } from '../../src/transport/options.ts'
import { newStore } from '../conformance/transport-suite.ts'
import { clientHello, listening, RawPeer } from './raw-peer.ts'

const MIB = 1024 * 1024
const payload = new Uint8Array(MIB).fill(7)

function answerOf(request: number): Message {
  return { type: 'read-done', request, parts: [{ length: MIB, checksum: checksum(payload), bytes: payload }] }
}

test('a client that reads nothing is not read from, and later receives every response in order', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address)
  const link = await node.recorder.up('in')
  peer.socket.pause()
  const responses = 40
  for (let i = 0; i < responses; i++) {
    assert.equal(node.transport.send(link.link, answerOf(i)), 'queued')
    node.transport.flush()
  }
  assert.equal(node.transport.counters.pausedClients, 1)
  // Requests that the client sends now stay in the sockets: they do not grow the node's memory.
  peer.send({ type: 'get-map', have: 0, watch: false })
  peer.socket.resume()
  await peer.next(1 + responses)
  assert.deepEqual(
    peer.received.slice(1).map((message) => message.type === 'read-done' && message.request),
    Array.from({ length: responses }, (_, i) => i),
  )
  await node.recorder.received(link, 1)
})

test('a reader that never reads costs at most LIMITS.linkCutBytes and one message', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address, clientHello({ kind: 'node', store: newStore() }))
  const link = await node.recorder.up('in')
  peer.socket.pause()
  let outcome = 'queued'
  let queued = 0
  while (outcome === 'queued') {
    outcome = node.transport.send(link.link, answerOf(queued))
    node.transport.flush()
    if (outcome === 'queued') queued++
    // Turns of the loop, so that the kernel takes what it takes: the rest is what waits here.
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(queued < 1000, 'no bound')
  }
  assert.equal(outcome, 'full')
  assert.ok(queued > 60, `full after ${queued} MiB`)
  await node.recorder.down(link)
  assert.equal(node.transport.counters.fullLinks, 1)
  assert.equal(node.log.warnings.length, 1)
})

test('a link on which nothing leaves for STALL_MS is cut, one that only rests is not', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  try {
    await using node = await listening()
    const stalled = await RawPeer.join(node.transport.address)
    const link = await node.recorder.up('in')
    await RawPeer.join(node.transport.address)
    const resting = await node.recorder.up('in', 1)
    stalled.socket.pause()
    for (let i = 0; i < 30; i++) node.transport.send(link.link, answerOf(i))
    node.transport.flush()
    // The kernel's buffers must have filled before time passes, or a frame could still leave.
    await node.recorder.until('the link stalls', () => {
      mock.timers.tick(STALL_CHECK_MS)
      return true
    })
    for (let ms = 0; ms < 2 * STALL_MS && node.transport.counters.stalledLinks === 0; ms += STALL_CHECK_MS) {
      await new Promise((resolve) => setImmediate(resolve))
      mock.timers.tick(STALL_CHECK_MS)
    }
    assert.equal(node.transport.counters.stalledLinks, 1)
    await node.recorder.down(link)
    assert.equal(resting.downs, 0)
  } finally {
    mock.timers.reset()
  }
})
