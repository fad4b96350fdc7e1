import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BLOCK_DATA,
  BLOCK_TRIM,
  type BlockKind,
  extentIndexOf,
  type Geometry,
  LIMITS,
  type Piece,
  type ReadPart,
  splitBlocks,
  type VolumeId,
} from '@ashlar/proto'
import fc from 'fast-check'
import {
  type IoKind,
  joinRuns,
  nextPiece,
  pieceChecksums,
  pieceRuns,
  placeRead,
  queriedBlocks,
} from '../../src/core/splitter.ts'

const VOLUME = 3 as VolumeId
const MIB = 1024 * 1024

/** A volume of a few extents, and a range inside it that often touches an edge. */
const ranges = fc
  .record({
    blockSizeBytes: fc.constantFrom(4096, 65_536, MIB),
    extents: fc.integer({ min: 1, max: 4 }),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    nudge: fc.integer({ min: -5000, max: 5000 }),
    length: fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 40 * MIB })),
  })
  .map(({ blockSizeBytes, extents, from, nudge, length }) => {
    const extentSizeBytes = 16 * MIB
    const geometry: Geometry = {
      sizeBytes: extents * extentSizeBytes - blockSizeBytes,
      blockSizeBytes,
      extentSizeBytes,
    }
    const edge = Math.floor(from * 4 * extents) * (extentSizeBytes / 4)
    const offset = Math.min(geometry.sizeBytes - 1, Math.max(0, edge + nudge))
    return { geometry, offset, length: Math.min(length, geometry.sizeBytes - offset) }
  })

function cut(
  kind: IoKind,
  { geometry, offset, length }: { geometry: Geometry; offset: number; length: number },
): Piece[] {
  const pieces: Piece[] = []
  let cursor = 0
  for (;;) {
    const piece = nextPiece(VOLUME, geometry, kind, offset, length, cursor)
    if (piece === undefined) return pieces
    pieces.push(piece)
    cursor += piece.length
  }
}

test('the pieces of a range cover it exactly, in order, each inside one extent and its limit', () => {
  const kinds = fc.constantFrom<IoKind>('read', 'write', 'discard', 'allocation')
  fc.assert(
    fc.property(ranges, kinds, (range, kind) => {
      const { geometry, offset, length } = range
      let at = 0
      for (const piece of cut(kind, range)) {
        assert.equal(piece.at, at)
        assert.equal(extentIndexOf(piece.extent) * geometry.extentSizeBytes + piece.offset, offset + at)
        assert.ok(piece.length > 0 && piece.offset + piece.length <= geometry.extentSizeBytes)
        if (kind === 'read' || kind === 'write') assert.ok(piece.length <= LIMITS.pieceBytes)
        const { blocks } = queriedBlocks(geometry.blockSizeBytes, piece)
        if (kind === 'discard') assert.ok(blocks <= LIMITS.discardPieceBlocks)
        at += piece.length
      }
      assert.equal(at, length)
    }),
  )
})

test('no block of a write is cut in two, and each piece gets the checksums of its own blocks', () => {
  fc.assert(
    fc.property(ranges, (range) => {
      const { geometry, offset, length } = range
      // The checksum of a part stands for the part: its first byte in the volume.
      const checksums = splitBlocks(geometry.blockSizeBytes, offset, length).map((part) => offset + part.at)
      for (const piece of cut('write', range)) {
        const parts = splitBlocks(geometry.blockSizeBytes, piece.offset, piece.length)
        assert.deepEqual(
          pieceChecksums(checksums, geometry.blockSizeBytes, offset, piece),
          parts.map((part) => offset + piece.at + part.at),
        )
      }
    }),
  )
})

