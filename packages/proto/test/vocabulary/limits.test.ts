import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ABSENT_VERSION,
  BLOCK_DATA,
  CLOCK_DRIFT,
  defaultMinInSync,
  type Epoch,
  epochOf,
  isName,
  isUuid,
  LIMITS,
  leaseExpiryMs,
  type Seq,
  sameVersion,
  TIMERS,
  WIRE_VERSION,
  WIRE_VERSION_MIN,
} from '@ashlar/proto'

test('limits are positive whole numbers', () => {
  for (const [name, value] of Object.entries(LIMITS)) assert.ok(Number.isSafeInteger(value) && value > 0, name)
  for (const [name, value] of Object.entries(TIMERS)) assert.ok(Number.isSafeInteger(value) && value > 0, name)
})

test('all requests of one client in flight fit on one link', () => {
  assert.ok(LIMITS.clientInFlightBytes <= LIMITS.linkCutBytes)
})

test('control waits longer than any lease holder whose clock drifts within the limit', () => {
  // The holder's clock is slow and control's is fast: the worst pair.
  const holderEndsMs = TIMERS.leaseMs / (1 - CLOCK_DRIFT)
  const controlEndsMs = leaseExpiryMs() / (1 + CLOCK_DRIFT)
  assert.ok(controlEndsMs > holderEndsMs)
})

test('a peer is silent only after several missed pings, and a stream times out only after it could have opened', () => {
  assert.ok(TIMERS.silentMs >= 3 * TIMERS.pingMs)
  assert.ok(TIMERS.redialMinMs < TIMERS.redialMaxMs)
  assert.ok(
    3 * TIMERS.redialMinMs <= TIMERS.unconnectedMs,
    'a connection that broke is dialed again before its peer counts as silent',
  )
})

test('this build speaks the version that it sends', () => {
  assert.ok(WIRE_VERSION_MIN <= WIRE_VERSION)
})

test('minInSync is half of the replicas, rounded up', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(defaultMinInSync), [1, 1, 2, 2, 3])
})

test('epochs of a later cluster generation are above every epoch before', () => {
  assert.ok(epochOf(2, 0) > epochOf(1, 2 ** 32 - 1))
  assert.ok(Number.isSafeInteger(epochOf(2 ** 20, 2 ** 32 - 1)))
})

test('versions are the same only when every part is', () => {
  const version = { epoch: 1 as Epoch, seq: 2 as Seq, kind: BLOCK_DATA, checksum: 3 } as const
  assert.ok(sameVersion(version, { ...version }))
  for (const other of [{ epoch: 2 as Epoch }, { seq: 3 as Seq }, { kind: 2 as const }, { checksum: 4 }]) {
    assert.ok(!sameVersion(version, { ...version, ...other }))
  }
  assert.ok(!sameVersion(version, ABSENT_VERSION))
})

test('names are 1 to 63 of a-z 0-9 . _ - with a letter or digit at both ends', () => {
  for (const name of ['a', 'n1', 'db-1.data_2', 'x'.repeat(63), '0']) assert.ok(isName(name), name)
  for (const name of ['', '-a', 'a-', '.', 'A', 'a b', 'a/b', 'a\n', 'é', 'x'.repeat(64), 7, undefined]) {
    assert.ok(!isName(name), String(name))
  }
})

test('ids are UUIDs in lower case', () => {
  assert.ok(isUuid('018f0000-0000-7000-8000-000000000001'))
  for (const id of ['', '018F0000-0000-7000-8000-000000000001', '018f0000000070008000000000000001', 1, undefined]) {
    assert.ok(!isUuid(id), String(id))
  }
  assert.ok(!isUuid('018f0000-0000-7000-8000-000000000001\n'))
})
