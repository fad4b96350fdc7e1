import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyMessage, splitBlocks, type Write } from '@ashlar/proto'
import { checksum, verifyChecksums, verifyWrite } from '@ashlar/proto/codec'
import fc from 'fast-check'
import { pattern, SAMPLES } from '../support/sample-messages.ts'

test('the checksum is the crc32 of IEEE 802.3', () => {
  assert.equal(checksum(Buffer.from('123456789')), 0xcbf4_3926)
  assert.equal(checksum(new Uint8Array(0)), 0)
})

function damaged(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.length - 1] = (copy[copy.length - 1] as number) ^ 1
  return copy
}

const DAMAGED: Readonly<Record<string, AnyMessage>> = {
  replicate: {
    ...SAMPLES.replicate,
    blocks: SAMPLES.replicate.blocks.map((block) =>
      block.bytes === undefined ? block : { ...block, bytes: damaged(block.bytes) },
    ),
  },
  push: { ...SAMPLES.push, bytes: damaged(SAMPLES.push.bytes as Uint8Array) },
  'fetched-block': { ...SAMPLES['fetched-block'], bytes: damaged(SAMPLES['fetched-block'].bytes as Uint8Array) },
  'read-done': {
    ...SAMPLES['read-done'],
    parts: SAMPLES['read-done'].parts.map((part) =>
      part.bytes === undefined ? part : { ...part, bytes: damaged(part.bytes) },
    ),
  },
}
for (const [type, message] of Object.entries(DAMAGED)) {
  test(`one flipped bit of a ${type} is found`, () => {
    assert.equal(verifyChecksums(SAMPLES[type as 'push']), true)
    assert.equal(verifyChecksums(message), false)
  })
}

test('messages without block bytes have nothing to verify', () => {
  for (const type of ['ping', 'ack', 'map-update', 'zero'] as const) assert.equal(verifyChecksums(SAMPLES[type]), true)
  assert.equal(verifyChecksums({ type: 'fetched-block', request: 1, checksum: 5 }), true)
})

function writeOf(offset: number, payload: Uint8Array, blockSizeBytes: number): Write {
  const checksums = splitBlocks(blockSizeBytes, offset, payload.length).map((part) =>
    checksum(payload.subarray(part.at, part.at + part.length)),
  )
  return { ...SAMPLES.write, offset, payload, checksums }
}

test('a write of any alignment verifies, and not after any byte of it changed', () => {
  fc.assert(
    fc.property(fc.nat(20_000), fc.integer({ min: 1, max: 20_000 }), fc.nat(), (offset, length, at) => {
      const message = writeOf(offset, pattern(length, offset), 4096)
      assert.equal(verifyWrite(message, 4096), true)
      const payload = message.payload.slice()
      payload[at % length] = (payload[at % length] as number) ^ 0x40
      assert.equal(verifyWrite({ ...message, payload }, 4096), false)
    }),
    { numRuns: 200 },
  )
})

test('a write with checksums for another block size does not verify', () => {
  const message = writeOf(0, pattern(8192, 1), 4096)
  assert.equal(verifyWrite(message, 8192), false)
  assert.equal(verifyWrite({ ...message, checksums: message.checksums.slice(1) }, 4096), false)
  assert.equal(verifyWrite({ ...message, checksums: [...message.checksums, 0] }, 4096), false)
})
