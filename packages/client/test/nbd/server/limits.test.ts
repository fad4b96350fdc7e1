import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDevice } from '@ashlar/client/nbd'
import { KIB, MIB } from '@ashlar/proto'
import { Random, seedOf } from '../support/random.ts'
import { eventually, Gate, held, withServer } from '../support/test-server.ts'
import { CMD, infoData, OPT, option, request, u32 } from '../support/wire.ts'

function memory(): MemoryDevice {
  return new MemoryDevice({ sizeBytes: 64 * MIB })
}

test('nbd 11, 109: a handshake that is not over in time is cut off, however busy the client looks', () =>
  withServer({ limits: { handshakeMs: 300 } }, async ({ connect, attach, observed }) => {
    const silent = await connect()
    const slow = await connect()
    const timer = setInterval(() => slow.socket.destroyed || slow.write(Buffer.of(0)), 40)
    const good = await attach()
    await silent.closed()
    await slow.closed()
    clearInterval(timer)
    await eventually('both are counted', () => observed.closed.length === 2)
    assert.deepEqual(observed.closed, ['handshake-timeout', 'handshake-timeout'])
    assert.equal(await good.errorOf({ command: CMD.FLUSH }), 0)
  }))

test('nbd 11: the time that opening an export takes is not the client’s', async () => {
  const device = memory()
  const opening = Promise.withResolvers<void>()
  const facts = { name: 'vol', sizeBytes: device.sizeBytes, blockSizeBytes: 4096, readOnly: false, fastZero: true }
  const exports = {
    list: async () => [{ name: 'vol' }],
    describe: async () => facts,
    open: async () => {
      await opening.promise
      return device
    },
  }
  await withServer({ exports, limits: { handshakeMs: 200 } }, async ({ connect, observed }) => {
    const waiting = await connect()
    waiting.write(u32(3), option(OPT.GO, infoData('vol')))
    const silent = await connect()
    await silent.closed()
    const late = await connect()
    await late.closed()
    await eventually('the silent ones are counted', () => observed.closed.length === 2)
    opening.resolve()
    await waiting.read(18 + 32 + 20)
    assert.equal(await waiting.errorOf({ command: CMD.FLUSH }), 0)
  })
})

test('nbd 11, 110: connections beyond the limits are refused, and places become free again', () =>
  withServer(
    { limits: { unnegotiatedConnections: 3, connections: 5 } },
    async ({ connect, attach, observed, server }) => {
      const holders = [await connect(), await connect(), await connect()]
      for (const holder of holders) await holder.read(18)
      await (await connect()).closed()
      assert.deepEqual(observed.refused, ['unnegotiatedConnections'])
      for (const holder of holders) holder.destroy()
      await eventually('the places are free', () => server.connections === 0)
      for (let count = 0; count < 5; count++) await attach()
      await (await connect()).closed()
      assert.equal(observed.refused.at(-1), 'connections')
    },
  ))

test('nbd 11: one address cannot take all places of a handshake', () =>
  withServer({ limits: { unnegotiatedPerAddress: 2 } }, async ({ connect, observed }) => {
    for (const client of [await connect(), await connect()]) await client.read(18)
    await (await connect()).closed()
    assert.deepEqual(observed.refused, ['unnegotiatedPerAddress'])
  }))

test('nbd 109: between requests a client may be silent; a request that began must end in time', () =>
  withServer({ limits: { partialRequestMs: 200 } }, async ({ attach, observed }) => {
    const idle = await attach()
    const header = await attach()
    header.write(request({ command: CMD.FLUSH }).subarray(0, 27))
    const payload = await attach()
    payload.send({ command: CMD.WRITE, length: 4096 })
    await header.closed()
    await payload.closed()
    await eventually('both are counted', () => observed.closed.length === 2)
    assert.deepEqual(observed.closed, ['partial-request-timeout', 'partial-request-timeout'])
    assert.equal(await idle.errorOf({ command: CMD.FLUSH }), 0)
  }))

