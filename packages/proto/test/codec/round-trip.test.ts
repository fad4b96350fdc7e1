import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AnyMessage,
  BLOCK_DATA,
  extentId,
  InvariantError,
  LIMITS,
  MESSAGE_KINDS,
  type MessageType,
  type StoreId,
  type VolumeId,
  type WireEntry,
} from '@ashlar/proto'
import { FRAME_OVERHEAD_BYTES, messageBytes } from '@ashlar/proto/codec'
import fc from 'fast-check'
import { anyMessage, MESSAGES } from '../support/arbitraries.ts'
import { decode, encode } from '../support/frames.ts'
import { CLUSTER, EXTENT_RECORD, pattern, SAMPLES } from '../support/sample-messages.ts'

for (const type of Object.keys(MESSAGE_KINDS) as MessageType[]) {
  test(`any ${type} comes back as it was sent, and within its announced size`, () => {
    fc.assert(
      fc.property(MESSAGES[type], (message) => {
        const frame = encode([message])
        assert.ok(frame.length <= FRAME_OVERHEAD_BYTES + messageBytes(message), 'messageBytes is an upper bound')
        assert.deepStrictEqual(decode(frame), [message])
      }),
      { numRuns: 60 },
    )
  })
}

test('messages that share a frame come back in order', () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 20 }), (messages) => {
      assert.deepStrictEqual(decode(encode(messages)), messages)
    }),
    { numRuns: 100 },
  )
})

test('the announced size of block traffic is exact', () => {
  for (const type of ['write', 'read', 'read-done', 'push', 'ack', 'answer', 'versions', 'ping'] as const) {
    const message = SAMPLES[type]
    assert.equal(encode([message]).length, FRAME_OVERHEAD_BYTES + messageBytes(message), type)
  }
})

test('byte arrays of decoded messages are views of the frame', () => {
  const frame = encode([SAMPLES.write])
  const [message] = decode(frame)
  assert.ok(message?.type === 'write')
  assert.equal(message.payload.buffer, frame.buffer)
})

test('a frame takes the most records that are allowed and not one more', () => {
  const most = Array.from({ length: LIMITS.frameRecords }, () => SAMPLES.ping)
  assert.equal(decode(encode(most)).length, LIMITS.frameRecords)
  assert.throws(() => encode([...most, SAMPLES.ping]), InvariantError)
  assert.throws(() => encode([]), InvariantError)
})

test('a frame that would be longer than allowed is not built', () => {
  const write = { ...SAMPLES.write, payload: new Uint8Array(LIMITS.pieceBytes), offset: 0 }
  assert.throws(() => encode(Array.from({ length: 10 }, () => write)), /InvariantError: a frame of/)
  assert.equal(decode(encode(Array.from({ length: 9 }, () => write))).length, 9)
})

test('the largest map of a cluster fits in one frame', () => {
  const assigned = Array.from(
    { length: LIMITS.maxReplicas },
    (_, n) => `${EXTENT_RECORD.primary.store.slice(0, -1)}${n}`,
  )
  const extents = Array.from({ length: LIMITS.mapExtents }, (_, i) => ({
    ...EXTENT_RECORD,
    assigned: assigned as StoreId[],
    inSync: assigned as StoreId[],
    eligible: [],
    id: extentId((1 + Math.floor(i / 4096)) as VolumeId, i % 4096),
  }))
  const forced = extents.map(({ id, epoch, primary: { store } }) => {
    return { extent: id, epoch, store, acknowledged: false, changedAt: 1 }
  })
  const delta = { ...SAMPLES['map-update'].delta, extents, forced }
  const frame = encode([{ type: 'map-update', delta }])
  const [message] = decode(frame)
  assert.ok(message?.type === 'map-update')
  assert.deepStrictEqual(message.delta.extents.at(-1), extents.at(-1))
  assert.deepStrictEqual(message.delta.forced?.at(-1), forced.at(-1))
  const results = extents.map((record) => ({ extent: record.id, code: 0, record }))
  assert.equal(decode(encode([{ type: 'sets-changed', request: 1, results }])).length, 1)
})

