import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorFilter, logFilter, MemoryDevice } from '@ashlar/client/nbd'
import { MIB } from '@ashlar/proto'
import { readBytes } from '../device-conformance.ts'
import { applyChanges, Recording } from '../support/recording-device.ts'
import { eventually, Gate, held, withServer } from '../support/test-server.ts'
import { CMD, ERR, FLAG } from '../support/wire.ts'

/** What one connection was answered, and what a flush on another one makes of it. */

const SIZE = MIB

function recorded(recording: Recording) {
  return { device: recording.around(new MemoryDevice({ sizeBytes: SIZE })) }
}

/** The disk after a power cut now that lost everything it may lose. */
function afterPowerCut(recording: Recording): Buffer {
  const image = Buffer.alloc(SIZE)
  applyChanges(image, recording.at(recording.now).certain)
  return image
}

test('nbd 71, 100: a flush on one connection keeps what others were answered before it through a power cut', () => {
  const recording = new Recording()
  return withServer(recorded(recording), async ({ attach }) => {
    const [one, two, three] = [await attach(), await attach(), await attach()]
    assert.equal(await one.errorOf({ command: CMD.WRITE, offset: 512, payload: Buffer.alloc(512, 1) }), 0)
    assert.equal(await two.errorOf({ command: CMD.WRITE, offset: 8192, payload: Buffer.alloc(512, 2) }), 0)
    assert.equal(afterPowerCut(recording)[512], 0, 'without a flush the device may lose it')
    assert.equal(await three.errorOf({ command: CMD.FLUSH }), 0)
    const image = afterPowerCut(recording)
    assert.deepEqual(image.subarray(512, 1024), Buffer.alloc(512, 1))
    assert.deepEqual(image.subarray(8192, 8704), Buffer.alloc(512, 2))
  })
})

test('nbd 70: a write, a trim and zeroes with FUA survive a power cut once they are answered, without a flush', () => {
  const recording = new Recording()
  return withServer(recorded(recording), async ({ attach }) => {
    const client = await attach()
    const flags = FLAG.FUA
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(12_288, 1), flags }), 0)
    assert.equal(await client.errorOf({ command: CMD.TRIM, offset: 4096, length: 4096, flags }), 0)
    assert.equal(await client.errorOf({ command: CMD.WRITE_ZEROES, offset: 8192, length: 512, flags }), 0)
    const expected = Buffer.alloc(SIZE).fill(1, 0, 12_288).fill(0, 4096, 8704)
    assert.deepEqual(afterPowerCut(recording), expected)
  })
})

test('nbd 71: a flush does not wait for writes that are not answered yet', () => {
  const gate = new Gate()
  const device = held(new MemoryDevice({ sizeBytes: SIZE }), gate, ['write'])
  return withServer({ gate, device }, async ({ attach }) => {
    const [one, two] = [await attach(), await attach()]
    one.send({ command: CMD.WRITE, payload: Buffer.of(1) })
    await eventually('the write is at the device', () => gate.waiting.length === 1)
    assert.equal(await two.errorOf({ command: CMD.FLUSH }), 0)
    assert.equal(gate.waiting.length, 1)
  })
})

test('nbd 69: a write reaches the device as one call, and one that fails is told without an effect', () => {
  const memory = new MemoryDevice({ sizeBytes: SIZE })
  const calls: number[] = []
  const failing = errorFilter(memory, { fails: ({ name, offset }) => name === 'write' && offset === 4095 })
  const device = logFilter(failing, ({ name, length }) => {
    if (name === 'write') calls.push(length)
  })
  return withServer({ device }, async ({ attach }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: CMD.WRITE, payload: Buffer.alloc(100_000, 1) }), 0)
    assert.equal(await client.errorOf({ command: CMD.WRITE, offset: 4095, payload: Buffer.alloc(50_000, 2) }), ERR.EIO)
    assert.deepEqual(await readBytes(memory, 0, 100_000), Buffer.alloc(100_000, 1))
    assert.deepEqual(calls, [100_000, 50_000])
  })
})

test('nbd 65: no chunk carries more than the largest payload that was told', () =>
  withServer({ device: new MemoryDevice({ sizeBytes: 64 * MIB }) }, async ({ attach, device }) => {
    const largest = 32 * MIB
    await device.write(0, Buffer.alloc(largest, 1))
    for (let at = largest; at < 64 * MIB; at += 16_384) await device.write(at, Buffer.of(1))
    const client = await attach()
    for (const [command, offset] of [
      [CMD.READ, 0],
      [CMD.READ, largest],
      [CMD.BLOCK_STATUS, largest],
    ] as const) {
      client.send({ command, offset, length: largest })
      for (;;) {
        const chunk = await client.reply()
        assert.ok(chunk.kind === 'chunk' && chunk.type < 0x8000)
        // The offset of a data chunk and the context of a status chunk are no payload.
        assert.ok(chunk.data.length - (command === CMD.READ ? 8 : 4) <= largest, `${chunk.data.length} bytes`)
        if ((chunk.flags & 1) !== 0) break
      }
    }
  }))

test('nbd 77: base:allocation has two bits, and a range whose write may lack space is a hole', () =>
  withServer({ device: new MemoryDevice({ sizeBytes: SIZE }) }, async ({ attach }) => {
    const client = await attach()
    assert.equal(await client.errorOf({ command: CMD.WRITE, offset: 4096, payload: Buffer.alloc(8192, 1) }), 0)
    assert.equal(
      await client.errorOf({ command: CMD.WRITE_ZEROES, offset: 8192, length: 4096, flags: FLAG.NO_HOLE }),
      0,
    )
    client.send({ command: CMD.BLOCK_STATUS, length: SIZE })
    const chunk = await client.reply()
    assert.ok(chunk.kind === 'chunk')
    const [hole, zero] = [1, 2]
    const extents = Array.from({ length: chunk.data.length / 4 - 1 }, (_, at) => chunk.data.readUInt32BE(4 + 4 * at))
    assert.deepEqual(extents, [4096, hole | zero, 4096, 0, 4096, zero, SIZE - 12_288, hole | zero])
  }))

test('nbd 105: sixteen connections share one device, and each reads what any other was answered', () =>
  withServer({}, async ({ attach, device, server }) => {
    const clients = await Promise.all(Array.from({ length: 16 }, () => attach()))
    assert.equal(server.connections, 16)
    const errors = await Promise.all(
      clients.map((client, at) =>
        client.errorOf({ command: CMD.WRITE, offset: at * 70_000, payload: Buffer.alloc(70_000, at + 1) }),
      ),
    )
    assert.deepEqual(errors, Array(16).fill(0))
    const expected = Buffer.concat(clients.map((_, at) => Buffer.alloc(70_000, at + 1)))
    for (const client of clients) assert.deepEqual(await client.readRange(0, expected.length), expected)
    assert.deepEqual(await readBytes(device, 0, expected.length), expected)
  }))
