import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { StoreId } from '@ashlar/proto'
import type { LogMark } from '../../core/raft/index.ts'
import { NO_LOG_MARK } from '../../core/raft/index.ts'
import { uuidAt, writeUuid } from '../encoding/uuid-bytes.ts'
import { syncDirectory } from '../files/directories.ts'
import { openOrMake, readIfThere, writeAll } from './files.ts'
import { isSealed, seal } from './sealed.ts'

/**
 * The vote and last entry of this store in the newest term, beside the directory of the log like the mark of the term (term-mark.ts), which
 * stays as it is for builds that know no other. Written in place: a torn mark is ignored. Big-endian:
 *
 *    0  8   `ASHLAST1`
 *    8  u64 term
 *   16  u64 the last entry that is durable here in that term; 0 without one
 *   24  u8  1: a vote follows
 *   25  16  store that the vote is for; zeroes without one
 *   41  u64 cluster generation of the log
 *   49  u32 crc32 of bytes 0 to 49
 *
 * `cluster recover` puts another log in the place of this one, in the next generation. Builds before this mark leave it beside
 * the new log: its generation identifies it, and it is ignored.
 *
 * A term and a vote are synced. An entry's index is written with each append and synced once in `SYNCED_EVERY`: an old copy of
 * the log is found out to the entry, but after a loss of power meanwhile, when it may lack that many.
 */
const MAGIC = Buffer.from('ASHLAST1')
const BYTES = 53
const VOTE_AT = 25
const GENERATION_AT = 41
const SYNCED_EVERY = 64

/** Where the mark of the log in `directory` is. */
export function lastMarkPath(directory: string): string {
  return `${directory}.last`
}

export class LastMark {
  readonly #path: string
  #said: LogMark
  #generation: number
  #syncedIndex: number
  #handle: FileHandle | undefined

  private constructor(path: string, { said, generation }: Stored) {
    this.#path = path
    this.#said = said
    this.#generation = generation
    this.#syncedIndex = said.index
  }

  /** A mark that is missing, or does not match its checksum, is ignored. */
  static async open(directory: string): Promise<LastMark> {
    const path = lastMarkPath(directory)
    return new LastMark(path, decode(await readIfThere(path)))
  }

  get said(): LogMark {
    return this.#said
  }

  /** Cluster generation of its log. */
  get generation(): number {
    return this.#generation
  }

  /** The mark belongs to another log than the present one. */
  forget(): void {
    this.#said = NO_LOG_MARK
    this.#generation = 0
    this.#syncedIndex = 0
  }

  /** Resolves when it is written, and on stable storage where term, vote or generation changed. */
  async write(mark: LogMark, generation: number): Promise<void> {
    const { term, vote, index } = this.#said
    const isSame = mark.term === term && mark.vote === vote && generation === this.#generation
    if (isSame && mark.index === index) return
    this.#handle ??= await this.#open()
    await writeAll(this.#handle, encode(mark, generation), 0)
    if (!isSame || mark.index - this.#syncedIndex >= SYNCED_EVERY) {
      await this.#handle.datasync()
      this.#syncedIndex = mark.index
    }
    this.#said = mark
    this.#generation = generation
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #open(): Promise<FileHandle> {
    const handle = await openOrMake(this.#path)
    await syncDirectory(dirname(this.#path))
    return handle
  }
}

interface Stored {
  readonly said: LogMark
  readonly generation: number
}

function encode({ term, vote, index }: LogMark, generation: number): Buffer {
  return seal(MAGIC, BYTES, (bytes) => {
    bytes.writeBigUInt64BE(BigInt(term), 8)
    bytes.writeBigUInt64BE(BigInt(index), 16)
    bytes.writeUInt8(vote === undefined ? 0 : 1, 24)
    if (vote !== undefined) writeUuid(bytes, vote, VOTE_AT)
    bytes.writeBigUInt64BE(BigInt(generation), GENERATION_AT)
  })
}

function decode(bytes: Buffer | undefined): Stored {
  if (!isSealed(bytes, MAGIC, BYTES)) return { said: NO_LOG_MARK, generation: 0 }
  const said = {
    term: Number(bytes.readBigUInt64BE(8)),
    vote: bytes.readUInt8(24) === 0 ? undefined : (uuidAt(bytes, VOTE_AT) as StoreId),
    index: Number(bytes.readBigUInt64BE(16)),
  }
  return { said, generation: Number(bytes.readBigUInt64BE(GENERATION_AT)) }
}
