import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Bytes, MIB } from '@ashlar/proto'
import { BLOCK_BYTES } from './piece.ts'

/** The same for blocks of any size, since what fits into a cache of the processor is copied faster. */
const ALL_BYTES: Bytes = 4 * MIB

/** Blocks of random bytes with their checksums, made once: making them is no part of what is measured. */
export class BlockSource {
  readonly #blocks: readonly { readonly bytes: Uint8Array; readonly checksum: number }[]
  #next = 0

  constructor(blockBytes: Bytes = BLOCK_BYTES) {
    this.#blocks = Array.from({ length: ALL_BYTES / blockBytes }, () => {
      const bytes = new Uint8Array(randomBytes(blockBytes))
      return { bytes, checksum: crc32(bytes) }
    })
  }

  next(): { readonly bytes: Uint8Array; readonly checksum: number } {
    this.#next = (this.#next + 1) % this.#blocks.length
    return this.#blocks[this.#next] as { bytes: Uint8Array; checksum: number }
  }
}

/** A random whole number below a limit. */
export function below(limit: number): number {
  return Math.floor(Math.random() * limit)
}
