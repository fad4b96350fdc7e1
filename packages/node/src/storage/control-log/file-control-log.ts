import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AshlarError, invariant, MIB } from '@ashlar/proto'
import type { LogEntry } from '../../core/control/index.ts'
import { generationOfSnapshot } from '../../core/control/index.ts'
import {
  type HardState,
  isBehindMark,
  keptLog,
  type LogMark,
  markOfLog,
  markOfVote,
  NO_LOG_MARK,
  newerMark,
  type PersistRequest,
  type Snapshot,
} from '../../core/raft/index.ts'
import { driverClosedError, driverPoisonedError, unusableStoreError } from '../errors.ts'
import { syncDirectory } from '../files/directories.ts'
import type { BootMark } from './boot-mark.ts'
import { HARD_STATE_NAMES, HardStateFile } from './hard-state-file.ts'
import { LastMark } from './last-mark.ts'
import { readSegments } from './read-segments.ts'
import { Segments } from './segments.ts'
import { readSnapshot, SNAPSHOT_NAME, SNAPSHOT_TEMPORARY_NAME, writeSnapshot } from './snapshot-file.ts'
import { SYNCED_NAME, SyncedHint } from './synced-hint.ts'
import { TermMark, termMarkPath } from './term-mark.ts'

/**
 * The control log on disk: files named by the index of their first entry, each the 8 bytes `ASHLOG1\n` and then records
 * (record.ts); the term and vote (hard-state-file.ts); a snapshot (snapshot-file.ts); and what was synced last
 * (synced-hint.ts). Beside the directory: the highest term in which the store took part (term-mark.ts), and its vote and last
 * entry in that term (last-mark.ts).
 */
export interface ControlLog {
  /** What the log held when it was opened: from index 1, or from the one after the snapshot's. */
  readonly entries: readonly LogEntry[]
  /** Term and vote at the opening; undefined when none were ever written. */
  readonly hardState: HardState | undefined
  readonly snapshot: Snapshot | undefined
  /**
   * Appends entries whose indexes follow the last one. Resolves when they and all before are on stable storage. After a
   * failure every later call rejects: a sync that failed once proves nothing when it is tried again.
   */
  append(entries: readonly LogEntry[]): Promise<void>
  /**
   * Executes one request of raft, its parts in order, each durable before the next. Resolves when all of it and every
   * call before it are on stable storage. The token is the caller's.
   */
  persist(request: Omit<PersistRequest, 'token'>): Promise<void>
  close(): Promise<void>
}

export interface ControlLogOptions {
  /** A file that has reached this size is followed by a new one. Bytes. */
  readonly segmentBytes: number
  /**
   * Other stores keep the log too. What is damaged or lost here is then set aside, and the log opens empty, in a new term and
   * `recovering`, for them to fill. Otherwise that is an error, and not noticed only where nothing is left.
   */
  readonly shared: boolean
  /** The mark outside of the data directory, where there is one. The log closes it. */
  readonly bootMark: BootMark | undefined
}

const DEFAULTS: ControlLogOptions = { segmentBytes: 16 * MIB, shared: false, bootMark: undefined }
const SEGMENT_NAME = /^\d{16}\.log$/
const OTHER_NAMES: readonly string[] = [SYNCED_NAME, ...HARD_STATE_NAMES, SNAPSHOT_NAME, SNAPSHOT_TEMPORARY_NAME]

/**
 * Opens or creates the log in `directory`. A torn record at the end is cut off; a damaged one with valid ones behind it,
 * or one that was acknowledged, is an AshlarError INTERNAL that names the file; see `shared`. An old copy of a log that is not
 * shared is an AshlarError CONFLICT. The caller sees to it that no other process opens it (the store's lock).
 */
export async function openControlLog(directory: string, options: Partial<ControlLogOptions> = {}): Promise<ControlLog> {
  const { segmentBytes, shared, bootMark } = { ...DEFAULTS, ...options }
  const marks = { term: await TermMark.open(directory), last: await LastMark.open(directory), boot: bootMark }
  const log = await openMarked(directory, segmentBytes, marks, shared)
  await bootMark?.write(marks.last.said)
  return log
}

async function openMarked(directory: string, segmentBytes: number, marks: Marks, shared: boolean): Promise<ControlLog> {
  // A directory that has not joined a cluster has no voters that could fill its log.
  if (marks.boot?.isOfForgottenCluster)
    throw oldCopyError(directory, marks, 'Put the newer data directory back, or start over an empty one.')
  if (!shared) return await openAlone(directory, segmentBytes, marks)
  const log = await openWhole(directory, segmentBytes, marks).catch((error: unknown) => {
    if (error instanceof AshlarError && error.code === 'INTERNAL') return undefined
    throw error
  })
  // Entries are sent to other stores only after their marks: a log that is behind the marks is an old copy.
  if (log !== undefined && !log.isBehind(marks)) {
    await marks.term.raise(log.hardState?.term ?? 0)
    return log
  }
  await log?.close()
  await beginRecovery(directory, marks)
  return await openWhole(directory, segmentBytes, marks)
}

