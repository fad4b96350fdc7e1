import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type AnyMessage,
  type ClusterId,
  type Epoch,
  extentId,
  MIB,
  type NodeName,
  type SessionId,
  type StoreId,
  type VolumeId,
  type Welcome,
  WIRE_VERSION,
  type Write,
} from '@ashlar/proto'
import { checksum, decodeFrame, encodeFrame, HELLO_MAX_BYTES, verifyWrite } from '@ashlar/proto/codec'
import { type WebSocket, WebSocketServer } from 'ws'
import { WsTransport } from '../../src/transport/ws-transport.ts'

const DEADLINE_MS = 10_000
const CLUSTER = '00000000-0000-4000-8000-00000000c1a5' as ClusterId
const OTHER = '00000000-0000-4000-8000-00000000c1a6' as ClusterId

function welcome(cluster: ClusterId = CLUSTER): Welcome {
  return {
    type: 'welcome',
    ...{ wire: WIRE_VERSION, cluster, store: '00000000-0000-7000-8000-000000000001' as StoreId, counter: 1 },
    ...{ name: 'n1' as NodeName, address: '' },
  }
}

/** A write of one block of 1 MiB. */
function writeOf(request: number): Write {
  const payload = new Uint8Array(MIB).fill(request)
  return {
    type: 'write',
    request,
    extent: extentId(1 as VolumeId, 0),
    epoch: 1 as Epoch,
    operation: { session: 1 as SessionId, op: request, lowMark: 1, generation: 1 },
    offset: 0,
    checksums: [checksum(payload)],
    payload,
  }
}

/** A server that answers the first frame of each connection as the test says, and a client that dials it. */
async function dialed(onHello: (socket: WebSocket, connection: number) => void) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await new Promise<void>((resolve) => server.once('listening', resolve))
  const seen = { up: 0, down: 0, failures: [] as string[], connections: 0 }
  server.on('connection', (socket) => {
    const connection = ++seen.connections
    socket.once('message', () => onHello(socket, connection))
  })
  const transport = new WsTransport(
    { name: 'test' },
    {
      linkUp: () => void seen.up++,
      linkDown: () => void seen.down++,
      dialFailed: (_, reason) => void seen.failures.push(reason),
      messages: () => undefined,
    },
  )
  transport.setDialed([`127.0.0.1:${(server.address() as AddressInfo).port}`])
  return {
    seen,
    transport,
    async until(what: string, condition: () => boolean): Promise<void> {
      const deadline = performance.now() + DEADLINE_MS
      while (!condition()) {
        if (performance.now() > deadline) throw new Error(`${what} did not happen within ${DEADLINE_MS} ms`)
        await delay(5)
      }
    },
    async [Symbol.asyncDispose]() {
      await transport.close()
      for (const socket of server.clients) socket.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a message of the handshake on an open link closes it', async () => {
  await using client = await dialed((socket) => {
    socket.send(encodeFrame([welcome()], WIRE_VERSION))
    socket.send(encodeFrame([welcome()], WIRE_VERSION))
  })
  await client.until('the link goes down', () => client.seen.down > 0)
  assert.ok(client.transport.counters.badFrames > 0)
})

test('frames have the version that the welcome chose, and a frame of another one closes the link', async () => {
  const received: AnyMessage[] = []
  await using client = await dialed((socket) => {
    socket.send(encodeFrame([{ ...welcome(), wire: 2 }], WIRE_VERSION))
    socket.on('message', (data) => {
      received.push(...decodeFrame(data as Buffer, 2))
      socket.send(encodeFrame([{ type: 'ping' }], 3))
    })
  })
  await client.until('the link is up', () => client.seen.up === 1)
  client.transport.send(1, { type: 'ping' })
  await client.until('the link goes down', () => client.seen.down > 0)
  assert.deepEqual(received, [{ type: 'ping' }])
  assert.equal(client.transport.counters.badFrames, 1)
})

test('a first frame longer than a welcome can be is not read', async () => {
  await using client = await dialed((socket) => socket.send(Buffer.alloc(HELLO_MAX_BYTES + 1)))
  await client.until('the dial fails', () => client.seen.failures.length > 0)
  assert.match(client.seen.failures[0] ?? '', /a first frame of 8193 bytes/)
  assert.equal(client.seen.up, 0)
})

test('a node of another cluster than the first one is not taken', async () => {
  await using client = await dialed((socket, connection) => {
    socket.send(encodeFrame([welcome(connection === 1 ? CLUSTER : OTHER)], WIRE_VERSION))
    if (connection === 1) socket.close()
  })
  await client.until('the second dial fails', () => client.seen.failures.length > 0)
  assert.match(client.seen.failures[0] ?? '', new RegExp(`n1 belongs to cluster ${OTHER}, this client to ${CLUSTER}`))
  assert.equal(client.seen.up, 1)
})

test('a server that accepts and fails at once is dialed ever less', async () => {
  await using client = await dialed((socket) => {
    socket.send(encodeFrame([welcome()], WIRE_VERSION))
    socket.terminate()
  })
  const began = performance.now()
  await client.until('five connections', () => client.seen.connections >= 5)
  // Four pauses that double from 50 ms, of each at least a half: 375 ms. Pauses that start over would take 100 ms.
  assert.ok(performance.now() - began >= 370, `${performance.now() - began} ms`)
})

test('closing twice resolves twice, and nothing is dialed any more', async () => {
  await using client = await dialed((socket) => socket.send(encodeFrame([welcome()], WIRE_VERSION)))
  await client.until('the link is up', () => client.seen.up === 1)
  await Promise.all([client.transport.close(), client.transport.close()])
  client.transport.setDialed(['127.0.0.1:1'])
  await client.transport.close()
  assert.deepEqual([client.seen.down, client.seen.failures], [1, []])
})

test('a message that is withdrawn while it waits to be sent is not sent, and its bytes may change', async () => {
  const received: Write[] = []
  let resume: (() => void) | undefined
  await using client = await dialed((socket) => {
    socket.send(encodeFrame([welcome()], WIRE_VERSION))
    socket.pause()
    resume = () => socket.resume()
    socket.on('message', (data) => {
      for (const message of decodeFrame(data as Buffer, WIRE_VERSION))
        if (message.type === 'write') received.push(message)
    })
  })
  await client.until('the link is up', () => client.seen.up === 1)
  const writes = Array.from({ length: 40 }, (_, index) => writeOf(index + 1))
  for (const write of writes) client.transport.send(1, write)
  // What the sockets of both sides and the kernel take is gone; the rest waits here.
  await client.until('the sockets are full', () => client.transport.counters.sentBytes >= 4 * MIB)
  const withdrawn = writes.slice(-5)
  for (const write of withdrawn) {
    client.transport.withdraw(1, write.request)
    write.payload.fill(0)
  }
  const last = writeOf(41)
  client.transport.send(1, last)
  resume?.()
  await client.until('what was sent last arrives', () => received.some(({ request }) => request === 41))
  assert.deepEqual(
    received.map(({ request }) => request),
    [...writes.slice(0, -5), last].map(({ request }) => request),
  )
  assert.ok(received.every((write) => verifyWrite(write, MIB)))
})

test('a message that breaks a limit of the wire closes its link and is counted', async () => {
  await using client = await dialed((socket) => socket.send(encodeFrame([welcome()], WIRE_VERSION)))
  await client.until('the link is up', () => client.seen.up > 0)
  client.transport.send(1, { ...writeOf(1), checksums: new Array<number>(300).fill(0) })
  await client.until('the link goes down', () => client.seen.down > 0)
  assert.equal(client.transport.counters.unencodableMessages, 1)
})
