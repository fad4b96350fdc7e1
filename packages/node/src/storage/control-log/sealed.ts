import { crc32 } from 'node:zlib'

/** Bytes of the crc32 at the end of a sealed file. */
const CHECKSUM_BYTES = 4

/** Makes the whole content of a small file of fixed size: `magic`, what `fill` writes behind it, and a crc32 of all that. */
export function seal(magic: Buffer, length: number, fill: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length)
  magic.copy(bytes)
  fill(bytes)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -CHECKSUM_BYTES)), length - CHECKSUM_BYTES)
  return bytes
}

/** True when a file has that magic and length, and its checksum matches. */
export function isSealed(bytes: Buffer | undefined, magic: Buffer, length: number): bytes is Buffer {
  if (bytes?.length !== length || !bytes.subarray(0, magic.length).equals(magic)) return false
  return crc32(bytes.subarray(0, -CHECKSUM_BYTES)) === bytes.readUInt32BE(length - CHECKSUM_BYTES)
}