test('nbd 109: a client that sends request after request is not mistaken for one that does not finish one', () =>
  withServer({ limits: { partialRequestMs: 200 } }, async ({ attach }) => {
    const client = await attach()
    const bytes = request({ command: CMD.WRITE, payload: Buffer.alloc(4096, 1) })
    // Cut in such a way that there is always a part of a request at the server.
    client.write(bytes.subarray(0, 2000))
    const begun = performance.now()
    let rounds = 0
    while (performance.now() - begun < 800) {
      client.write(bytes.subarray(2000), bytes.subarray(0, 2000))
      assert.equal((await client.reply()).kind, 'simple')
      rounds++
    }
    assert.ok(rounds > 5)
    client.write(bytes.subarray(2000))
    assert.equal((await client.reply()).kind, 'simple')
  }))

test('nbd 62: beyond the requests in flight the socket is not read, and nothing fails', () => {
  const gate = new Gate()
  const limits = { inFlightRequests: 8 }
  return withServer({ gate, device: held(memory(), gate, ['write']), limits }, async ({ attach, observed }) => {
    const client = await attach()
    const writes = Array.from({ length: 50 }, (_, index) => {
      return { command: CMD.WRITE, cookie: BigInt(index), offset: index * 4096, payload: Buffer.alloc(4096, index) }
    })
    client.send(...writes)
    await eventually('the first eight are at the device', () => gate.waiting.length === 8)
    await eventually('the limit is told', () => observed.paused.includes('inFlightRequests'))
    assert.equal(gate.waiting.length, 8)
    gate.waiting.shift()?.go()
    await eventually('a ninth came', () => gate.waiting.length === 8)
    gate.open()
    const answered = new Set<bigint>()
    for (let count = 0; count < 50; count++) answered.add((await client.reply()).cookie)
    assert.equal(answered.size, 50)
  })
})

test('nbd 62: beyond the bytes in flight the socket is not read, and one larger request still goes through', () => {
  const gate = new Gate()
  const limits = { inFlightBytes: 256 * KIB }
  return withServer({ gate, device: held(memory(), gate, ['write']), limits }, async ({ attach, observed }) => {
    const client = await attach()
    const write = (
      cookie: bigint,
      length: number,
    ): { command: number; cookie: bigint; offset: number; payload: Buffer } => {
      return { command: CMD.WRITE, cookie, offset: Number(cookie) * MIB, payload: Buffer.alloc(length) }
    }
    client.send(write(0n, 100 * KIB), write(1n, 100 * KIB), write(2n, 100 * KIB), write(3n, MIB))
    await eventually('the limit is told', () => observed.paused.includes('inFlightBytes'))
    assert.equal(gate.waiting.length, 2)
    gate.open()
    for (let count = 0; count < 4; count++) assert.equal((await client.reply()).kind, 'simple')
  })
})

test('nbd 112: a client that takes no replies holds a bounded amount, then is dropped', () => {
  const limits = { inFlightBytes: 4 * MIB, stalledReaderMs: 400 }
  return withServer({ device: memory(), limits }, async ({ attach, observed, device }) => {
    await device.write(0, Buffer.alloc(MIB, 1))
    const client = await attach()
    client.socket.pause()
    client.send(...Array.from({ length: 200 }, () => ({ command: CMD.READ, length: MIB })))
    await eventually('it is dropped', () => observed.closed.length === 1)
    assert.deepEqual(observed.closed, ['stalled-reader'])
    assert.ok(observed.finished.length < 30, `${observed.finished.length} reads were carried out`)
  })
})

test('nbd 112: a client that takes replies slowly keeps its connection', () => {
  const limits = { inFlightBytes: 4 * MIB, stalledReaderMs: 1500 }
  return withServer({ device: memory(), limits }, async ({ attach, device }) => {
    await device.write(0, Buffer.alloc(4 * MIB, 1))
    const client = await attach()
    const begun = performance.now()
    for (let round = 0; round < 4; round++) {
      client.socket.pause()
      client.send({ command: CMD.READ, length: 4 * MIB, cookie: 9n })
      const before = performance.now()
      await eventually('a while has passed', () => performance.now() - before > 500)
      client.socket.resume()
      assert.equal((await client.reply()).cookie, 9n)
    }
    assert.ok(performance.now() - begun > limits.stalledReaderMs)
  })
})

