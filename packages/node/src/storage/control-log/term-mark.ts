import { open as openFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncDirectory } from '../files/directories.ts'
import { readIfThere, writeAll } from './files.ts'

/**
 * The highest term in which this store took part in the control log, beside the directory of the log and not in it: a store
 * that lost that directory, or has an old copy of it, may have voted and acknowledged more than its log shows. Replaced whole, after
 * each change of the term and before anything of that term is sent to others. Big-endian:
 *
 *    0  8   `ASHTERM1`
 *    8  u64 term
 *   16  u32 crc32 of bytes 0 to 16
 */
const MAGIC = Buffer.from('ASHTERM1')
const BYTES = 20
const CHECKED_BYTES = 16

/** Where the mark of the log in `directory` is. */
export function termMarkPath(directory: string): string {
  return `${directory}.term`
}

export class TermMark {
  readonly #path: string
  #term: number

  private constructor(path: string, term: number) {
    this.#path = path
    this.#term = term
  }

  /** A mark that does not match its checksum is ignored. */
  static async open(directory: string): Promise<TermMark> {
    const path = termMarkPath(directory)
    return new TermMark(path, decode(await readIfThere(path)))
  }

  /** 0: this store never took part. */
  get term(): number {
    return this.#term
  }

  /** Resolves when the mark is on stable storage. A term that is not higher is there already. */
  async raise(term: number): Promise<void> {
    if (term <= this.#term) return
    const temporary = `${this.#path}.new`
    const handle = await openFile(temporary, 'w')
    try {
      await writeAll(handle, encode(term), 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, this.#path)
    await syncDirectory(dirname(this.#path))
    this.#term = term
  }
}

function encode(term: number): Buffer {
  const bytes = Buffer.alloc(BYTES)
  MAGIC.copy(bytes)
  bytes.writeBigUInt64BE(BigInt(term), 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return bytes
}

function decode(bytes: Buffer | undefined): number {
  if (bytes === undefined || bytes.length !== BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 0
  if (crc32(bytes.subarray(0, CHECKED_BYTES)) !== bytes.readUInt32BE(CHECKED_BYTES)) return 0
  return Number(bytes.readBigUInt64BE(8))
}
