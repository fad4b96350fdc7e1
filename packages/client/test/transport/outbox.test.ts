import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, type ExtentId, LIMITS, type Message, type SessionId } from '@ashlar/proto'
import { encodeFrame } from '@ashlar/proto/codec'
import { Outbox } from '../../src/transport/outbox.ts'

const MIB = 1024 * 1024

function write(request: number, length: number): Message {
  return {
    type: 'write',
    ...{ request, extent: 4096 as ExtentId, epoch: 1 as Epoch, offset: 0 },
    operation: { session: 1 as SessionId, op: request, lowMark: 1, generation: 1 },
    checksums: new Array<number>(Math.ceil(length / 4096)).fill(0),
    payload: new Uint8Array(length),
  }
}

test('messages leave in the order in which they came, whatever the frames', () => {
  const outbox = new Outbox()
  const taken: number[] = []
  for (let request = 1; request <= 5000; request++) {
    outbox.add(write(request, 4096))
    if (request % 7 === 0)
      for (const message of outbox.take(20_000, 3)) taken.push((message as { request: number }).request)
  }
  while (!outbox.isEmpty)
    for (const message of outbox.take(MIB, 100)) taken.push((message as { request: number }).request)
  assert.deepEqual(
    taken,
    Array.from({ length: 5000 }, (_, i) => i + 1),
  )
  assert.equal(outbox.bytes, 0)
})

test('a frame stays within its bytes and its messages, and takes at least one', () => {
  const outbox = new Outbox()
  for (let request = 1; request <= 10; request++) outbox.add(write(request, MIB))
  assert.equal(outbox.take(MIB, 10).length, 1)
  assert.equal(outbox.take(3 * MIB + 100_000, 10).length, 3)
  assert.equal(outbox.take(100 * MIB, 2).length, 2)
  assert.ok(encodeFrame(outbox.take(MIB, LIMITS.frameRecords)).length <= LIMITS.frameBytes)
  assert.ok(outbox.bytes > 3 * MIB)
})
