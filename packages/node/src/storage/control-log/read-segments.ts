import { constants } from 'node:fs'
import { type FileHandle, open as openFile, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogEntry } from '../../core/control/index.ts'
import { corruptStoreError } from '../errors.ts'
import { syncFile } from '../files/directories.ts'
import { writeAll } from './files.ts'
import { FIRST_RECORD, findLaterAppend, type RecordChain, readRecord } from './record.ts'

export const MAGIC: Buffer = Buffer.from('ASHLOG1\n')

/** Where a record stands, and what it was appended after. */
export interface RecordPlace {
  /** First index of its file. */
  readonly file: number
  readonly offset: number
  readonly before: RecordChain
}

export interface ReadSegments {
  readonly entries: LogEntry[]
  readonly places: RecordPlace[]
  readonly chain: RecordChain
  /** First index of each file, oldest first. */
  readonly files: readonly number[]
  /** The newest file, open for appending; undefined while there is none. */
  readonly newest: FileHandle | undefined
  readonly sizeBytes: number
}

export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(16, '0')}.log`
}

/**
 * Reads every file, `names` oldest first; changes nothing on disk before it is sure that no acknowledged entry is
 * missing. `covered`: entries up to there may be missing, since a snapshot stands for them.
 */
export async function readSegments(
  directory: string,
  names: readonly string[],
  synced: number,
  covered: number,
): Promise<ReadSegments> {
  const entries: LogEntry[] = []
  const places: RecordPlace[] = []
  const files = names.map((name) => Number.parseInt(name, 10))
  let chain = startOf(directory, files[0], covered)
  let sizeBytes = 0
  let tornTail: { path: string; end: number } | undefined
  for (const [position, name] of names.entries()) {
    const path = join(directory, name)
    const isLast = position === names.length - 1
    const file = await readFile(path)
    const valid = readSegment(path, file, chain, entries, places)
    chain = valid.chain
    sizeBytes = valid.end
    if (valid.end === file.length && name === segmentName(valid.first)) continue
    if (!isLast) throw corruptStoreError(`the control log file ${path} is damaged at byte ${valid.end}`)
    refuseLaterAppends(path, file, valid)
    tornTail = { path, end: valid.end }
  }
  if (synced > Math.max(chain.index, covered)) {
    throw corruptStoreError(
      `the control log in ${directory} ends at entry ${chain.index}, but entry ${synced} had been acknowledged`,
    )
  }
  if (tornTail !== undefined) {
    await truncate(tornTail.path, tornTail.end)
    await syncFile(tornTail.path)
  }
  const newest = names.at(-1)
  if (newest === undefined) return { entries, places, chain, files, newest: undefined, sizeBytes }
  const handle = await openFile(join(directory, newest), constants.O_RDWR)
  // A file whose first bytes were torn is started again.
  if (sizeBytes === 0) {
    await writeAll(handle, MAGIC, 0)
    await handle.datasync()
    sizeBytes = MAGIC.length
  }
  return { entries, places, chain, files, newest: handle, sizeBytes }
}

/** What the first record follows: nothing, or what a snapshot stands for. */
function startOf(directory: string, first: number | undefined, covered: number): RecordChain {
  if (first === undefined) return covered === 0 ? FIRST_RECORD : { index: covered, checksum: undefined }
  if (first === 1) return FIRST_RECORD
  if (first > covered + 1) {
    throw corruptStoreError(
      `the control log in ${directory} begins at entry ${first}, and its snapshot ends at entry ${covered}`,
    )
  }
  return { index: first - 1, checksum: undefined }
}

interface ValidPart {
  /** Index in the name of the file. */
  readonly first: number
  readonly chain: RecordChain
  /** Offset behind the last valid record. */
  readonly end: number
}

/** Reads records until the first one that is not whole and undamaged; refuses one that does not follow the one before. */
function readSegment(
  path: string,
  file: Buffer,
  before: RecordChain,
  entries: LogEntry[],
  places: RecordPlace[],
): ValidPart {
  const first = before.index + 1
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return { first, chain: before, end: 0 }
  let chain = before
  let end = MAGIC.length
  for (;;) {
    const record = readRecord(file, end)
    if (record === undefined) return { first, chain, end }
    const follows = chain.checksum === undefined || record.before === chain.checksum
    if (record.entry.index !== chain.index + 1 || !follows) {
      throw corruptStoreError(
        `the control log file ${path} has entry ${record.entry.index} at byte ${end}, which does not follow entry ${chain.index}`,
      )
    }
    entries.push(record.entry)
    places.push({ file: first, offset: end, before: chain })
    chain = record.chain
    end = record.end
  }
}

/** A crash tears only the last append: a damaged record with a later append behind it is corruption. */
function refuseLaterAppends(path: string, file: Buffer, valid: ValidPart): void {
  const later = findLaterAppend(file, valid.end, valid.chain.index)
  if (later !== undefined) {
    throw corruptStoreError(
      `the control log file ${path} is damaged at byte ${valid.end}: valid entries follow at byte ${later}`,
    )
  }
}
