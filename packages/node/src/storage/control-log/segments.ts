import { constants } from 'node:fs'
import { type FileHandle, open as openFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { invariant } from '@ashlar/proto'
import type { LogEntry } from '../../core/control/index.ts'
import { syncDirectory } from '../files/directories.ts'
import { writeAll } from './files.ts'
import { MAGIC, type ReadSegments, type RecordPlace, segmentName } from './read-segments.ts'
import { encodeRecord, type RecordChain } from './record.ts'
import type { SyncedHint } from './synced-hint.ts'

/** The files of the log, open for writing: appends at the end, and drops records from either end. */
export class Segments {
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #hint: SyncedHint
  /** First index of each file, oldest first. */
  #files: number[]
  #newest: FileHandle | undefined
  #sizeBytes: number
  #chain: RecordChain
  /** Where each record stands, from the first one on. */
  #places: RecordPlace[]

  constructor(directory: string, segmentBytes: number, hint: SyncedHint, read: ReadSegments) {
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.#hint = hint
    this.#files = [...read.files]
    this.#newest = read.newest
    this.#sizeBytes = read.sizeBytes
    this.#chain = read.chain
    this.#places = read.places
  }

  get lastIndex(): number {
    return this.#chain.index
  }

  /** Resolves when the entries are on stable storage. */
  async append(entries: readonly LogEntry[]): Promise<void> {
    const first = entries[0]
    if (first === undefined) return
    invariant(first.index === this.lastIndex + 1, `entry ${first.index} written after entry ${this.lastIndex}`)
    const segment = await this.#segmentFor(first.index)
    const file = this.#files.at(-1) ?? first.index
    let chain = this.#chain
    let offset = this.#sizeBytes
    const places: RecordPlace[] = []
    const records = entries.map((entry, place) => {
      const record = encodeRecord(entry, place, chain)
      places.push({ file, offset, before: chain })
      chain = record.chain
      offset += record.bytes.length
      return record.bytes
    })
    await writeAll(segment, Buffer.concat(records), this.#sizeBytes)
    await segment.datasync()
    this.#sizeBytes = offset
    this.#chain = chain
    this.#places.push(...places)
    await this.#hint.write(chain.index)
  }

  /**
   * Drops every record from `index` on. Whole files go first, the newest first, so that a crash leaves the front of what
   * was there; each step is durable before the next, and all before anything is written in their place.
   */
  async truncate(index: number): Promise<void> {
    if (index > this.lastIndex) return
    const kept = index - this.#firstIndex
    const cut = this.#places[kept]
    invariant(cut !== undefined, `entry ${index} is not in the control log`)
    await this.#hint.lower(index - 1)
    await this.#deleteFiles((first) => first > cut.file || (first === index && first === cut.file))
    const last = this.#files.at(-1)
    if (last === cut.file) {
      this.#newest ??= await openFile(join(this.#directory, segmentName(last)), constants.O_RDWR)
      await this.#newest.truncate(cut.offset)
      await this.#newest.sync()
      this.#sizeBytes = cut.offset
    } else if (last !== undefined) {
      this.#newest = await openFile(join(this.#directory, segmentName(last)), constants.O_RDWR)
      this.#sizeBytes = (await this.#newest.stat()).size
    }
    this.#places.length = kept
    this.#chain = cut.before
  }

  /** Drops everything: the log goes on after entry `index`, which a snapshot on stable storage stands for. */
  async restartAfter(index: number): Promise<void> {
    await this.#hint.lower(Math.min(index, this.lastIndex))
    await this.#deleteFiles(() => true)
    this.#places = []
    this.#chain = { index, checksum: undefined }
    await this.#hint.lower(index)
  }

  /** Deletes the files that hold nothing after entry `index`, oldest first, but for the newest. */
  async prune(index: number): Promise<void> {
    const before = this.#firstIndex
    while (this.#files.length > 1 && (this.#files[1] ?? 0) <= index + 1) {
      await rm(join(this.#directory, segmentName(this.#files.shift() ?? 0)))
      await syncDirectory(this.#directory)
    }
    this.#places.splice(0, this.#firstIndex - before)
  }

  async close(): Promise<void> {
    await this.#newest?.close()
  }

  /** Index of the first record, if there is one. */
  get #firstIndex(): number {
    return this.#files[0] ?? this.#chain.index + 1
  }

  async #deleteFiles(isGone: (first: number) => boolean): Promise<void> {
    for (let last = this.#files.at(-1); last !== undefined && isGone(last); last = this.#files.at(-1)) {
      await this.#newest?.close()
      this.#newest = undefined
      await rm(join(this.#directory, segmentName(last)))
      this.#files.pop()
      await syncDirectory(this.#directory)
    }
  }

  /** The file to append to: the newest one, or a new one whose name is durable before anything is written to it. */
  async #segmentFor(index: number): Promise<FileHandle> {
    if (this.#newest !== undefined && this.#sizeBytes < this.#segmentBytes) return this.#newest
    await this.#newest?.close()
    const path = join(this.#directory, segmentName(index))
    const segment = await openFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL)
    this.#newest = segment
    await writeAll(segment, MAGIC, 0)
    await segment.datasync()
    await syncDirectory(this.#directory)
    this.#files.push(index)
    this.#sizeBytes = MAGIC.length
    return segment
  }
}