test('nbd 113: a flood of reads that nobody takes costs no more than the bounds', () =>
  withServer({ device: memory(), limits: { inFlightBytes: 8 * MIB } }, async ({ attach, device, observed }) => {
    await device.write(0, Buffer.alloc(MIB, 1))
    const client = await attach()
    client.socket.pause()
    const before = process.memoryUsage().arrayBuffers
    const flood = Buffer.concat(Array.from({ length: 100_000 }, () => request({ command: CMD.READ, length: MIB })))
    client.write(flood)
    await eventually('the limit is reached', () => observed.paused.includes('inFlightBytes'))
    assert.ok(observed.finished.length < 40, `${observed.finished.length} reads were carried out`)
    const held = process.memoryUsage().arrayBuffers - before
    assert.ok(held < flood.length + 64 * MIB, `${held} bytes`)
  }))

test('nbd 62: one budget bounds what every client together makes the server hold', () => {
  const gate = new Gate()
  const limits = { inFlightBytes: 4 * MIB, totalInFlightBytes: 6 * MIB }
  return withServer({ gate, device: held(memory(), gate, ['write']), limits }, async ({ attach }) => {
    const clients = [await attach(), await attach(), await attach()]
    for (const [index, client] of clients.entries()) {
      for (let count = 0; count < 4; count++) {
        client.send({ command: CMD.WRITE, offset: (4 * index + count) * MIB, payload: Buffer.alloc(MIB) })
      }
    }
    await eventually('the budget is used up', () => gate.waiting.length >= 5)
    assert.ok(gate.waiting.length <= 8, `${gate.waiting.length}`)
    gate.open()
    for (const client of clients) for (let count = 0; count < 4; count++) await client.reply()
  })
})

test('nbd 62: connections whose requests are stuck leave a share of the budget to others', () => {
  const UNIT = MIB / 4
  const gate = new Gate()
  const limits = { inFlightBytes: 64 * MIB, totalInFlightBytes: 13 * UNIT }
  return withServer({ gate, device: held(memory(), gate, ['write']), limits }, async ({ attach }) => {
    const payload = Buffer.alloc(UNIT)
    for (const [first, share] of [
      [0, 7],
      [12, 3],
    ] as const) {
      const stuck = await attach()
      const before = gate.waiting.length
      for (let at = first; at < first + 12; at++) stuck.send({ command: CMD.WRITE, offset: at * UNIT, payload })
      await eventually('it has its share', () => gate.waiting.length === before + share)
    }
    const other = await attach()
    for (const at of [24, 25]) other.send({ command: CMD.WRITE, offset: at * UNIT, payload })
    await eventually('the other one has two on their way', () => gate.waiting.length === 12)
    gate.open()
    for (let count = 0; count < 2; count++) await other.reply()
  })
})

test('nbd 60: a write above the hard limit ends the connection at its header', () =>
  withServer({}, async ({ attach, observed }) => {
    const client = await attach()
    client.send({ command: CMD.WRITE, length: 64 * MIB + 1 })
    assert.equal((await client.closed()).length, 0)
    await eventually('it is counted', () => observed.closed.length === 1)
    assert.deepEqual(observed.closed, ['bad-request'])
  }))

const SEED = seedOf(41)
test(`nbd 107, 114, 116, 117: noise at every stage and resets leave the server as it was (seed ${SEED})`, () =>
  withServer({}, async ({ connect, attach, server }) => {
    const random = new Random(SEED)
    for (let round = 0; round < 300; round++) {
      const stage = random.below(4)
      const client = stage === 3 ? await attach() : await connect()
      if (stage > 0 && stage < 3) client.write(u32(3))
      if (stage === 2) client.write(option(random.below(12), random.bytes(random.below(50))))
      client.write(random.bytes(1 + random.below(200)))
      if (random.below(2) === 0) client.socket.resetAndDestroy()
      else client.socket.end()
      if (random.below(10) === 0) await eventually('connections go', () => server.connections < 20)
    }
    await eventually('every connection is gone', () => server.connections === 0)
    const good = await attach()
    assert.equal(await good.errorOf({ command: CMD.WRITE, payload: Buffer.of(1) }), 0)
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  }))
