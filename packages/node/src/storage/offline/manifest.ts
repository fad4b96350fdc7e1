/**
 * LevelDB's MANIFEST is a log of version edits: blocks of 32 KiB that hold records
 *
 *   crc32c of type and content, masked u32 | length u16 | type u8 | content        (little-endian)
 *
 * where type is FULL, or FIRST, MIDDLE and LAST for a record over several blocks; fewer than seven bytes at the end of a
 * block are zeroes (LevelDB doc/log_format.md, db/version_edit.cc).
 */
const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7
const FULL = 1
const LAST = 4
/** Tag of the number of the next file in a version edit; the last one that is read counts. */
const NEXT_FILE_NUMBER = 3

/**
 * A manifest after which every file that LevelDB makes has `number` or a higher one, whatever the manifest holds. Without it a
 * table could be written over one that a crash left behind: LevelDB does not know of those.
 */
export function withNextFileNumber(manifest: Uint8Array, number: number): Buffer {
  // What a crash cut off in the middle ends a manifest, and must not stand before a record.
  const whole = Buffer.from(manifest.subarray(0, endOfRecords(manifest)))
  const edit = record(Buffer.from([NEXT_FILE_NUMBER, ...varint(number)]))
  const left = BLOCK_BYTES - (whole.length % BLOCK_BYTES)
  if (left >= edit.length) return Buffer.concat([whole, edit])
  // Where a header fits there has to be a record: an empty edit. What is left behind it is too short for one.
  const filler = left < HEADER_BYTES ? Buffer.alloc(0) : record(Buffer.alloc(0))
  return Buffer.concat([whole, filler, Buffer.alloc(left - filler.length), edit])
}

/** Where the last record ends that is there whole. */
function endOfRecords(manifest: Uint8Array): number {
  const bytes = Buffer.from(manifest.buffer, manifest.byteOffset, manifest.length)
  let end = 0
  for (let at = 0; at < bytes.length; ) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEADER_BYTES) {
      at += left
      continue
    }
    if (at + HEADER_BYTES > bytes.length) break
    const type = bytes[at + 6] as number
    at += HEADER_BYTES + bytes.readUInt16LE(at + 4)
    if (at > bytes.length || type === 0) break
    if (type === FULL || type === LAST) end = at
  }
  return end
}

function record(content: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from([FULL]), content])
  const header = Buffer.alloc(HEADER_BYTES - 1)
  header.writeUInt32LE(masked(crc32c(typed)), 0)
  header.writeUInt16LE(content.length, 4)
  return Buffer.concat([header, typed])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80)
  return [...bytes, value]
}

function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Castagnoli's polynomial, reflected: node:zlib has only the other one. Bit by bit, for a few bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
