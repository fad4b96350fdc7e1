import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameMemory } from '@ashlar/proto/codec'

const KIB = 1024
const MIB = 1024 * KIB

test('released memory is used again only for a frame of about its length', () => {
  const memory = new FrameMemory()
  const first = memory.take(MIB + 100)
  assert.equal(first.length, MIB + 100)
  assert.notEqual(memory.take(MIB + 100).buffer, first.buffer)
  memory.onSent(first, undefined)
  assert.notEqual(memory.take(200 * KIB).buffer, first.buffer)
  const second = memory.take(MIB + 7)
  assert.equal(second.buffer, first.buffer)
  assert.equal(second.length, MIB + 7)
  assert.notEqual(memory.take(MIB + 7).buffer, first.buffer)
})

test('small and huge frames are not kept, and what is kept has a limit', () => {
  const memory = new FrameMemory()
  const huge = memory.take(9 * MIB)
  memory.onSent(huge, undefined)
  assert.notEqual(memory.take(9 * MIB).buffer, huge.buffer)
  // Comes out of a pool that others use: to hand out all of that would be wrong.
  const small = memory.take(KIB)
  memory.onSent(small, undefined)
  assert.ok(memory.take(128 * KIB).byteOffset === 0 && memory.take(KIB).length === KIB)
  const frames = Array.from({ length: 40 }, () => memory.take(MIB))
  for (const frame of frames) memory.onSent(frame, undefined)
  const given = new Set(frames.map((frame) => frame.buffer))
  const again = Array.from({ length: 40 }, () => memory.take(MIB)).filter((frame) => given.has(frame.buffer)).length
  assert.ok(again > 0 && again <= 8, `${again} of 40`)
})

test('a frame that could not be sent may still be read, and is not used again', () => {
  const memory = new FrameMemory()
  const frame = memory.take(MIB)
  memory.onSent(frame, new Error('the socket is gone'))
  assert.notEqual(memory.take(MIB).buffer, frame.buffer)
})
