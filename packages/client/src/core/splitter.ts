import {
  type BlockKind,
  type Bytes,
  type Geometry,
  LIMITS,
  type Piece,
  type ReadPart,
  splitRange,
  type VolumeId,
} from '@ashlar/proto'
import type { AllocationRun } from './machine.ts'

/** What one call does to its range; decides how the range is cut. */
export type IoKind = 'read' | 'write' | 'discard' | 'allocation'

/** Blocks that one allocation query asks about: its answer stays far below LIMITS.controlBytes. */
const QUERY_BLOCKS = 16_384

function pieceLimitBytes(kind: IoKind, blockSizeBytes: Bytes): Bytes {
  if (kind === 'discard') return LIMITS.discardPieceBlocks * blockSizeBytes
  if (kind === 'allocation') return QUERY_BLOCKS * blockSizeBytes
  return LIMITS.pieceBytes
}

/**
 * The piece of a range that starts `cursor` bytes into it (amendments 19 and 21). Pieces are cut one at a time, when
 * there is room for them: a trim of a whole volume is a million pieces and more. `at` counts from the start of the
 * whole range.
 */
export function nextPiece(
  volume: VolumeId,
  geometry: Geometry,
  kind: IoKind,
  offset: Bytes,
  length: Bytes,
  cursor: Bytes,
): Piece | undefined {
  const limit = pieceLimitBytes(kind, geometry.blockSizeBytes)
  const [piece] = splitRange(volume, geometry, offset + cursor, Math.min(limit, length - cursor), limit)
  return piece === undefined ? undefined : { ...piece, at: cursor }
}

/** The checksums of a piece's parts, out of those of the whole range. Cuts between pieces fall on block edges. */
export function pieceChecksums(
  checksums: readonly number[],
  blockSizeBytes: Bytes,
  rangeOffset: Bytes,
  piece: Piece,
): readonly number[] {
  const rangeFirst = Math.floor(rangeOffset / blockSizeBytes)
  const start = rangeOffset + piece.at
  const first = Math.floor(start / blockSizeBytes) - rangeFirst
  const last = Math.floor((start + piece.length - 1) / blockSizeBytes) - rangeFirst
  return checksums.slice(first, last + 1)
}

/** Copies a read's answer to its place. False, and nothing is copied, when the parts do not add up to the piece. */
export function placeRead(target: Uint8Array, piece: Piece, parts: readonly ReadPart[]): boolean {
  let length = 0
  for (const part of parts) {
    if (part.bytes !== undefined && part.bytes.length !== part.length) return false
    length += part.length
  }
  if (length !== piece.length) return false
  let at = piece.at
  for (const part of parts) {
    if (part.bytes === undefined) target.fill(0, at, at + part.length)
    else target.set(part.bytes, at)
    at += part.length
  }
  return true
}

/** Blocks that an allocation query of this piece covers, whole or in part. */
export function queriedBlocks(blockSizeBytes: Bytes, piece: Piece): { firstBlock: number; blocks: number } {
  const firstBlock = Math.floor(piece.offset / blockSizeBytes)
  return { firstBlock, blocks: Math.ceil((piece.offset + piece.length) / blockSizeBytes) - firstBlock }
}

/**
 * Runs of blocks as runs of bytes, cut to the piece. Undefined when they do not add up to the blocks that were asked
 * for.
 */
export function pieceRuns(
  blockSizeBytes: Bytes,
  piece: Piece,
  runs: readonly { readonly blocks: number; readonly kind: BlockKind }[],
): AllocationRun[] | undefined {
  const { firstBlock, blocks } = queriedBlocks(blockSizeBytes, piece)
  if (runs.reduce((sum, run) => sum + run.blocks, 0) !== blocks) return undefined
  const cut: AllocationRun[] = []
  let block = firstBlock
  for (const run of runs) {
    const start = Math.max(piece.offset, block * blockSizeBytes)
    const end = Math.min(piece.offset + piece.length, (block + run.blocks) * blockSizeBytes)
    if (end > start) cut.push({ length: end - start, kind: run.kind })
    block += run.blocks
  }
  return cut
}

/** Joins the runs of all pieces, in the order of the range; neighbours of one kind become one run. */
export function joinRuns(
  pieces: readonly { readonly at: Bytes; readonly runs: readonly AllocationRun[] }[],
): AllocationRun[] {
  const joined: AllocationRun[] = []
  for (const { runs } of [...pieces].sort((a, b) => a.at - b.at)) {
    for (const run of runs) {
      const last = joined.at(-1)
      if (last?.kind === run.kind) joined[joined.length - 1] = { kind: run.kind, length: last.length + run.length }
      else joined.push(run)
    }
  }
  return joined
}
