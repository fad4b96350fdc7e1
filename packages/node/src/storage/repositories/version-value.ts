import {
  BLOCK_DATA,
  BLOCK_TRIM,
  BLOCK_ZERO,
  type BlockKind,
  type BlockVersion,
  type Epoch,
  type Seq,
} from '@ashlar/proto'
import { asBuffer, readU64, writeU32, writeU64 } from '../encoding/bytes.ts'

/**
 * Value of a `v` key, big-endian: epoch u64, seq u64, checksum u32, flags u8. The flags hold the kind in their low half and
 * the algorithm of the checksum in their high half (amendment 20): 1 is crc32. Only three values are written, and no
 * flipped bit turns the one for data into another valid one.
 */
export const VERSION_BYTES = 21
const CRC32 = 1
const FLAGS_DATA = (CRC32 << 4) | BLOCK_DATA

export function writeVersion(target: Buffer, at: number, version: BlockVersion): void {
  writeU64(target, at, version.epoch)
  writeU64(target, at + 8, version.seq)
  writeU32(target, at + 16, version.checksum)
  target[at + 20] = version.kind === BLOCK_DATA ? FLAGS_DATA : version.kind
}

export function encodeVersion(version: BlockVersion): Buffer {
  const value = Buffer.allocUnsafe(VERSION_BYTES)
  writeVersion(value, 0, version)
  return value
}

/** The version at `at`. Flags that were never written count as data, so that the check of the bytes finds the damage. */
export function readVersion(source: Buffer, at: number): BlockVersion {
  const flags = source[at + 20] as number
  const kind: BlockKind = flags === BLOCK_ZERO || flags === BLOCK_TRIM || flags === 0 ? flags : BLOCK_DATA
  return {
    epoch: readU64(source, at) as Epoch,
    seq: readU64(source, at + 8) as Seq,
    kind,
    checksum: source.readUInt32BE(at + 16),
  }
}

/**
 * The version in a `v` value, or undefined when it does not have the length of one, or has numbers that a flipped bit made too
 * large to be sent to a peer: it counts as lost (A2.17-5).
 */
export function decodeVersion(value: Uint8Array): BlockVersion | undefined {
  if (value.length !== VERSION_BYTES) return undefined
  const version = readVersion(asBuffer(value), 0)
  return Number.isSafeInteger(version.epoch) && Number.isSafeInteger(version.seq) ? version : undefined
}
