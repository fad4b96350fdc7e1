import { crc32 } from 'node:zlib'
import { type AnyMessage, BLOCK_DATA, type Bytes, splitBlocks, type Write } from '@ashlar/proto'

/** Checksum of block bytes: crc32 of node:zlib, a number from 0 to 2^32 - 1 (amendment 20). */
export function checksum(bytes: Uint8Array): number {
  return crc32(bytes)
}

/**
 * True when the block bytes of replicate, push, read-done or fetched-block match their checksums. A write is true here
 * without a check: its parts depend on the block size, so `verifyWrite` checks it. Other kinds have no block bytes and
 * are true.
 */
export function verifyChecksums(message: AnyMessage): boolean {
  switch (message.type) {
    case 'replicate':
      return message.blocks.every((block) => block.kind !== BLOCK_DATA || matches(block.bytes, block.checksum))
    case 'read-done':
      return message.parts.every((part) => part.bytes === undefined || matches(part.bytes, part.checksum))
    case 'push':
      return message.kind !== BLOCK_DATA || matches(message.bytes, message.checksum)
    case 'fetched-block':
      return message.bytes === undefined || matches(message.bytes, message.checksum)
    default:
      return true
  }
}

/** True when a write carries one checksum for each part that `splitBlocks` gives, and each matches its bytes. */
export function verifyWrite(message: Write, blockSizeBytes: Bytes): boolean {
  const parts = splitBlocks(blockSizeBytes, message.offset, message.payload.length)
  return (
    parts.length === message.checksums.length &&
    parts.every((part, i) => matches(message.payload.subarray(part.at, part.at + part.length), message.checksums[i]))
  )
}

function matches(bytes: Uint8Array | undefined, expected: number | undefined): boolean {
  return bytes !== undefined && crc32(bytes) === expected
}
