import { open as openFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../files/directories.ts'
import { readIfThere, writeAll } from './files.ts'
import { isSealed, seal } from './sealed.ts'

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
  return seal(MAGIC, BYTES, (bytes) => bytes.writeBigUInt64BE(BigInt(term), 8))
}

function decode(bytes: Buffer | undefined): number {
  if (!isSealed(bytes, MAGIC, BYTES)) return 0
  return Number(bytes.readBigUInt64BE(8))
}
