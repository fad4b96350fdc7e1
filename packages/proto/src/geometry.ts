import { type ExtentId, extentId, MAX_EXTENTS_PER_VOLUME, type VolumeId } from './ids.ts'
import { LIMITS } from './limits.ts'
import { type BlockIndex, type Bytes, GIB, isPowerOfTwo, MIB } from './units.ts'

/** The shape of a volume, fixed at creation. Sizes in bytes. */
export interface Geometry {
  readonly sizeBytes: Bytes
  readonly blockSizeBytes: Bytes
  readonly extentSizeBytes: Bytes
}

/**
 * A part of a byte range that lies in one extent and is at most LIMITS.pieceBytes long: one operation (amendment 19).
 */
export interface Piece {
  readonly extent: ExtentId
  /** Bytes from the start of the extent. */
  readonly offset: Bytes
  readonly length: Bytes
  /** Bytes from the start of the range that was split. */
  readonly at: Bytes
}

/** Part of a piece that lies in one block. */
export interface BlockPart {
  readonly block: BlockIndex
  /** Bytes from the start of the block. */
  readonly offset: Bytes
  readonly length: Bytes
  /** Bytes from the start of the piece. */
  readonly at: Bytes
}

/** Smallest extent size that keeps a volume at or below 4,096 extents, at least 256 MiB. */
export function defaultExtentSizeBytes(sizeBytes: Bytes): Bytes {
  let extent: Bytes = 256 * MIB
  while (extent < 4 * GIB && sizeBytes > extent * MAX_EXTENTS_PER_VOLUME) extent *= 2
  return extent
}

/** Why a geometry is invalid, in one sentence; undefined when it is valid. */
export function geometryProblem(g: Geometry): string | undefined {
  if (!Number.isSafeInteger(g.sizeBytes) || g.sizeBytes <= 0) return 'size must be a whole number of bytes above 0'
  if (
    !isPowerOfTwo(g.blockSizeBytes) ||
    g.blockSizeBytes < LIMITS.minBlockBytes ||
    g.blockSizeBytes > LIMITS.maxBlockBytes
  )
    return 'block size must be a power of two from 4Ki to 1Mi'
  if (
    !isPowerOfTwo(g.extentSizeBytes) ||
    g.extentSizeBytes < LIMITS.minExtentBytes ||
    g.extentSizeBytes > LIMITS.maxExtentBytes
  )
    return 'extent size must be a power of two from 16Mi to 4Gi'
  if (g.sizeBytes % g.blockSizeBytes !== 0)
    return `size must be a multiple of the block size (${g.blockSizeBytes} bytes)`
  if (g.sizeBytes > g.extentSizeBytes * MAX_EXTENTS_PER_VOLUME)
    return `size must be at most ${MAX_EXTENTS_PER_VOLUME} extents of ${g.extentSizeBytes} bytes`
  return undefined
}

export function extentCount(g: Geometry): number {
  return Math.ceil(g.sizeBytes / g.extentSizeBytes)
}

/** Bytes of one extent: all but the last one of a volume are full. */
export function extentLengthBytes(g: Geometry, index: number): Bytes {
  return Math.min(g.extentSizeBytes, g.sizeBytes - index * g.extentSizeBytes)
}

/**
 * Cuts a byte range at extent edges and at LIMITS.pieceBytes, in ascending order. The range must lie inside the volume.
 */
export function splitRange(
  volume: VolumeId,
  g: Geometry,
  offset: Bytes,
  length: Bytes,
  maxPieceBytes: Bytes = LIMITS.pieceBytes,
): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  while (at < length) {
    const position = offset + at
    const index = Math.floor(position / g.extentSizeBytes)
    const inExtent = position - index * g.extentSizeBytes
    // Cuts fall on multiples of the piece size, so that two halves of one block never become two operations.
    const toEdge = Math.min(g.extentSizeBytes - inExtent, maxPieceBytes - (inExtent % maxPieceBytes))
    const size = Math.min(length - at, toEdge)
    pieces.push({ extent: extentId(volume, index), offset: inExtent, length: size, at })
    at += size
  }
  return pieces
}

/** Cuts a piece at block edges, in ascending order. */
export function splitBlocks(blockSizeBytes: Bytes, offset: Bytes, length: Bytes): BlockPart[] {
  const parts: BlockPart[] = []
  let at = 0
  while (at < length) {
    const position = offset + at
    const block = Math.floor(position / blockSizeBytes)
    const inBlock = position - block * blockSizeBytes
    const size = Math.min(length - at, blockSizeBytes - inBlock)
    parts.push({ block, offset: inBlock, length: size, at })
    at += size
  }
  return parts
}
