import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  ABSENT_VERSION,
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_TRIM,
  BLOCK_ZERO,
  type BlockVersion,
  type Epoch,
  epochOf,
  type Seq,
} from '@ashlar/proto'
import {
  DIGEST_LANES,
  digestBytes,
  digestOf,
  digestsFromBytes,
  ExtentDigests,
  VersionTable,
} from '../../src/core/blocks/index.ts'

const version = (epoch: number, seq: number, checksum = 0, kind: BlockVersion['kind'] = BLOCK_DATA): BlockVersion => ({
  epoch: epoch as Epoch,
  seq: seq as Seq,
  kind,
  checksum,
})

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** MurmurHash3_x86_128 straight from its definition, over bytes whose length is a multiple of 16. */
function murmur128(bytes: Buffer): number[] {
  const c = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93]
  const turn = [15, 16, 17, 18]
  const turn2 = [19, 17, 15, 13]
  const plus = [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17]
  const rotate = (x: number, r: number) => ((x << r) | (x >>> (32 - r))) >>> 0
  const h = [0, 0, 0, 0]
  for (let at = 0; at < bytes.length; at += 16) {
    for (let i = 0; i < 4; i++) {
      let k = Math.imul(bytes.readUInt32LE(at + 4 * i), c[i] as number) >>> 0
      k = Math.imul(rotate(k, turn[i] as number), c[(i + 1) % 4] as number) >>> 0
      const mixed = (rotate(((h[i] as number) ^ k) >>> 0, turn2[i] as number) + (h[(i + 1) % 4] as number)) >>> 0
      h[i] = (Math.imul(mixed, 5) + (plus[i] as number)) >>> 0
    }
  }
  const spread = () => {
    h[0] = ((h[0] as number) + (h[1] as number) + (h[2] as number) + (h[3] as number)) >>> 0
    for (let i = 1; i < 4; i++) h[i] = ((h[i] as number) + (h[0] as number)) >>> 0
  }
  for (let i = 0; i < 4; i++) h[i] = ((h[i] as number) ^ bytes.length) >>> 0
  spread()
  for (let i = 0; i < 4; i++) {
    let x = h[i] as number
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    h[i] = (x ^ (x >>> 16)) >>> 0
  }
  spread()
  return h
}

describe('digest of a version', () => {
  test('is MurmurHash3_x86_128 of its 8 words, also above 2^32', () => {
    for (const [block, v] of [
      [0, version(1, 1)],
      [7, version(epochOf(3, 9), 2 ** 40 + 5, 0xffffffff)],
      [2 ** 20 - 1, version(2 ** 52 + 1, 2 ** 53 - 1, 0x80000000, BLOCK_TRIM)],
    ] as const) {
      const bytes = Buffer.alloc(32)
      bytes.writeUInt32LE(block, 0)
      bytes.writeUInt32LE(Math.floor(v.epoch / 2 ** 32), 4)
      bytes.writeUInt32LE(v.epoch % 2 ** 32, 8)
      bytes.writeUInt32LE(Math.floor(v.seq / 2 ** 32), 12)
      bytes.writeUInt32LE(v.seq % 2 ** 32, 16)
      bytes.writeUInt32LE(v.kind, 20)
      bytes.writeUInt32LE(v.checksum, 24)
      assert.deepEqual([...digestOf(block, v)], murmur128(bytes))
    }
  })

  test('never changes, since versions of the software compare stored digests', () => {
    assert.equal(hex(digestBytes(digestOf(5, version(epochOf(1, 2), 77, 0xdeadbeef)))), GOLDEN)
  })

  test('differs if any one field differs', () => {
    const base = version(1, 2, 3)
    const seen = new Set<string>()
    for (const [block, v] of [
      [0, base],
      [1, base],
      [0, { ...base, epoch: 2 as Epoch }],
      [0, { ...base, epoch: epochOf(1, 1) }],
      [0, { ...base, seq: 3 as Seq }],
      [0, { ...base, seq: (2 ** 32 + 2) as Seq }],
      [0, { ...base, kind: BLOCK_ZERO }],
      [0, { ...base, checksum: 4 }],
    ] as const) {
      seen.add(hex(digestBytes(digestOf(block, v))))
    }
    assert.equal(seen.size, 8)
  })

  test('of an absent block is zero', () => {
    assert.deepEqual([...digestOf(9, ABSENT_VERSION)], [0, 0, 0, 0])
  })
})

describe('version table', () => {
  test('two sequences of writes that end in equal versions have equal digests, in any order', () => {
    const a = new VersionTable(1000)
    const b = new VersionTable(1000)
    for (let block = 0; block < 1000; block++) a.set(block, version(1, block + 1, block))
    for (let block = 999; block >= 0; block--) {
      b.set(block, version(7, 5000 + block, 1))
      b.set(block, version(1, block + 1, block))
    }
    assert.equal(hex(a.digests.rootBytes()), hex(b.digests.rootBytes()))
    assert.equal(hex(a.digests.leafBytes()), hex(b.digests.leafBytes()))
    b.set(300, version(1, 301, 299))
    assert.notEqual(hex(a.digests.rootBytes()), hex(b.digests.rootBytes()))
    assert.equal(hex(a.digests.leafBytes(0, 1)), hex(b.digests.leafBytes(0, 1)))
    assert.notEqual(hex(a.digests.leafBytes(1, 2)), hex(b.digests.leafBytes(1, 2)))
  })

  test('a table whose blocks are all absent again has the digest of an empty one', () => {
    const table = new VersionTable(600)
    for (let block = 0; block < 600; block++) table.set(block, version(1, block + 1, block))
    for (let block = 0; block < 600; block++) {
      assert.equal(table.set(block, ABSENT_VERSION).seq, block + 1)
    }
    assert.deepEqual([...table.digests.rootBytes()], new Array(16).fill(0))
    assert.deepEqual(table.versionsOf(1), [])
  })

  test('returns versions by block and by leaf, with values above 2^32', () => {
    const table = new VersionTable(600)
    const big = version(epochOf(2, 1), 2 ** 45, 0xffffffff)
    assert.deepEqual(table.set(511, big), ABSENT_VERSION)
    assert.deepEqual(table.get(511), big)
    assert.deepEqual(table.versionsOf(1), [{ block: 511, ...big }])
    assert.deepEqual(table.versionsOf(2), [])
  })

  test('runs cover the requested range in order and join equal kinds across leaves', () => {
    const table = new VersionTable(1024)
    for (let block = 250; block < 260; block++) table.set(block, version(1, block, 1))
    table.set(260, version(1, 1, 0, BLOCK_ZERO))
    assert.deepEqual(table.runs(248, 20), [
      { blocks: 2, kind: BLOCK_ABSENT },
      { blocks: 10, kind: BLOCK_DATA },
      { blocks: 1, kind: BLOCK_ZERO },
      { blocks: 7, kind: BLOCK_ABSENT },
    ])
  })
})

test('digests that were stored and loaded have the same root', () => {
  const digests = new ExtentDigests(700)
  for (let block = 0; block < 700; block += 3) digests.replace(block, ABSENT_VERSION, version(4, block, block))
  const again = new ExtentDigests(700)
  again.load(0, digests.leafBytes(0, 2))
  again.load(2, digests.leafBytes(2))
  assert.equal(hex(again.rootBytes()), hex(digests.rootBytes()))
  assert.equal(digestsFromBytes(digests.leafBytes()).length, 3 * DIGEST_LANES)
})

const GOLDEN = '32a109cd6aaecbc9f79239589f84db7f'