test('the largest allocation and damage of an extent fit in one frame', () => {
  const runs = Array.from({ length: 2 ** 20 }, () => ({ blocks: 1, kind: BLOCK_DATA }) as const)
  assert.equal(decode(encode([{ type: 'allocation', request: 1, runs }])).length, 1)
  const damaged = Array.from({ length: 2 ** 20 }, (_, i) => i)
  assert.equal(decode(encode([{ ...SAMPLES.opened, damaged }])).length, 1)
})

function entryOf(command: object): WireEntry {
  return { index: 1, term: 1, command: command as WireEntry['command'] }
}

const BROKEN: readonly (readonly [string, AnyMessage, RegExp])[] = [
  ['a write without bytes', { ...SAMPLES.write, payload: new Uint8Array(0) }, /length/],
  ['a write of more than a piece', { ...SAMPLES.write, payload: new Uint8Array(LIMITS.pieceBytes + 1) }, /length/],
  ['a write that leaves its extent', { ...SAMPLES.write, offset: LIMITS.maxExtentBytes - 1 }, /leaves its extent/],
  ['a negative request', { ...SAMPLES.read, request: -1 }, /request/],
  ['a request that is no whole number', { ...SAMPLES.read, request: 1.5 }, /request/],
  ['an epoch beyond the safe integers', { ...SAMPLES.read, epoch: (2 ** 53) as never }, /epoch/],
  ['an extent of volume 0', { ...SAMPLES.read, extent: 17 as never }, /extent/],
  ['a zeroing with content', { ...SAMPLES.zero, kind: BLOCK_DATA }, /kind/],
  ['a pushed block that is no block size', { ...SAMPLES.push, bytes: pattern(4097, 1) }, /power of two/],
  ['a pushed hole with bytes', { ...SAMPLES.push, kind: 2 }, /carries bytes/],
  ['a cancellation with blocks', { ...SAMPLES.replicate, cancel: true }, /has no blocks/],
  ['a version under another leaf', { ...SAMPLES.versions, leaf: 4 }, /not under leaf 4/],
  ['a digest of 15 bytes', { ...SAMPLES.opened, digest: pattern(15, 1) }, /digest/],
  ['a store that is no UUID', { ...SAMPLES.renew, store: 'n1' as StoreId }, /UUID/],
  ['an address with a line break', { ...SAMPLES.greet, address: 'a:1\nb' }, /address/],
  ['a choice that does not exist', { ...SAMPLES.release, reason: 'bored' as never }, /reason/],
  ['a command that does nothing', { ...SAMPLES['append-entries'], entries: [entryOf({ name: 'x' })] }, /what it does/],
  ['a command of no number', { ...SAMPLES['append-entries'], entries: [entryOf({ do: 'x', n: Number.NaN })] }, /holds/],
  ['a part outside its snapshot', { ...SAMPLES['install-snapshot'], offset: 9000 }, /leaves its snapshot/],
  ['a member that is missing', { type: 'released', request: 1 } as never, /code/],
]
for (const [what, message, reason] of BROKEN) {
  test(`${what} is refused before it is sent`, () => {
    assert.throws(
      () => encode([message]),
      (error) => {
        assert.ok(error instanceof InvariantError)
        assert.match(error.message, reason)
        return true
      },
    )
  })
}

test('a message of the handshake shares its frame with nothing', () => {
  assert.throws(() => encode([SAMPLES.hello, SAMPLES.ping]), InvariantError)
})

test('text for people is cut where it is too long, also inside a surrogate pair', () => {
  const [message] = decode(encode([{ type: 'refused', code: 1, message: `${'x'.repeat(1023)}😀` }]))
  assert.ok(message?.type === 'refused')
  assert.equal(message.message, `${'x'.repeat(1023)}\uFFFD`)
})

test('fields that a later version adds at the end are dropped', () => {
  const [message] = decode(encode([{ ...SAMPLES.welcome, later: 1, cluster: CLUSTER } as never]))
  assert.deepStrictEqual(message, SAMPLES.welcome)
})
