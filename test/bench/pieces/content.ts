import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { BLOCK_BYTES } from './piece.ts'

const BLOCKS = 1024

/** Blocks of random bytes with their checksums, made once: making them is no part of what is measured. */
export class BlockSource {
  readonly #blocks = Array.from({ length: BLOCKS }, () => {
    const bytes = new Uint8Array(randomBytes(BLOCK_BYTES))
    return { bytes, checksum: crc32(bytes) }
  })
  #next = 0

  next(): { readonly bytes: Uint8Array; readonly checksum: number } {
    this.#next = (this.#next + 1) % BLOCKS
    return this.#blocks[this.#next] as { bytes: Uint8Array; checksum: number }
  }
}

/** A random whole number below a limit. */
export function below(limit: number): number {
  return Math.floor(Math.random() * limit)
}
