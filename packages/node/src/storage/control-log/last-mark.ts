import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { StoreId } from '@ashlar/proto'
import type { LogMark } from '../../core/raft/index.ts'
import { NO_LOG_MARK } from '../../core/raft/index.ts'
import { syncDirectory } from '../directories.ts'
import { uuidAt, writeUuid } from '../uuid-bytes.ts'
import { openOrMake, readIfThere, writeAll } from './files.ts'

/**
 * What this store has said in the newest term, beside the directory of the log like the mark of the term (term-mark.ts), which
 * stays as it is for builds that know no other. Written in place: what a crash tears says nothing. Big-endian:
 *
 *    0  8   `ASHLAST1`
 *    8  u64 term
 *   16  u64 the last entry that is durable here in that term; 0 without one
 *   24  u8  1: a vote follows
 *   25  16  store that the vote is for; zeroes without one
 *   41  u32 crc32 of bytes 0 to 41
 *
 * A term and a vote are synced. An entry's index is written with each append and synced once in `SYNCED_EVERY`: an old copy of
 * the log is found out to the entry, but after a loss of power meanwhile, when it may lack that many.
 */
const MAGIC = Buffer.from('ASHLAST1')
const BYTES = 45
const CHECKED_BYTES = 41
const VOTE_AT = 25
const SYNCED_EVERY = 64

/** Where the mark of the log in `directory` is. */
export function lastMarkPath(directory: string): string {
  return `${directory}.last`
}

export class LastMark {
  readonly #path: string
  #said: LogMark
  #syncedIndex: number
  #handle: FileHandle | undefined

  private constructor(path: string, said: LogMark) {
    this.#path = path
    this.#said = said
    this.#syncedIndex = said.index
  }

  /** A mark that is missing, or does not match its checksum, says nothing. */
  static async open(directory: string): Promise<LastMark> {
    const path = lastMarkPath(directory)
    return new LastMark(path, decode(await readIfThere(path)))
  }

  get said(): LogMark {
    return this.#said
  }

  /** Resolves when it is written, and on stable storage where term or vote changed. */
  async write(mark: LogMark): Promise<void> {
    const { term, vote, index } = this.#said
    if (mark.term === term && mark.vote === vote && mark.index === index) return
    this.#handle ??= await this.#open()
    await writeAll(this.#handle, encode(mark), 0)
    if (mark.term !== term || mark.vote !== vote || mark.index - this.#syncedIndex >= SYNCED_EVERY) {
      await this.#handle.datasync()
      this.#syncedIndex = mark.index
    }
    this.#said = mark
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

function encode({ term, vote, index }: LogMark): Buffer {
  const bytes = Buffer.alloc(BYTES)
  MAGIC.copy(bytes)
  bytes.writeBigUInt64BE(BigInt(term), 8)
  bytes.writeBigUInt64BE(BigInt(index), 16)
  bytes.writeUInt8(vote === undefined ? 0 : 1, 24)
  if (vote !== undefined) writeUuid(bytes, vote, VOTE_AT)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return bytes
}

function decode(bytes: Buffer | undefined): LogMark {
  if (bytes === undefined || bytes.length !== BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return NO_LOG_MARK
  if (crc32(bytes.subarray(0, CHECKED_BYTES)) !== bytes.readUInt32BE(CHECKED_BYTES)) return NO_LOG_MARK
  return {
    term: Number(bytes.readBigUInt64BE(8)),
    vote: bytes.readUInt8(24) === 0 ? undefined : (uuidAt(bytes, VOTE_AT) as StoreId),
    index: Number(bytes.readBigUInt64BE(16)),
  }
}
