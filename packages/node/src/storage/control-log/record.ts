import { crc32 } from 'node:zlib'
import { Packr } from 'msgpackr'
import type { Command, LogEntry } from '../../core/control/index.ts'

/**
 * One record of the control log, big-endian:
 *
 *    0  u32  crc32 of bytes 4 to 36
 *    4  u32  length of the body
 *    8  u32  crc32 of the body
 *   12  u32  first field of the record before this one; 0 in the first record of all, or after a snapshot
 *   16  u64  index of the entry
 *   24  u64  Raft term of the entry
 *   32  u32  place of the entry in the append that wrote it, from 0
 *   36       body: the command in MessagePack
 *
 * The fourth field chains the records, so that one that was swapped for another of the same index is noticed. The place
 * distinguishes a torn append, whose pages reached the disk in any order, from damage to one that was followed by another.
 */
export const RECORD_HEADER_BYTES = 36
/** A longer body is damage: commands are bounded by the control messages that carry them. */
const MAX_BODY_BYTES = 64 * 1024 * 1024

const packr = new Packr({ useRecords: false })

/** What a record is checked against: the one before it. */
export interface RecordChain {
  readonly index: number
  /** First field of the record before; undefined when a snapshot replaced that. */
  readonly checksum: number | undefined
}

export const FIRST_RECORD: RecordChain = { index: 0, checksum: 0 }

export interface ReadRecord {
  readonly entry: LogEntry
  readonly chain: RecordChain
  /** First field of the record that this one follows. */
  readonly before: number
  readonly place: number
  /** Offset behind the record. */
  readonly end: number
}

/** The record of an entry, the `place`-th of its append, and the chain to the next one. */
export function encodeRecord(
  entry: LogEntry,
  place: number,
  before: RecordChain,
): { bytes: Buffer; chain: RecordChain } {
  const body = packr.pack(entry.command)
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + body.length)
  bytes.writeUInt32BE(body.length, 4)
  bytes.writeUInt32BE(crc32(body), 8)
  bytes.writeUInt32BE(before.checksum ?? 0, 12)
  bytes.writeBigUInt64BE(BigInt(entry.index), 16)
  bytes.writeBigUInt64BE(BigInt(entry.term), 24)
  bytes.writeUInt32BE(place, 32)
  const checksum = crc32(bytes.subarray(4, RECORD_HEADER_BYTES))
  bytes.writeUInt32BE(checksum, 0)
  body.copy(bytes, RECORD_HEADER_BYTES)
  return { bytes, chain: { index: entry.index, checksum } }
}

/** The record at `offset`, or undefined where there is no whole and undamaged one. */
export function readRecord(file: Buffer, offset: number): ReadRecord | undefined {
  if (offset + RECORD_HEADER_BYTES > file.length) return undefined
  const header = file.subarray(offset, offset + RECORD_HEADER_BYTES)
  const checksum = header.readUInt32BE(0)
  if (crc32(header.subarray(4)) !== checksum) return undefined
  const length = header.readUInt32BE(4)
  const start = offset + RECORD_HEADER_BYTES
  if (length > MAX_BODY_BYTES || start + length > file.length) return undefined
  const body = file.subarray(start, start + length)
  if (crc32(body) !== header.readUInt32BE(8)) return undefined
  const index = Number(header.readBigUInt64BE(16))
  const command = packr.unpack(body) as Command
  return {
    entry: { index, term: Number(header.readBigUInt64BE(24)), command },
    chain: { index, checksum },
    before: header.readUInt32BE(12),
    place: header.readUInt32BE(32),
    end: start + length,
  }
}

/**
 * Offset of a whole and undamaged record behind `offset` that was appended after the one that should be at `offset` was
 * on stable storage, or undefined. `index` is the last entry before `offset`.
 */
export function findLaterAppend(file: Buffer, offset: number, index: number): number | undefined {
  for (let at = offset + 1; at + RECORD_HEADER_BYTES <= file.length; at++) {
    // The two high bytes of the index are 0 in every real record: most offsets are dismissed without a checksum.
    if (file[at + 16] !== 0 || file[at + 17] !== 0) continue
    const found = readRecord(file, at)
    if (found !== undefined && found.entry.index - found.place > index + 1) return at
  }
  return undefined
}
