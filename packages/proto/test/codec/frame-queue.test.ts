import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Ack,
  type Epoch,
  extentId,
  LIMITS,
  type Message,
  type Seq,
  type SessionId,
  type VolumeId,
} from '@ashlar/proto'
import { FRAME_TARGET_BYTES, FrameQueue, messageBytes } from '@ashlar/proto/codec'
import { encode } from '../support/frames.ts'

const EXTENT = extentId(1 as VolumeId, 0)

function numbered(seq: number): Ack {
  return {
    type: 'ack',
    ...{
      extent: EXTENT,
      epoch: 1 as Epoch,
      gen: 1,
      seq: seq as Seq,
      push: 0,
      marked: true,
      freeBytes: 0,
      space: 'free',
    },
  }
}

function heavy(op: number): Message {
  return {
    type: 'write',
    ...{ request: op, extent: EXTENT, epoch: 1 as Epoch, offset: 0, checksums: [0] },
    operation: { session: 1 as SessionId, op, lowMark: 1, generation: 1 },
    payload: new Uint8Array(LIMITS.pieceBytes),
  }
}

test('messages leave in the order in which they came, in frames near the target size', () => {
  const queue = new FrameQueue()
  const sent: Message[] = []
  for (let i = 1; i < 9000; i++) sent.push(i % 100 === 0 ? heavy(i) : numbered(i))
  for (const message of sent) queue.add(message)
  assert.equal(
    queue.bytes,
    sent.reduce((sum, message) => sum + messageBytes(message), 0),
  )
  const taken: unknown[] = []
  while (!queue.isEmpty) {
    const frame = queue.take()
    const bytes = frame.reduce((sum, message) => sum + messageBytes(message), 0)
    assert.ok(frame.length > 0 && frame.length <= LIMITS.frameRecords)
    assert.ok(frame.length === 1 || bytes <= FRAME_TARGET_BYTES)
    assert.ok(frame.length > 1 || encode(frame).length <= LIMITS.frameBytes)
    taken.push(...frame)
  }
  assert.deepEqual(taken, sent)
  assert.equal(queue.bytes, 0)
})

test('adding messages while others are taken loses none, and taken ones are dropped', () => {
  const queue = new FrameQueue<Ack>()
  let next = 0
  let expected = 0
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 1500; i++) queue.add(numbered(next++))
    for (const message of queue.take()) assert.equal(message.seq, expected++)
  }
  while (!queue.isEmpty) for (const message of queue.take()) assert.equal(message.seq, expected++)
  assert.equal(expected, next)
  assert.deepEqual([queue.bytes, queue.take().length], [0, 0])
})

test('clear drops all messages, and the queue stays usable', () => {
  const queue = new FrameQueue<Ack>()
  for (let seq = 0; seq < 3; seq++) queue.add(numbered(seq))
  queue.clear()
  assert.deepEqual([queue.isEmpty, queue.bytes, queue.take()], [true, 0, []])
  queue.add(numbered(7))
  assert.deepEqual(queue.take(), [numbered(7)])
})

test('what was withdrawn is never taken; the rest keeps its order and its bytes', () => {
  const queue = new FrameQueue<Ack>()
  for (let seq = 0; seq < 2500; seq++) queue.add(numbered(seq))
  const first = queue.take()
  queue.withdraw(({ seq }) => seq % 3 === 0)
  const rest: Ack[] = []
  while (!queue.isEmpty) rest.push(...queue.take())
  const expected = Array.from({ length: 2500 - first.length }, (_, i) => i + first.length).filter(
    (seq) => seq % 3 !== 0,
  )
  assert.deepEqual(
    rest.map(({ seq }) => seq),
    expected,
  )
  assert.equal(queue.bytes, 0)
})
