import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDevice } from '@ashlar/client/nbd'
import { KIB, MIB } from '@ashlar/proto'
import { TransferMemory } from '../../../src/nbd/server/transfer-memory.ts'
import { Random, seedOf } from '../support/random.ts'
import { withServer } from '../support/test-server.ts'

test('released memory is used again only for a read of the same size', () => {
  const memory = new TransferMemory()
  const first = memory.bufferFor(MIB)
  const bytes = first?.allocate(MIB)
  assert.notEqual(memory.bufferFor(MIB)?.allocate(MIB), bytes)
  first?.release()
  assert.notEqual(memory.bufferFor(128 * KIB)?.allocate(128 * KIB)?.buffer, bytes?.buffer)
  assert.equal(memory.bufferFor(MIB)?.allocate(MIB), bytes)
  assert.notEqual(memory.bufferFor(MIB)?.allocate(MIB), bytes)
})

test('small reads get no memory of it, and what is kept has a limit', () => {
  const memory = new TransferMemory()
  assert.equal(memory.bufferFor(4 * KIB), undefined)
  const buffers = Array.from({ length: 40 }, () => memory.bufferFor(MIB))
  const given = new Set(buffers.map((buffer) => buffer?.allocate(MIB)))
  for (const buffer of buffers) buffer?.release()
  const again = Array.from({ length: 40 }, () => memory.bufferFor(MIB)?.allocate(MIB))
  const kept = again.filter((bytes) => given.has(bytes)).length
  assert.ok(kept > 0 && kept <= 16, `${kept} of 40`)
})

const SEED = seedOf(77)
test(`replies to large reads that share memory in turns are those of the device, on every connection (seed ${SEED})`, async () => {
  const random = new Random(SEED)
  const device = new MemoryDevice({ sizeBytes: 16 * MIB })
  const expected = Buffer.alloc(16 * MIB)
  for (let offset = 0; offset < expected.length; offset += 64 * KIB) {
    // Some of it is a hole, so that reads have several parts.
    if (random.below(4) === 0) continue
    const bytes = Buffer.alloc(64 * KIB, random.bytes(61))
    bytes.copy(expected, offset)
    await device.write(offset, bytes)
  }
  await withServer({ device }, async ({ attach }) => {
    const clients = [await attach(), await attach(), await attach({ structured: false, allocation: false })]
    const [one, two, simple] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]]
    for (let round = 0; round < 40; round++) {
      const length = random.pick([64 * KIB, 100_000, MIB, 3 * MIB])
      const at = Array.from({ length: 3 }, () => random.below(expected.length - length))
      simple.send({ command: 0, offset: at[2] ?? 0, length, cookie: 1n })
      const [first, second, third] = await Promise.all([
        one.readRange(at[0] ?? 0, length),
        two.readRange(at[1] ?? 0, length),
        simple.reply(length),
      ])
      const same = [first, second, third.data].map((bytes, index) =>
        bytes.equals(expected.subarray(at[index] ?? 0, (at[index] ?? 0) + length)),
      )
      assert.deepEqual(same, [true, true, true], `round ${round}: ${length} bytes at ${at}`)
    }
  })
})

test(`large writes that share memory in turns land as they were sent, on every connection (seed ${SEED})`, async () => {
  const random = new Random(SEED)
  const device = new MemoryDevice({ sizeBytes: 16 * MIB })
  const expected = Buffer.alloc(16 * MIB)
  await withServer({ device }, async ({ attach }) => {
    const clients = [await attach(), await attach()]
    for (let round = 0; round < 40; round++) {
      const length = random.pick([64 * KIB, 100_000, MIB, 3 * MIB])
      await Promise.all(
        clients.map(async (client, half) => {
          const offset = half * 8 * MIB + random.below(8 * MIB - length)
          const bytes = Buffer.alloc(length, random.bytes(61))
          bytes.copy(expected, offset)
          assert.equal(await client.errorOf({ command: 1, offset, length, payload: bytes }), 0)
        }),
      )
    }
    const [client] = clients
    assert.ok((await client?.readRange(0, expected.length))?.equals(expected))
  })
})
