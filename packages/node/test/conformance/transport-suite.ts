import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import {
  type Ack,
  BLOCK_DATA,
  type ClusterId,
  type Epoch,
  type ExtentId,
  FEATURE_LEVEL,
  type Message,
  type NodeName,
  type Push,
  type Seq,
  type StoreId,
  WIRE_VERSION,
} from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'
import type { TransportIdentity } from '../../src/transport/options.ts'
import type { Transport, TransportEvents } from '../../src/transport/transport.ts'
import { LinkRecorder, type RecordedLink } from './link-recorder.ts'

/** A transport that others can dial at `address`. */
export type OpenTransport = Transport & { readonly address: string }

export interface OpenRequest {
  readonly identity: () => TransportIdentity
  /** Listen where an earlier transport of this test listened; absent: anywhere. */
  readonly address?: string
}

export interface TransportKind {
  readonly name: string
  open(request: OpenRequest, events: TransportEvents): Promise<OpenTransport>
}

/** One side of a pair. */
export interface Side {
  readonly transport: OpenTransport
  readonly recorder: LinkRecorder
  readonly identity: {
    store: StoreId
    cluster: ClusterId | undefined
    featureLevel: number
    counter: number
    name: NodeName
    address: string
  }
}

const EXTENT = 4096 as ExtentId
const MIB = 1024 * 1024

export function newStore(): StoreId {
  return randomUUID() as string as StoreId
}

/** A small message that carries a number. */
export function numbered(seq: number): Ack {
  return {
    type: 'ack',
    extent: EXTENT,
    epoch: 1 as Epoch,
    gen: 1,
    seq: seq as Seq,
    push: 0,
    marked: true,
    freeBytes: 0,
    space: 'free',
  }
}

/** A message of a megabyte that carries a number. */
export function heavy(push: number): Push {
  const bytes = new Uint8Array(MIB).fill(push)
  return {
    type: 'push',
    extent: EXTENT,
    epoch: 1 as Epoch,
    gen: 1,
    push,
    block: 0,
    versionEpoch: 1 as Epoch,
    versionSeq: 1 as Seq,
    kind: BLOCK_DATA,
    checksum: checksum(bytes),
    bytes,
  }
}

function seqs(messages: readonly Message[]): number[] {
  return messages.map((message) => (message.type === 'ack' ? message.seq : -1))
}

