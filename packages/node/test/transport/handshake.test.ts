import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mock, test } from 'node:test'
import {
  type ClusterId,
  ERRORS,
  FEATURE_LEVEL,
  type Hello,
  type NodeName,
  type Renew,
  type StoreId,
  TIMERS,
  WIRE_VERSION,
} from '@ashlar/proto'
import { helloOf, judgeHello, judgeWelcome, peerOf, welcomeOf } from '../../src/transport/handshake.ts'
import type { TransportIdentity } from '../../src/transport/index.ts'
import { newStore } from '../conformance/transport-suite.ts'
import { clientHello, listening, RawPeer } from './raw-peer.ts'

const RED = randomUUID() as string as ClusterId
const BLUE = randomUUID() as string as ClusterId

function identity(changes: Partial<TransportIdentity> = {}): TransportIdentity {
  return {
    store: newStore(),
    counter: 3,
    name: 'n1' as NodeName,
    address: '10.0.0.1:7580',
    cluster: RED,
    featureLevel: 0,
    ...changes,
  }
}

/** A message with a field that wire version 2 does not have. */
const SINCE_3: Renew = { type: 'renew', token: 1, store: newStore(), counter: 1, revision: 1, freeBytes: 0, level: 1 }
const own = identity()
const other = identity({ name: 'n2' as NodeName, address: '10.0.0.2:7580', counter: 8 })

test('a node of the same cluster is let in, and known by store, counter and address', () => {
  assert.equal(judgeHello(own, helloOf(other)), undefined)
  const expected = {
    kind: 'node',
    wire: WIRE_VERSION,
    store: other.store,
    counter: 8,
    address: '10.0.0.2:7580',
    level: FEATURE_LEVEL,
    urgentLane: false,
  }
  assert.deepEqual(peerOf(helloOf(other)), expected)
  assert.deepEqual(peerOf(welcomeOf(other, helloOf(own))), expected)
})

test('a client is let in and known by its name', () => {
  assert.equal(judgeHello(own, clientHello()), undefined)
  assert.deepEqual(peerOf(clientHello({ name: 'gateway/1' })), {
    kind: 'client',
    wire: WIRE_VERSION,
    name: 'gateway/1',
  })
})

test('where one side has no cluster yet, both are let in', () => {
  const empty = identity({ cluster: undefined })
  assert.equal(judgeHello(own, helloOf(empty)), undefined)
  assert.equal(judgeHello(empty, helloOf(own)), undefined)
  assert.equal(judgeWelcome(empty, welcomeOf(own, helloOf(empty))), undefined)
})

const RAISED = identity({ featureLevel: FEATURE_LEVEL })

test('a node that does not know the feature level of the cluster is refused by name, in both directions', () => {
  const { level: _, ...old } = helloOf(other)
  const problem = /^this cluster uses feature level 1, and node n2 knows 0: upgrade node n2$/
  assert.equal(judgeHello(own, old), undefined)
  assert.match(judgeHello(RAISED, old)?.message ?? '', problem)
  assert.equal(judgeHello(RAISED, old)?.code, ERRORS.HANDSHAKE.number)
  assert.equal(judgeHello(RAISED, helloOf(other)), undefined)
  assert.equal(judgeHello(RAISED, clientHello()), undefined, 'a client is held to no level')
  const { level: __, ...welcome } = welcomeOf(other, helloOf(own))
  assert.equal(judgeWelcome(own, welcome), undefined)
  assert.match(judgeWelcome(RAISED, welcome)?.message ?? '', problem)
  const peer = peerOf(old)
  assert.equal(peer.kind === 'node' ? peer.level : undefined, 0)
})

const REFUSED: readonly (readonly [string, Hello, RegExp])[] = [
  ['another cluster', helloOf(identity({ cluster: BLUE })), /data directory of another cluster: n1 belongs to/],
  ['a client that knows another cluster', clientHello({ cluster: BLUE }), /another cluster/],
  ['the own store', helloOf({ ...other, store: own.store }), /both sides have store/],
  ['a wire version that is too new', clientHello({ wire: 90, wireMin: 80 }), /speaks 80 to 90, n1 speaks 2 to 3/],
  ['a wire version that is too old', clientHello({ wire: 0, wireMin: 0 }), /no common wire version/],
  ['a node without a store', clientHello({ kind: 'node' }), /must name its store/],
  ['a credential that is not checked', clientHello({ credential: new Uint8Array(4) }), /checks no credentials/],
]
for (const [what, hello, reason] of REFUSED) {
  test(`${what} is refused with the reason, on the wire too`, async () => {
    const refusal = judgeHello(own, hello)
    assert.equal(refusal?.code, ERRORS[what.includes('another cluster') ? 'CONFLICT' : 'HANDSHAKE'].number)
    assert.match(refusal?.message ?? '', reason)

    await using node = await listening({ cluster: RED })
    const peer = await RawPeer.dial(node.transport.address)
    const sent = what === 'the own store' ? { ...hello, store: node.store } : hello
    peer.send(sent)
    const [response] = await peer.next(1)
    assert.ok(response?.type === 'refused')
    assert.match(response.message, reason)
    assert.equal((await peer.closed)[0], 1008)
    assert.equal(node.log.warnings.length, 1)
    assert.equal(node.transport.counters.refusedHandshakes, 1)
    assert.equal(node.recorder.links.length, 0)
  })
}