/**
 * No other store has what an old copy lacks, so an operator must decide. A node that lost its log waits: the marks beside it
 * are there, and would not be in a directory that is older than the log.
 */
async function openAlone(directory: string, segmentBytes: number, marks: Marks): Promise<ControlLog> {
  const log = await openWhole(directory, segmentBytes, marks)
  const isLost = log.isEmpty && marks.term.term > 0
  if (isLost || !log.isBehind(marks)) return log
  await log.close()
  throw oldCopyError(
    directory,
    marks,
    'Put the newer directory back, or rebuild the map: ashlar cluster recover --from DIR.',
  )
}

function oldCopyError(directory: string, marks: Marks, hint: string): AshlarError {
  const { term, index } = newestMark(marks)
  const { said } = marks.last
  const what = existsSync(directory) ? `the control log in ${directory}` : `the data directory without ${directory}`
  const witness = said.term < term || said.index < index ? `, according to ${marks.boot?.path}` : ''
  return unusableStoreError(
    `${what} is an old copy: this store wrote entry ${index} of term ${Math.max(term, marks.term.term)}${witness}`,
    hint,
    undefined,
    'old-copy',
  )
}

/**
 * Replaces a damaged log by an empty one, and keeps it beside for an operator. The store may have voted in the term of the log
 * or of its mark, or earlier, so it continues in the next term. A crash in between leaves the mark without a log: recovery
 * begins again.
 */
async function beginRecovery(directory: string, marks: Marks): Promise<void> {
  const marked = Math.max(marks.term.term, newestMark(marks).term)
  const known = await HardStateFile.open(directory).catch((error: unknown) => {
    if (marked === 0) throw error
    return undefined
  })
  const term = Math.max(marked, known?.stored?.term ?? 0)
  await marks.term.raise(term)
  const names = await readdir(directory)
  if (names.some((name) => name !== SYNCED_NAME)) {
    const aside = `${directory}.set-aside`
    await rm(aside, { recursive: true, force: true })
    await rename(directory, aside)
    await mkdir(directory)
    await syncDirectory(dirname(directory))
  } else for (const name of names) await rm(join(directory, name))
  const fresh = await HardStateFile.open(directory)
  await fresh.write({ term: term + 1, vote: undefined, recovering: true })
  await fresh.close()
}

async function openWhole(directory: string, segmentBytes: number, marks: Marks): Promise<FileControlLog> {
  await mkdir(directory, { recursive: true })
  await syncDirectory(dirname(directory))
  const names = (await readdir(directory)).sort()
  for (const name of names) {
    if (!SEGMENT_NAME.test(name) && !OTHER_NAMES.includes(name)) {
      throw unusableStoreError(`the control log directory ${directory} holds a foreign file, ${name}`, 'Move it away.')
    }
  }
  const hardState = await HardStateFile.open(directory)
  const snapshot = await readSnapshot(directory)
  const covered = snapshot?.index ?? 0
  const files = names.filter((name) => SEGMENT_NAME.test(name))
  const read = await readSegments(directory, files, await SyncedHint.read(directory), covered)
  const hint = await SyncedHint.open(directory)
  const segments = new Segments(directory, segmentBytes, hint, read)
  const follow = entriesAfter(snapshot, read.entries)
  // A crash came between the snapshot and the end of the log whose place it took.
  if (follow === undefined) await segments.restartAfter(covered)
  const entries = follow ?? []
  const generation = generationOf(snapshot, entries)
  const log = new FileControlLog(directory, { hardState, marks, segments, hint, snapshot, entries, generation })
  if (log.isOther(marks)) marks.last.forget()
  return log
}

/** Cluster generation of a log (amendment 16), from a part of it. */
function generationOf(snapshot: Snapshot | undefined, entries: readonly LogEntry[]): number {
  const begun = entries.flatMap(({ command }) => (command.do === 'recover' ? [command.generation] : []))
  return Math.max(snapshot === undefined ? 0 : generationOfSnapshot(snapshot.state), ...begun)
}

/** Entries that follow the snapshot; undefined when the log is of another timeline, or ends before it. */
function entriesAfter(snapshot: Snapshot | undefined, entries: readonly LogEntry[]): readonly LogEntry[] | undefined {
  const first = entries[0]?.index
  if (snapshot === undefined || first === undefined || first === snapshot.index + 1) return entries
  if (entries[snapshot.index - first]?.term !== snapshot.term) return undefined
  return entries.slice(snapshot.index - first + 1)
}