/** Everything that a transport promises (transport.ts), for any implementation of it. */
export function transportSuite(kind: TransportKind): void {
  const side = async (
    name: string,
    changes: Partial<Side['identity']> = {},
    address?: string,
  ): Promise<Side & AsyncDisposable> => {
    const recorder = new LinkRecorder()
    const identity: Side['identity'] = {
      store: newStore(),
      cluster: undefined,
      featureLevel: 0,
      counter: 1,
      name: name as NodeName,
      address: '',
      ...changes,
    }
    const request: OpenRequest = { identity: () => identity, ...(address === undefined ? {} : { address }) }
    const transport = await kind.open(request, recorder)
    identity.address = transport.address
    return {
      transport,
      recorder,
      identity,
      async [Symbol.asyncDispose]() {
        await transport.close()
        assert.deepEqual(recorder.breaches, [])
        for (const link of recorder.links) assert.equal(link.downs, 1, 'every link went down exactly once')
      },
    }
  }
  /** `a` dials `b`; resolves with both ends of the link. */
  const join = async (a: Side, b: Side): Promise<{ out: RecordedLink; into: RecordedLink }> => {
    a.recorder.within('setDialed', () => a.transport.setDialed([b.transport.address]))
    return { out: await a.recorder.up('out'), into: await b.recorder.up('in') }
  }
  const send = (from: Side, link: RecordedLink, message: Message): string =>
    from.recorder.within('send', () => from.transport.send(link.link, message))
  const flush = (from: Side): void => from.recorder.within('flush', () => from.transport.flush())

  describe(`transport: ${kind.name}`, () => {
    test('a link identifies each side to the other', async () => {
      await using a = await side('a', { counter: 7 })
      await using b = await side('b', { counter: 9 })
      const { out, into } = await join(a, b)
      assert.deepEqual(out.peer, {
        kind: 'node',
        wire: WIRE_VERSION,
        level: FEATURE_LEVEL,
        store: b.identity.store,
        counter: 9,
        address: b.transport.address,
        urgentLane: true,
      })
      assert.deepEqual(into.peer, {
        kind: 'node',
        wire: WIRE_VERSION,
        level: FEATURE_LEVEL,
        store: a.identity.store,
        counter: 7,
        address: a.transport.address,
        urgentLane: true,
      })
    })

    test('messages arrive in order, both ways, and nothing else arrives', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 500; i++) {
        assert.equal(send(a, out, numbered(i)), 'queued')
        assert.equal(send(b, into, numbered(1000 + i)), 'queued')
        if (i % 7 === 0) flush(a)
        if (i % 11 === 0) flush(b)
      }
      flush(a)
      flush(b)
      const expected = Array.from({ length: 500 }, (_, i) => i)
      assert.deepEqual(seqs(await b.recorder.received(into, 500)), expected)
      assert.deepEqual(
        seqs(await a.recorder.received(out, 500)),
        expected.map((i) => 1000 + i),
      )
    })

    test('messages between two flushes arrive together', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 20; i++) send(a, out, numbered(i))
      flush(a)
      await b.recorder.received(into, 20)
      assert.equal(into.batches.length, 1)
    })

    test('nothing leaves before a flush', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      send(a, out, numbered(1))
      // The response to a later message of the other direction proves that enough time passed for the first to arrive.
      send(b, into, numbered(2))
      flush(b)
      await a.recorder.received(out, 1)
      assert.equal(into.batches.length, 0)
      flush(a)
      await b.recorder.received(into, 1)
    })

    test('large messages arrive whole, with their bytes', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 24; i++) assert.equal(send(a, out, heavy(i)), 'queued')
      flush(a)
      const messages = await b.recorder.received(into, 24)
      assert.deepEqual(
        messages.map((message) => (message.type === 'push' ? [message.push, message.bytes?.[MIB - 1]] : [])),
        Array.from({ length: 24 }, (_, i) => [i, i]),
      )
    })

    test('what is sent before closeLink arrives, nothing after it, and both sides go down once', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 100; i++) send(a, out, numbered(i))
      a.recorder.within('closeLink', () => a.transport.closeLink(out.link, 'done'))
      assert.equal(send(a, out, numbered(100)), 'down')
      a.transport.closeLink(out.link, 'done again')
      await a.recorder.down(out)
      await b.recorder.down(into)
      assert.deepEqual(
        seqs(into.batches.flat()),
        Array.from({ length: 100 }, (_, i) => i),
      )
      assert.equal(send(b, into, numbered(1)), 'down')
    })

    test('a link that is lost under load has delivered a prefix and nothing twice', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 40; i++) send(a, out, heavy(i))
      flush(a)
      await b.recorder.received(into, 1)
      b.transport.closeLink(into.link, 'enough')
      await a.recorder.down(out)
      const pushes = into.batches.flat().map((message) => (message.type === 'push' ? message.push : -1))
      assert.deepEqual(
        pushes,
        pushes.map((_, i) => i),
      )
    })

    test('sending on a link that never existed returns down', async () => {
      await using a = await side('a')
      assert.equal(a.transport.send(12_345, numbered(1)), 'down')
      a.transport.closeLink(12_345, 'nothing there')
      a.transport.flush()
    })

    test('a link whose peer is busy is full at some point, never blocks, and goes down', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out } = await join(a, b)
      // Nothing can leave while this loop runs, so what waits only grows.
      let sent = 0
      while (send(a, out, heavy(sent)) === 'queued') {
        sent++
        assert.ok(sent < 200, 'the link takes everything')
      }
      assert.ok(sent >= 64, `full after ${sent} MiB already`)
      assert.equal(send(a, out, numbered(1)), 'down')
      await a.recorder.down(out)
    })

    test('a closed link is dialed again, under another number', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { into } = await join(a, b)
      b.transport.closeLink(into.link, 'try again')
      const again = await a.recorder.up('out', 1)
      assert.notEqual(again.link, (await a.recorder.up('out', 0)).link)
    })

    test('a peer that restarts at its address is found again with its new counter', async () => {
      await using a = await side('a')
      const store = newStore()
      let address: string
      {
        await using first = await side('b', { store, counter: 1 })
        address = first.transport.address
        const { out } = await join(a, first)
        await first.transport.close()
        await a.recorder.down(out)
      }
      await using second = await side('b', { store, counter: 2 }, address)
      const again = await a.recorder.until('the restarted peer', () =>
        a.recorder.upLinks.find((link) => link.peer.kind === 'node' && link.peer.counter === 2),
      )
      send(a, again, numbered(5))
      flush(a)
      assert.deepEqual(seqs(await second.recorder.received(await second.recorder.up('in'), 1)), [5])
    })

    test('a peer that starts later than it is dialed is reached', async () => {
      await using a = await side('a')
      let address: string
      {
        await using former = await side('b')
        address = former.transport.address
      }
      a.transport.setDialed([address])
      await using b = await side('b', {}, address)
      await a.recorder.up('out')
      await b.recorder.up('in')
    })

    test('links follow the dialed set', async () => {
      await using a = await side('a')
      await using b = await side('b')
      await using c = await side('c')
      const { out, into } = await join(a, b)
      a.recorder.within('setDialed', () => a.transport.setDialed([c.transport.address]))
      await a.recorder.down(out)
      await b.recorder.down(into)
      await c.recorder.up('in')
      a.transport.setDialed([c.transport.address, b.transport.address])
      await b.recorder.up('in', 1)
      assert.equal(c.recorder.links.length, 1, 'a link that stays in the set stays up')
    })

    test('two nodes that dial each other have two links', async () => {
      await using a = await side('a')
      await using b = await side('b')
      a.transport.setDialed([b.transport.address])
      b.transport.setDialed([a.transport.address])
      await Promise.all([a.recorder.up('out'), a.recorder.up('in'), b.recorder.up('out'), b.recorder.up('in')])
      assert.equal(a.recorder.upLinks.length, 2)
    })

    test('nodes of different clusters have no link; an empty store has one with either', async () => {
      const [red, blue] = [randomUUID(), randomUUID()] as string[] as [ClusterId, ClusterId]
      await using a = await side('a', { cluster: red })
      await using b = await side('b', { cluster: blue })
      await using empty = await side('c')
      a.transport.setDialed([b.transport.address, empty.transport.address])
      b.transport.setDialed([a.transport.address, empty.transport.address])
      await Promise.all([a.recorder.up('out'), b.recorder.up('out'), empty.recorder.up('in', 1)])
      assert.deepEqual(
        [...a.recorder.links, ...b.recorder.links].map((link) => link.peer.kind === 'node' && link.peer.store),
        [empty.identity.store, empty.identity.store],
      )
    })

    test('the identity is read at each handshake', async () => {
      const [red, blue] = [randomUUID(), randomUUID()] as string[] as [ClusterId, ClusterId]
      await using a = await side('a', { cluster: red })
      await using b = await side('b', { cluster: blue })
      a.transport.setDialed([b.transport.address])
      b.identity.cluster = red
      await a.recorder.up('out')
    })

    test('a node that dials a store of its own identity gets no link', async () => {
      await using a = await side('a')
      await using b = await side('b')
      a.transport.setDialed([a.transport.address])
      // Dialed later and over the same path: once these links are up, the dial of its own address has ended.
      a.transport.setDialed([a.transport.address, b.transport.address])
      await a.recorder.up('out')
      await join(b, a)
      await a.recorder.up('in')
      assert.deepEqual(
        a.recorder.links.map((link) => link.peer.kind === 'node' && link.peer.store),
        [b.identity.store, b.identity.store],
      )
    })

    test('close ends every link of both sides once, and resolves again', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      send(a, out, numbered(1))
      await Promise.all([a.transport.close(), a.transport.close()])
      assert.equal(out.downs, 1)
      await b.recorder.down(into)
      assert.equal(send(a, out, numbered(2)), 'down')
      a.transport.setDialed([b.transport.address])
      a.transport.flush()
      await a.transport.close()
      assert.equal(a.recorder.links.length, 1, 'a closed transport dials no more')
    })

    test('what is urgent passes bulk that was sent before it, and each keeps its order (amendment 36)', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out, into } = await join(a, b)
      for (let i = 0; i < 40; i++) {
        send(a, out, heavy(i))
        if (i % 10 === 9) send(a, out, { type: 'get-map', have: i, watch: true })
      }
      flush(a)
      const arrived = await b.recorder.received(into, 44)
      const pushes = arrived.flatMap((message) => (message.type === 'push' ? [message.push] : []))
      assert.deepEqual(
        pushes,
        Array.from({ length: 40 }, (_, i) => i),
      )
      const urgent = arrived.flatMap((message) => (message.type === 'get-map' ? [message.have] : []))
      assert.deepEqual(urgent, [9, 19, 29, 39])
      // Forty megabytes do not fit into the buffers of two kernels: without a way of its own the last would be the last.
      const before = arrived.findLastIndex(({ type }) => type === 'get-map') - urgent.length + 1
      assert.ok(before < 20, `it came behind ${before} MiB`)
    })

    test('a message that breaks its own contract is a bug of the sender, and ends its link alone', async () => {
      await using a = await side('a')
      await using b = await side('b')
      const { out } = await join(a, b)
      a.transport.send(out.link, { ...numbered(1), seq: -1 as Seq })
      a.transport.flush()
      await a.recorder.down(out)
    })
  })
}
