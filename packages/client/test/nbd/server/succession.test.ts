import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDevice } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { WriteOrder } from '../../../src/nbd/server/write-order.ts'
import { readBytes } from '../device-conformance.ts'
import { Random, seedOf } from '../support/random.ts'
import { eventually, Gate, held, withServer } from '../support/test-server.ts'
import { CMD } from '../support/wire.ts'

/** A client gives a connection up whose write is stuck, and goes on over another one (protocol, finding 9). */

function write(
  cookie: bigint,
  value: number,
  offset = 0,
): { command: number; cookie: bigint; offset: number; payload: Buffer } {
  return { command: CMD.WRITE, cookie, offset, payload: Buffer.alloc(4096, value) }
}

test('nbd 104: a new connection is served only once the writes of the dead one are settled', () => {
  const gate = new Gate()
  const device = new MemoryDevice({ sizeBytes: MIB })
  return withServer({ gate, device: held(device, gate, ['write']) }, async ({ attach, server, observed }) => {
    const dead = await attach()
    dead.send(write(1n, 1))
    await eventually('the write is at the device', () => gate.waiting.length === 1)
    dead.socket.resetAndDestroy()
    const next = await attach()
    next.send(write(1n, 1), write(2n, 2, 8192), { command: CMD.FLUSH, cookie: 3n })
    // A third one is through its handshake, so the second one's requests have long arrived.
    await attach()
    assert.equal(observed.finished.length, 0)
    assert.equal(gate.waiting.length, 1)
    gate.waiting.shift()?.go()
    await eventually('the successor is served', () => gate.waiting.length === 2)
    gate.open()
    for (let count = 0; count < 3; count++) assert.equal((await next.reply()).kind, 'simple')
    assert.equal(await next.errorOf(write(4n, 9)), 0)
    assert.deepEqual(await readBytes(device, 0, 4096), Buffer.alloc(4096, 9))
    assert.equal(server.connections, 2)
  })
})

test('nbd 104: on a connection that is open already the same write waits for the stuck one', () => {
  const gate = new Gate()
  const device = new MemoryDevice({ sizeBytes: MIB })
  return withServer({ gate, device: held(device, gate, ['write']) }, async ({ attach }) => {
    const [stuck, other] = [await attach(), await attach()]
    stuck.send(write(1n, 1))
    await eventually('the write is at the device', () => gate.waiting.length === 1)
    stuck.socket.resetAndDestroy()
    // The client sends it again; only after its answer does it write something newer.
    other.send(write(1n, 1), write(2n, 5, 65536))
    await eventually('the write elsewhere is at the device', () => gate.waiting.length === 2)
    gate.waiting[1]?.go()
    assert.equal((await other.reply()).cookie, 2n)
    gate.waiting.shift()?.go()
    gate.open()
    assert.equal((await other.reply()).cookie, 1n)
    assert.equal(await other.errorOf(write(3n, 2)), 0)
    assert.deepEqual(await readBytes(device, 0, 4096), Buffer.alloc(4096, 2))
  })
})

test('nbd 104: writes of a dead connection that have not started never do', () => {
  const gate = new Gate()
  const device = new MemoryDevice({ sizeBytes: MIB })
  return withServer({ gate, device: held(device, gate, ['write']) }, async ({ attach, server }) => {
    const dead = await attach()
    dead.send(write(1n, 1), write(2n, 2), write(3n, 3))
    await eventually('the first is at the device', () => gate.waiting.length === 1)
    dead.socket.resetAndDestroy()
    const next = await attach()
    gate.waiting.shift()?.go()
    gate.open()
    assert.equal(await next.errorOf({ command: CMD.FLUSH }), 0)
    await eventually('the dead one is gone', () => server.connections === 1)
    assert.deepEqual(await readBytes(device, 0, 4096), Buffer.alloc(4096, 1))
  })
})

test('nbd 104: a write of a dead connection does not start when the one before it is given up', () => {
  const gate = new Gate()
  const device = new MemoryDevice({ sizeBytes: MIB })
  return withServer({ gate, device: held(device, gate, ['write']) }, async ({ attach, server }) => {
    const [living, dead] = [await attach(), await attach()]
    living.send(write(1n, 1))
    await eventually('the first is at the device', () => gate.waiting.length === 1)
    // The second waits for the first, the third for the second alone.
    dead.send({ ...write(2n, 2), payload: Buffer.alloc(8192, 2) }, write(3n, 3, 4096), write(4n, 4, 65536))
    await eventually('the last, which waits for nothing, is at the device', () => gate.waiting.length === 2)
    dead.socket.resetAndDestroy()
    gate.waiting.splice(1, 1)[0]?.go()
    await eventually('it is gone', () => server.connections === 1)
    assert.equal(gate.waiting.length, 1)
    gate.open()
    assert.equal((await living.reply()).kind, 'simple')
    assert.deepEqual(await living.readRange(0, 8192), Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(4096)]))
  })
})

test('nbd 104: overlapping writes take effect in the order in which they came, others side by side', () => {
  const gate = new Gate()
  const device = new MemoryDevice({ sizeBytes: MIB })
  return withServer({ gate, device: held(device, gate, ['write', 'trim', 'writeZeroes']) }, async ({ attach }) => {
    const client = await attach()
    client.send(
      { command: CMD.WRITE, cookie: 1n, offset: 0, payload: Buffer.alloc(8192, 1) },
      { command: CMD.WRITE_ZEROES, cookie: 2n, offset: 4096, length: 8192 },
      { command: CMD.TRIM, cookie: 3n, offset: 8192, length: 4096 },
      { command: CMD.WRITE, cookie: 4n, offset: 65536, payload: Buffer.alloc(4096, 4) },
    )
    await eventually('those without an overlap are at the device', () => gate.waiting.length === 2)
    assert.deepEqual(
      gate.waiting.map((call) => call.name),
      ['write', 'write'],
    )
    gate.waiting.shift()?.go()
    await eventually('the next of the row follows', () => gate.waiting.length === 2)
    assert.equal(gate.waiting[1]?.name, 'writeZeroes')
    gate.open()
    for (let count = 0; count < 4; count++) await client.reply()
    assert.deepEqual(await readBytes(device, 0, 8192), Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(4096)]))
  })
})

const SEED = seedOf(11)
test(`the order of writes never lets two overlapping ones run at once, and forgets none (seed ${SEED})`, () => {
  const random = new Random(SEED)
  const order = new WriteOrder()
  const running = new Map<number, { ticket: ReturnType<WriteOrder['enter']>; offset: number; end: number }>()
  let started = 0
  const total = 5000
  for (let id = 0; id < total; id++) {
    const offset = random.below(100)
    const end = offset + 1 + random.below(20)
    const start = (): void => {
      for (const other of running.values()) assert.ok(end <= other.offset || other.end <= offset, 'no overlap')
      running.set(id, { ticket, offset, end })
      started++
    }
    const ticket: ReturnType<WriteOrder['enter']> = order.enter(offset, end - offset, start)
    if (ticket.blockers === 0) start()
    while (running.size > 0 && random.below(3) > 0) finishOne()
  }
  while (running.size > 0) finishOne()
  assert.equal(started, total)

  function finishOne(): void {
    const [id, entry] = random.pick([...running])
    running.delete(id)
    order.leave(entry.ticket)
  }
})
