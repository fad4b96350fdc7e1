import { constants } from 'node:fs'
import { type FileHandle, mkdir, open as openFile, readdir, readFile, truncate } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { invariant, MIB } from '@ashlar/proto'
import type { LogEntry } from '../../core/control/commands.ts'
import { syncDirectory, syncFile } from '../directories.ts'
import { corruptStoreError, driverClosedError, driverPoisonedError, unusableStoreError } from '../errors.ts'
import { encodeRecord, FIRST_RECORD, findLaterAppend, type RecordChain, readRecord } from './record.ts'

/**
 * The control log on disk: files named by the index of their first entry, each the 8 bytes `ASHLOG1\n` and then records
 * (record.ts), plus the file `synced`: the last index that was on stable storage, as a u64 and its crc32. It is written
 * after each sync and never synced itself, so that it is never ahead of the records; it tells an acknowledged record
 * that rotted at the very end from a record that was being written when the power went.
 */
export interface ControlLog {
  /** What the log held when it was opened, from index 1. */
  readonly entries: readonly LogEntry[]
  /**
   * Appends entries whose indexes follow the last one. Resolves when they and all before are on stable storage. After a
   * failure every later append rejects: a sync that failed once proves nothing when it is tried again.
   */
  append(entries: readonly LogEntry[]): Promise<void>
  close(): Promise<void>
}

export interface ControlLogOptions {
  /** A file that has reached this size is followed by a new one. Bytes. */
  readonly segmentBytes: number
}

const DEFAULTS: ControlLogOptions = { segmentBytes: 16 * MIB }
const MAGIC = Buffer.from('ASHLOG1\n')
const SEGMENT_NAME = /^\d{16}\.log$/
const SYNCED_NAME = 'synced'
const SYNCED_BYTES = 12

/**
 * Opens or creates the log in `directory`. A torn record at the end is cut off; a damaged one with valid ones behind it,
 * or one that was acknowledged, is an AshlarError INTERNAL that names the file. The caller sees to it that no other
 * process opens it (the store's lock).
 */
export async function openControlLog(directory: string, options: Partial<ControlLogOptions> = {}): Promise<ControlLog> {
  const { segmentBytes } = { ...DEFAULTS, ...options }
  await mkdir(directory, { recursive: true })
  await syncDirectory(dirname(directory))
  const names = (await readdir(directory)).sort()
  for (const name of names) {
    if (!SEGMENT_NAME.test(name) && name !== SYNCED_NAME) {
      throw unusableStoreError(`the control log directory ${directory} holds a foreign file, ${name}`, 'Move it away.')
    }
  }
  const segments = names.filter((name) => SEGMENT_NAME.test(name))
  const read = await readSegments(directory, segments, await readSyncedIndex(join(directory, SYNCED_NAME)))
  const hint = await openFile(join(directory, SYNCED_NAME), constants.O_RDWR | constants.O_CREAT)
  return new SegmentedLog(directory, segmentBytes, hint, read)
}

class SegmentedLog implements ControlLog {
  readonly entries: readonly LogEntry[]
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #hint: FileHandle
  #segment: FileHandle | undefined
  #sizeBytes: number
  #chain: RecordChain
  #accepted: number
  #last: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined
  #closed = false

