import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { ABSENT_VERSION, BLOCK_DATA, BLOCK_TRIM, type Epoch, type Seq } from '@ashlar/proto'
import type { LoadedBlock } from '../../src/core/machine.ts'
import { readDone } from '../../src/effects/reply-read.ts'

const D = 4096
const data = (block: number): LoadedBlock => {
  const bytes = new Uint8Array(D).map((_, at) => (at + block) % 251)
  return {
    block,
    version: { epoch: 1 as Epoch, seq: 1 as Seq, kind: BLOCK_DATA, checksum: crc32(bytes) },
    bytes,
    damaged: false,
  }
}
const hole = (block: number): LoadedBlock => ({
  block,
  version: { ...ABSENT_VERSION, kind: BLOCK_TRIM },
  damaged: false,
})

test('a read of parts of its first and last block is cut to the range, with checksums that match', () => {
  const blocks = [data(4), data(5), data(6)]
  const done = readDone({
    type: 'reply-read',
    link: 1,
    request: 9,
    blockSizeBytes: D,
    offset: 4 * D + 100,
    length: 2 * D,
    blocks,
  })
  assert.deepEqual(
    done.parts.map((part) => part.length),
    [D - 100, D, 100],
  )
  for (const part of done.parts) assert.equal(part.checksum, crc32(part.bytes ?? new Uint8Array()))
  const all = Buffer.concat(blocks.map((block) => block.bytes ?? new Uint8Array()))
  assert.ok(
    Buffer.concat(done.parts.map((part) => part.bytes ?? new Uint8Array())).equals(all.subarray(100, 100 + 2 * D)),
  )
})

test('blocks without data are one hole, and split where data lies between', () => {
  const blocks = [hole(0), hole(1), data(2), hole(3)]
  const done = readDone({
    type: 'reply-read',
    link: 1,
    request: 9,
    blockSizeBytes: D,
    offset: 10,
    length: 4 * D - 20,
    blocks,
  })
  assert.deepEqual(
    done.parts.map((part) => [part.length, part.bytes !== undefined]),
    [
      [2 * D - 10, false],
      [D, true],
      [D - 10, false],
    ],
  )
})