/** The log of a store that keeps one, or did so once; undefined where neither it nor any mark of it is there. */
export async function openExistingControlLog(
  directory: string,
  options: Partial<ControlLogOptions> = {},
): Promise<ControlLog | undefined> {
  const isKept = existsSync(directory) || existsSync(termMarkPath(directory))
  return isKept || keptLog(options.bootMark?.said ?? NO_LOG_MARK) ? await openControlLog(directory, options) : undefined
}

/** Kept beside the directory of the log, so that they do not go back with it, and one outside of the data directory. */
interface Marks {
  readonly term: TermMark
  readonly last: LastMark
  readonly boot: BootMark | undefined
}

function newestMark({ last, boot }: Marks): LogMark {
  return newerMark(last.said, boot?.said ?? NO_LOG_MARK)
}

interface Opened {
  readonly hardState: HardStateFile
  readonly marks: Marks
  readonly segments: Segments
  readonly hint: SyncedHint
  readonly snapshot: Snapshot | undefined
  readonly entries: readonly LogEntry[]
  readonly generation: number
}

class FileControlLog implements ControlLog {
  readonly entries: readonly LogEntry[]
  readonly snapshot: Snapshot | undefined
  readonly #directory: string
  readonly #opened: Opened
  #generation: number
  /** Last index once all requests are written. */
  #accepted: number
  #last: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined
  #closed = false

  constructor(directory: string, opened: Opened) {
    this.#directory = directory
    this.#opened = opened
    this.entries = opened.entries
    this.snapshot = opened.snapshot
    this.#generation = opened.generation
    this.#accepted = opened.segments.lastIndex
  }

  get hardState(): HardState | undefined {
    return this.#opened.hardState.stored
  }

  get isEmpty(): boolean {
    return this.hardState === undefined && this.#lastIndex === 0
  }

  /**
   * The newer mark is of a log whose place this one took: an older build did that, which moves the other mark away with a log.
   * Where nothing of this log is left, its generation is unknown.
   */
  isOther({ term, last }: Marks): boolean {
    return this.#lastIndex === 0 ? term.term < last.said.term : this.#generation > last.generation
  }

  /** Lacks entries or a vote that this store has sent to others, as of the opening. */
  isBehind(marks: Marks): boolean {
    if ((this.hardState?.term ?? 0) < marks.term.term) return true
    if (this.#lastIndex > 0 && this.#generation < marks.last.generation) return true
    return isBehindMark(newestMark(marks), this.hardState, this.#lastIndex)
  }

  /** Of what is on stable storage. */
  get #lastIndex(): number {
    return Math.max(this.#opened.segments.lastIndex, this.snapshot?.index ?? 0)
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    if (this.#closed) throw driverClosedError()
    this.#accept(entries)
    return await this.#next(() => this.#opened.segments.append(entries))
  }

  async persist(request: Omit<PersistRequest, 'token'>): Promise<void> {
    if (this.#closed) throw driverClosedError()
    const { append } = request
    if (append !== undefined) {
      invariant(
        append.restart || append.from <= this.#accepted + 1,
        `entry ${append.from} leaves a gap in the control log`,
      )
      this.#accepted = append.from - 1
      this.#accept(append.entries)
    }
    return await this.#next(() => this.#execute(request))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
    await this.#opened.segments.close()
    await this.#opened.hardState.close()
    await this.#opened.hint.close()
    await this.#opened.marks.last.close()
    await this.#opened.marks.boot?.close()
  }

  #accept(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      invariant(entry.index === this.#accepted + 1, `entry ${entry.index} appended after entry ${this.#accepted}`)
      this.#accepted = entry.index
    }
  }

  /** One after the other; after a failure nothing any more. */
  async #next(write: () => Promise<void>): Promise<void> {
    const written = this.#last.then(async () => {
      if (this.#failure !== undefined) throw driverPoisonedError(this.#failure.cause)
      try {
        await write()
      } catch (cause) {
        this.#failure = { cause }
        throw cause
      }
    })
    this.#last = written.catch(() => undefined)
    return await written
  }

  async #execute(request: Omit<PersistRequest, 'token'>): Promise<void> {
    const { hardState, snapshot, append } = request
    const { segments, marks } = this.#opened
    this.#generation = Math.max(this.#generation, generationOf(snapshot, append?.entries ?? []))
    if (hardState !== undefined) {
      await this.#opened.hardState.write(hardState)
      await marks.term.raise(hardState.term)
      await marks.last.write(markOfVote(marks.last.said, hardState), this.#generation)
      await marks.boot?.write(marks.last.said)
    }
    if (snapshot !== undefined) await writeSnapshot(this.#directory, snapshot)
    if (append !== undefined) {
      if (append.restart) await segments.restartAfter(append.from - 1)
      else await segments.truncate(append.from)
      await segments.append(append.entries)
    }
    await marks.last.write(markOfLog(marks.last.said, request), this.#generation)
    await marks.boot?.write(marks.last.said)
    if (snapshot !== undefined) await segments.prune(snapshot.index)
  }
}
