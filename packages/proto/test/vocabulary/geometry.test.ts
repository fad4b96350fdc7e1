import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  defaultExtentSizeBytes,
  extentCount,
  extentId,
  extentIndexOf,
  extentLengthBytes,
  type Geometry,
  GIB,
  geometryProblem,
  isPowerOfTwo,
  KIB,
  LIMITS,
  MAX_EXTENTS_PER_VOLUME,
  MAX_VOLUME_ID,
  MIB,
  splitBlocks,
  splitRange,
  TIB,
  type VolumeId,
  volumeOf,
} from '@ashlar/proto'
import fc from 'fast-check'

const VOLUME = 7 as VolumeId
const power = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: Math.log2(min), max: Math.log2(max) }).map((exponent) => 2 ** exponent)

/** Any volume of at most 1 TiB that may exist. */
const geometry: fc.Arbitrary<Geometry> = fc
  .tuple(
    power(LIMITS.minBlockBytes, LIMITS.maxBlockBytes),
    power(LIMITS.minExtentBytes, LIMITS.maxExtentBytes),
    fc.integer({ min: 1, max: 2 ** 20 }),
  )
  .map(([blockSizeBytes, extentSizeBytes, blocks]) => ({
    blockSizeBytes,
    extentSizeBytes,
    sizeBytes: Math.min(blocks * blockSizeBytes, extentSizeBytes * MAX_EXTENTS_PER_VOLUME),
  }))

/** A volume and a range inside it that spans a few pieces. */
const range = fc.tuple(geometry, fc.nat(), fc.integer({ min: 1, max: 5 * MIB })).map(([g, at, length]) => {
  const offset = at % g.sizeBytes
  return { g, offset, length: Math.min(length, g.sizeBytes - offset) }
})

test('every volume of the properties below is a legal one', () => {
  fc.assert(fc.property(geometry, (g) => assert.equal(geometryProblem(g), undefined)))
})

test('pieces cover a range once, in order, each within one extent and one piece size', () => {
  fc.assert(
    fc.property(range, ({ g, offset, length }) => {
      let at = 0
      for (const piece of splitRange(VOLUME, g, offset, length)) {
        assert.equal(piece.at, at)
        assert.ok(piece.length > 0 && piece.length <= LIMITS.pieceBytes)
        assert.ok(piece.offset + piece.length <= extentLengthBytes(g, extentIndexOf(piece.extent)))
        assert.equal(volumeOf(piece.extent), VOLUME)
        assert.equal(extentIndexOf(piece.extent) * g.extentSizeBytes + piece.offset, offset + at)
        at += piece.length
      }
      assert.equal(at, length)
    }),
  )
})

test('no block is shared by two pieces of one range', () => {
  fc.assert(
    fc.property(range, ({ g, offset, length }) => {
      const pieces = splitRange(VOLUME, g, offset, length)
      for (const [i, piece] of pieces.entries()) {
        if (i > 0) assert.equal(piece.offset % g.blockSizeBytes, 0, 'only the first piece may begin inside a block')
      }
    }),
  )
})

test('a smaller piece size only cuts finer', () => {
  fc.assert(
    fc.property(range, ({ g, offset, length }) => {
      const fine = splitRange(VOLUME, g, offset, Math.min(length, 256 * KIB), 16 * KIB)
      assert.ok(fine.every((piece) => piece.length <= 16 * KIB))
      assert.equal(
        fine.reduce((sum, piece) => sum + piece.length, 0),
        Math.min(length, 256 * KIB),
      )
    }),
  )
})

test('parts cover a piece once, in order, each within one block', () => {
  const blockSize = power(LIMITS.minBlockBytes, LIMITS.maxBlockBytes)
  fc.assert(
    fc.property(blockSize, fc.nat(), fc.integer({ min: 1, max: LIMITS.pieceBytes }), (size, offset, length) => {
      const parts = splitBlocks(size, offset, length)
      let at = 0
      for (const part of parts) {
        assert.equal(part.at, at)
        assert.ok(part.length > 0 && part.offset + part.length <= size)
        assert.equal(part.block * size + part.offset, offset + at)
        at += part.length
      }
      assert.equal(at, length)
      assert.equal(new Set(parts.map((part) => part.block)).size, parts.length)
    }),
  )
})

test('an empty range has no pieces and no parts', () => {
  assert.deepEqual(splitRange(VOLUME, { sizeBytes: GIB, blockSizeBytes: 4096, extentSizeBytes: GIB }, 5, 0), [])
  assert.deepEqual(splitBlocks(4096, 5, 0), [])
})

test('extents of a volume add up to its size', () => {
  fc.assert(
    fc.property(geometry, (g) => {
      const count = extentCount(g)
      assert.ok(count >= 1 && count <= MAX_EXTENTS_PER_VOLUME)
      assert.equal(extentLengthBytes(g, count - 1), g.sizeBytes - (count - 1) * g.extentSizeBytes)
      assert.ok(extentLengthBytes(g, count - 1) > 0)
    }),
  )
})

test('the default extent size keeps a volume within its extents, from 256 MiB on', () => {
  assert.equal(defaultExtentSizeBytes(4096), 256 * MIB)
  assert.equal(defaultExtentSizeBytes(TIB), 256 * MIB)
  assert.equal(defaultExtentSizeBytes(TIB + 4096), 512 * MIB)
  assert.equal(defaultExtentSizeBytes(16 * TIB), 4 * GIB)
})

test('extent ids take volume and index apart again', () => {
  const index = fc.integer({ min: 0, max: MAX_EXTENTS_PER_VOLUME - 1 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_VOLUME_ID }), index, (volume, at) => {
      const id = extentId(volume as VolumeId, at)
      assert.ok(Number.isSafeInteger(id))
      assert.equal(volumeOf(id), volume)
      assert.equal(extentIndexOf(id), at)
    }),
  )
})

const legal: Geometry = { sizeBytes: GIB, blockSizeBytes: 4 * KIB, extentSizeBytes: 256 * MIB }
const PROBLEMS: readonly (readonly [string, Partial<Geometry>, RegExp])[] = [
  ['no size', { sizeBytes: 0 }, /above 0/],
  ['a size that is no number', { sizeBytes: Number.NaN }, /whole number/],
  ['a size of half a byte', { sizeBytes: 4096.5 }, /whole number/],
  ['a size that is no multiple of the block size', { sizeBytes: GIB + 512 }, /multiple of the block size \(4096/],
  ['a block size that is no power of two', { blockSizeBytes: 5000 }, /block size/],
  ['a block size that is too small', { blockSizeBytes: 2048 }, /from 4Ki to 1Mi/],
  ['a block size that is too large', { blockSizeBytes: 2 * MIB }, /from 4Ki to 1Mi/],
  ['an extent size that is too small', { extentSizeBytes: 8 * MIB }, /from 16Mi to 4Gi/],
  ['an extent size that is too large', { extentSizeBytes: 8 * GIB }, /from 16Mi to 4Gi/],
  ['more extents than a volume may have', { sizeBytes: 2 * TIB }, /at most 4096 extents/],
]
for (const [what, change, reason] of PROBLEMS) {
  test(`${what} is said in words`, () => {
    assert.match(geometryProblem({ ...legal, ...change }) ?? '', reason)
  })
}

test('powers of two are recognized, other numbers are not', () => {
  for (let exponent = 0; exponent < 53; exponent++) assert.ok(isPowerOfTwo(2 ** exponent))
  for (const other of [0, -1, -4, 3, 6, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.equal(isPowerOfTwo(other), false, String(other))
  }
})