  constructor(directory: string, segmentBytes: number, hint: FileHandle, read: ReadLog) {
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.#hint = hint
    this.entries = read.entries
    this.#segment = read.segment
    this.#sizeBytes = read.sizeBytes
    this.#chain = read.chain
    this.#accepted = read.chain.index
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    if (this.#closed) throw driverClosedError()
    for (const entry of entries) {
      invariant(entry.index === this.#accepted + 1, `entry ${entry.index} appended after entry ${this.#accepted}`)
      this.#accepted = entry.index
    }
    const appended = this.#last.then(() => this.#write(entries))
    this.#last = appended.catch(() => undefined)
    return await appended
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
    await this.#segment?.close()
    await this.#hint.close()
  }

  async #write(entries: readonly LogEntry[]): Promise<void> {
    if (this.#failure !== undefined) throw driverPoisonedError(this.#failure.cause)
    const first = entries[0]
    if (first === undefined) return
    try {
      const segment = await this.#segmentFor(first.index)
      let chain = this.#chain
      const records = entries.map((entry, place) => {
        const record = encodeRecord(entry, place, chain)
        chain = record.chain
        return record.bytes
      })
      const bytes = Buffer.concat(records)
      await writeAll(segment, bytes, this.#sizeBytes)
      await segment.datasync()
      this.#sizeBytes += bytes.length
      this.#chain = chain
      await writeAll(this.#hint, encodeSyncedIndex(chain.index), 0)
    } catch (cause) {
      this.#failure = { cause }
      throw cause
    }
  }

  /** The file to append to: the newest one, or a new one whose name is durable before anything is written to it. */
  async #segmentFor(index: number): Promise<FileHandle> {
    if (this.#segment !== undefined && this.#sizeBytes < this.#segmentBytes) return this.#segment
    await this.#segment?.close()
    const path = join(this.#directory, segmentName(index))
    const segment = await openFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL)
    this.#segment = segment
    await writeAll(segment, MAGIC, 0)
    await segment.datasync()
    await syncDirectory(this.#directory)
    this.#sizeBytes = MAGIC.length
    return segment
  }
}

interface ReadLog {
  readonly entries: LogEntry[]
  readonly chain: RecordChain
  /** The newest file, open for appending; undefined while there is none. */
  readonly segment: FileHandle | undefined
  readonly sizeBytes: number
}

/** Reads every file; changes nothing on disk before it is sure that no acknowledged entry is missing. */
async function readSegments(directory: string, names: readonly string[], synced: number): Promise<ReadLog> {
  const entries: LogEntry[] = []
  let chain = FIRST_RECORD
  let sizeBytes = 0
  let tornTail: { path: string; end: number } | undefined
  for (const [position, name] of names.entries()) {
    const path = join(directory, name)
    const isLast = position === names.length - 1
    const file = await readFile(path)
    const valid = readSegment(path, file, chain, entries)
    chain = valid.chain
    sizeBytes = valid.end
    if (valid.end === file.length && name === segmentName(valid.first)) continue
    if (!isLast) throw corruptStoreError(`the control log file ${path} is damaged at byte ${valid.end}`)
    refuseLaterAppends(path, file, valid)
    tornTail = { path, end: valid.end }
  }
  if (synced > chain.index) {
    throw corruptStoreError(
      `the control log in ${directory} ends at entry ${chain.index}, but entry ${synced} had been acknowledged`,
    )
  }
  if (tornTail !== undefined) {
    await truncate(tornTail.path, tornTail.end)
    await syncFile(tornTail.path)
  }
  const newest = names.at(-1)
  if (newest === undefined) return { entries, chain, segment: undefined, sizeBytes }
  const segment = await openFile(join(directory, newest), constants.O_RDWR)
  // A file whose first bytes were torn is started again.
  if (sizeBytes === 0) {
    await writeAll(segment, MAGIC, 0)
    await segment.datasync()
    sizeBytes = MAGIC.length
  }
  return { entries, chain, segment, sizeBytes }
}

interface ValidPart {
  /** Index that the name of the file must tell. */
  readonly first: number
  readonly chain: RecordChain
  /** Offset behind the last valid record. */
  readonly end: number
}

/** Reads records until the first one that is not whole and undamaged; refuses one that does not follow the one before. */
function readSegment(path: string, file: Buffer, before: RecordChain, entries: LogEntry[]): ValidPart {
  const first = before.index + 1
  if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return { first, chain: before, end: 0 }
  let chain = before
  let end = MAGIC.length
  for (;;) {
    const record = readRecord(file, end)
    if (record === undefined) return { first, chain, end }
    if (record.entry.index !== chain.index + 1 || record.before !== chain.checksum) {
      throw corruptStoreError(
        `the control log file ${path} has entry ${record.entry.index} at byte ${end}, which does not follow entry ${chain.index}`,
      )
    }
    entries.push(record.entry)
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

function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(16, '0')}.log`
}

function encodeSyncedIndex(index: number): Buffer {
  const bytes = Buffer.alloc(SYNCED_BYTES)
  bytes.writeBigUInt64BE(BigInt(index), 0)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8)
  return bytes
}

/** The index in the hint file; 0 when there is none that can be believed. */
async function readSyncedIndex(path: string): Promise<number> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  if (bytes.length !== SYNCED_BYTES || crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) return 0
  return Number(bytes.readBigUInt64BE(0))
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}
