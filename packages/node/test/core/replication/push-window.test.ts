import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushWindow } from '../../../src/core/replication/push-window.ts'

test('bytes are in flight until their push, or a later one, is acknowledged', () => {
  const window = new PushWindow()
  assert.equal(window.last, 0)
  assert.deepEqual([window.send(10), window.send(20), window.send(30)], [1, 2, 3])
  window.acknowledge(0)
  assert.equal(window.bytes, 60)
  window.acknowledge(2)
  assert.equal(window.bytes, 30)
  window.acknowledge(1)
  assert.equal(window.bytes, 30, 'an acknowledgement that comes late takes nothing back twice')
  window.acknowledge(99)
  assert.deepEqual([window.bytes, window.last], [0, 3])
  assert.equal(window.send(5), 4)
})

test('bytes that are being read count, and stay when blocks are acknowledged', () => {
  const window = new PushWindow()
  window.reserve(4096)
  window.acknowledge(window.send(64))
  assert.equal(window.bytes, 4096)
  window.reserve(-4096)
  assert.equal(window.bytes, 0)
})

test('a new stream counts from 1', () => {
  const window = new PushWindow()
  for (let push = 1; push <= 5000; push++) window.acknowledge(window.send(64))
  assert.equal(window.last, 5000)
  window.clear()
  assert.deepEqual([window.bytes, window.last, window.send(1)], [0, 0, 1])
})

test('numbers and bytes stay right while the front is dropped, however far acknowledgements lag', () => {
  const window = new PushWindow()
  let acknowledged = 0
  for (let push = 1; push <= 20_000; push++) {
    assert.equal(window.send(3), push)
    if (push % 7 === 0) {
      acknowledged += 5
      window.acknowledge(acknowledged)
    }
    assert.equal(window.bytes, (push - acknowledged) * 3)
  }
})

test('a million blocks are acknowledged one by one quickly: a trim beside a copy must not stop the event loop', () => {
  const window = new PushWindow()
  const pushes = 1_000_000
  for (let push = 0; push < pushes; push++) window.send(64)
  const started = performance.now()
  for (let push = 1; push <= pushes; push++) window.acknowledge(push)
  const tookMs = performance.now() - started
  assert.equal(window.bytes, 0)
  // Moving what is left at each acknowledgement takes a minute on a fast machine; this takes some ten milliseconds.
  assert.ok(tookMs < 5000, `${tookMs} ms`)
})
