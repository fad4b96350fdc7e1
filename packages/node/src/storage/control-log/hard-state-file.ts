import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoreId } from '@ashlar/proto'
import type { HardState } from '../../core/raft/index.ts'
import { uuidAt, writeUuid } from '../encoding/uuid-bytes.ts'
import { corruptStoreError } from '../errors.ts'
import { syncDirectory } from '../files/directories.ts'
import { openOrMake, readIfThere, writeAll } from './files.ts'
import { isSealed, seal } from './sealed.ts'

/**
 * Term and vote in two files of the same content, each written and synced before the other is touched, so that a crash
 * tears one at most and a block that rots takes one at most. Big-endian:
 *
 *    0  8   `ASHVOTE1`
 *    8  u64 generation: rises with each write; the higher one of two valid files is the newer
 *   16  u64 term
 *   24  u8  bits: 1 a vote follows; 2 the log is being recovered
 *   25  16  store that the vote is for; zeroes without one
 *   41  u32 crc32 of bytes 0 to 41
 */
export const HARD_STATE_NAMES = ['vote.0', 'vote.1'] as const
const MAGIC = Buffer.from('ASHVOTE1')
const BYTES = 45
const VOTE_AT = 25
const VOTED = 1
const RECOVERING = 2

export class HardStateFile {
  /** What the files held when they were opened; undefined: nothing was ever written. */
  readonly stored: HardState | undefined
  readonly #directory: string
  #generation: number
  #handles: FileHandle[] | undefined

  private constructor(
    directory: string,
    newest: { readonly generation: number; readonly state: HardState } | undefined,
  ) {
    this.#directory = directory
    this.stored = newest?.state
    this.#generation = newest?.generation ?? 0
  }

  /** Rejects with INTERNAL when both copies are damaged: the store may have voted for an unknown candidate. */
  static async open(directory: string): Promise<HardStateFile> {
    const copies = await Promise.all(HARD_STATE_NAMES.map((name) => readIfThere(join(directory, name))))
    const valid = copies.flatMap((bytes) => decode(bytes) ?? [])
    // The first file alone, and torn: the very first write was never over.
    const written = copies[1] !== undefined && copies[1].length > 0
    if (valid.length === 0 && written)
      throw corruptStoreError(`both copies of the term and vote in ${directory} are damaged`)
    valid.sort((a, b) => b.generation - a.generation)
    return new HardStateFile(directory, valid[0])
  }

  /** Resolves when both copies are on stable storage. */
  async write(state: HardState): Promise<void> {
    const bytes = encode(++this.#generation, state)
    this.#handles ??= await this.#open()
    for (const handle of this.#handles) {
      await writeAll(handle, bytes, 0)
      await handle.datasync()
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles ?? []) await handle.close()
  }

  async #open(): Promise<FileHandle[]> {
    const handles: FileHandle[] = []
    for (const name of HARD_STATE_NAMES) handles.push(await openOrMake(join(this.#directory, name)))
    await syncDirectory(this.#directory)
    return handles
  }
}

function encode(generation: number, { term, vote, recovering }: HardState): Buffer {
  return seal(MAGIC, BYTES, (bytes) => {
    bytes.writeBigUInt64BE(BigInt(generation), 8)
    bytes.writeBigUInt64BE(BigInt(term), 16)
    bytes.writeUInt8((vote === undefined ? 0 : VOTED) | (recovering ? RECOVERING : 0), 24)
    if (vote !== undefined) writeUuid(bytes, vote, VOTE_AT)
  })
}

function decode(bytes: Buffer | undefined): { generation: number; state: HardState } | undefined {
  if (!isSealed(bytes, MAGIC, BYTES)) return undefined
  const flags = bytes.readUInt8(24)
  const state: HardState = {
    term: Number(bytes.readBigUInt64BE(16)),
    vote: (flags & VOTED) === 0 ? undefined : (uuidAt(bytes, VOTE_AT) as StoreId),
    ...((flags & RECOVERING) === 0 ? {} : { recovering: true }),
  }
  return { generation: Number(bytes.readBigUInt64BE(8)), state }
}