test('responses to pieces in any order, in any parts, give the bytes of the range', () => {
  const small = fc.record({
    length: fc.integer({ min: 1, max: 3 * MIB }),
    cuts: fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 20 }),
    holes: fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
    order: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
  })
  fc.assert(
    fc.property(small, ({ length, cuts, holes, order }) => {
      const geometry: Geometry = { sizeBytes: 64 * MIB, blockSizeBytes: 4096, extentSizeBytes: 16 * MIB }
      const offset = 16 * MIB - 1_000_003
      const pieces = cut('read', { geometry, offset, length })
      const target = new Uint8Array(length).fill(0xee)
      const expected = new Uint8Array(length)
      const shuffled = pieces.map((piece, i) => ({ piece, key: order[i % order.length] ?? 0 }))
      shuffled.sort((a, b) => a.key - b.key)
      for (const { piece } of shuffled) {
        const parts: ReadPart[] = []
        let at = 0
        for (let turn = 0; at < piece.length; turn++) {
          const size = Math.min(cuts[turn % cuts.length] ?? 1, piece.length - at)
          const bytes = new Uint8Array(size).fill((piece.at + turn) % 251)
          if (holes[turn % holes.length] === true) parts.push({ length: size, checksum: 0 })
          else {
            parts.push({ length: size, checksum: 1, bytes })
            expected.set(bytes, piece.at + at)
          }
          at += size
        }
        assert.ok(placeRead(target, piece, parts))
      }
      assert.ok(Buffer.from(target.buffer).equals(Buffer.from(expected.buffer)))
    }),
    { numRuns: 50 },
  )
})

test('a response that does not add up to its piece is refused and changes nothing', () => {
  const piece = nextPiece(
    VOLUME,
    { sizeBytes: MIB, blockSizeBytes: 4096, extentSizeBytes: 16 * MIB },
    'read',
    0,
    8192,
    0,
  )
  assert.ok(piece !== undefined)
  const target = new Uint8Array(8192).fill(9)
  const bytes = new Uint8Array(4096)
  assert.equal(placeRead(target, piece, [{ length: 4096, checksum: 0, bytes }]), false)
  assert.equal(placeRead(target, piece, [{ length: 8192, checksum: 0, bytes }]), false)
  assert.equal(
    placeRead(target, piece, [
      { length: 8192, checksum: 0 },
      { length: 1, checksum: 0 },
    ]),
    false,
  )
  assert.ok(target.every((byte) => byte === 9))
  assert.equal(pieceRuns(4096, piece, [{ blocks: 1, kind: BLOCK_DATA }]), undefined)
})

test('the allocation of a range sums up to its length, is the one of each byte, and joins neighbours', () => {
  fc.assert(
    fc.property(ranges, fc.infiniteStream(fc.constantFrom<BlockKind>(BLOCK_DATA, BLOCK_TRIM)), (range, kinds) => {
      const { geometry, offset, length } = range
      const { blockSizeBytes } = geometry
      const kindOf = new Map<number, BlockKind>()
      const kindAt = (byte: number): BlockKind => {
        const block = Math.floor(byte / blockSizeBytes)
        const known = kindOf.get(block) ?? (kinds.next().value as BlockKind)
        kindOf.set(block, known)
        return known
      }
      const answers = cut('allocation', range).map((piece) => {
        const { blocks } = queriedBlocks(blockSizeBytes, piece)
        const start = Math.floor((offset + piece.at) / blockSizeBytes) * blockSizeBytes
        const runs = Array.from({ length: blocks }, (_, i) => ({ blocks: 1, kind: kindAt(start + i * blockSizeBytes) }))
        const cutRuns = pieceRuns(blockSizeBytes, piece, runs)
        assert.ok(cutRuns !== undefined)
        return { at: piece.at, runs: cutRuns }
      })
      const joined = joinRuns(answers.reverse())
      let at = offset
      for (const [index, run] of joined.entries()) {
        assert.ok(run.length > 0)
        assert.equal(run.kind, kindAt(at))
        assert.equal(run.kind, kindAt(at + run.length - 1))
        assert.notEqual(run.kind, joined[index + 1]?.kind)
        at += run.length
      }
      assert.equal(at, offset + length)
    }),
    { numRuns: 50 },
  )
})