test('the newest version that both speak is chosen', () => {
  assert.equal(welcomeOf(own, clientHello({ wire: 7, wireMin: 1 })).wire, WIRE_VERSION)
  assert.equal(welcomeOf(own, clientHello({ wire: 2, wireMin: 1 })).wire, 2)
  assert.equal(peerOf(clientHello({ wire: 2, wireMin: 1 })).wire, 2)
})

test('frames have the version that the handshake chose, in both directions', async () => {
  await using node = await listening()
  const peer = await RawPeer.join(node.transport.address, clientHello({ kind: 'node', store: other.store, wire: 2 }))
  const link = await node.recorder.up('in')
  assert.deepEqual([peer.wire, link.peer.wire], [2, 2])
  node.transport.send(link.link, SINCE_3)
  node.transport.flush()
  const { level: _, ...old } = SINCE_3
  assert.deepEqual((await peer.next(2))[1], old)
  peer.wire = WIRE_VERSION
  peer.send(SINCE_3)
  assert.deepEqual(await peer.closed, [1002, 'a frame of wire version 3 on a link that speaks 2'])
})

test('a welcome that does not fit is not accepted', () => {
  const welcome = welcomeOf(other, helloOf(own))
  assert.equal(judgeWelcome(own, welcome), undefined)
  assert.match(judgeWelcome(own, { ...welcome, cluster: BLUE })?.message ?? '', /another cluster/)
  assert.match(judgeWelcome(own, { ...welcome, store: own.store })?.message ?? '', /both sides have store/)
  assert.match(judgeWelcome(own, { ...welcome, wire: 9 })?.message ?? '', /chose wire version 9/)
})

test('both sides of a refused dial say why, the dialing one not at every attempt', async () => {
  await using red = await listening({ cluster: RED })
  await using blue = await listening({ cluster: BLUE })
  red.transport.setDialed([blue.transport.address])
  // Refusals arrive on sockets, not on links: they are awaited as the log lines that they cause.
  await red.log.until('three dials failed', (lines) => lines.filter((l) => l.message === 'dial failed').length >= 3)
  assert.equal(red.log.warnings.length, 1)
  assert.match(
    String(red.log.warnings[0]?.details['reason']),
    /refused by the other side: data directory of another cluster/,
  )
  assert.match(String(blue.log.warnings[0]?.details['reason']), /data directory of another cluster/)
  assert.ok(blue.transport.counters.refusedHandshakes >= 3)
})

test('a dialed peer of another cluster is reported to the owner, any other refusal is not', async () => {
  const reports: (readonly [address: string, reason: string])[] = []
  await using blue = await listening({ cluster: BLUE })
  await using red = await listening({
    cluster: RED,
    onOtherCluster: (address, reason) => void reports.push([address, reason]),
  })
  red.transport.setDialed([red.transport.address])
  await red.log.until('its own store refused it', (lines) => lines.some((line) => line.message === 'dial failed'))
  assert.deepEqual(reports, [])
  red.transport.setDialed([blue.transport.address])
  await red.log.until('the other cluster refused it', (lines) =>
    lines.some((line) => line.details['address'] === blue.transport.address),
  )
  assert.equal(reports[0]?.[0], blue.transport.address)
  assert.match(reports[0]?.[1] ?? '', /data directory of another cluster/)
})

test('an address that is none is a failed dial and nothing worse', async () => {
  await using node = await listening()
  node.transport.setDialed(['no address at all', '', 'a:b:c'])
  await node.log.until('all were tried', (lines) => new Set(lines.map((l) => l.details['address'])).size >= 3)
  assert.equal(node.recorder.links.length, 0)
})

test('a connection that sends nothing is cut after TIMERS.handshakeMs', async () => {
  await using node = await listening()
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const peer = await RawPeer.dial(node.transport.address)
    mock.timers.tick(TIMERS.handshakeMs - 1)
    assert.equal(peer.socket.readyState, peer.socket.OPEN)
    mock.timers.tick(1)
    assert.equal((await peer.closed)[0], 1006)
  } finally {
    mock.timers.reset()
  }
  assert.equal(node.recorder.links.length, 0)
})

test('a store that differs in its last digit is another store', () => {
  const almost = own.store.replace(/.$/, (last) => (last === '0' ? '1' : '0')) as StoreId
  assert.equal(judgeHello(own, helloOf({ ...other, store: almost })), undefined)
})
