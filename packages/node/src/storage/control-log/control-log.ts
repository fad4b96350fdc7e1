import { mkdir, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { invariant, MIB } from '@ashlar/proto'
import type { LogEntry } from '../../core/control/commands.ts'
import type { HardState, PersistRequest, Snapshot } from '../../core/raft/index.ts'
import { syncDirectory } from '../directories.ts'
import { driverClosedError, driverPoisonedError, unusableStoreError } from '../errors.ts'
import { HARD_STATE_NAMES, HardStateFile } from './hard-state-file.ts'
import { readSegments } from './read-segments.ts'
import { Segments } from './segments.ts'
import { readSnapshot, SNAPSHOT_NAME, SNAPSHOT_TEMPORARY_NAME, writeSnapshot } from './snapshot-file.ts'
import { SYNCED_NAME, SyncedHint } from './synced-hint.ts'

/**
 * The control log on disk: files named by the index of their first entry, each the 8 bytes `ASHLOG1\n` and then records
 * (record.ts); the term and vote (hard-state-file.ts); a snapshot (snapshot-file.ts); and what was synced last
 * (synced-hint.ts).
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
   * Carries one request of raft out, its parts in order, each durable before the next. Resolves when all of it and every
   * call before it are on stable storage. The token is the caller's.
   */
  persist(request: Omit<PersistRequest, 'token'>): Promise<void>
  close(): Promise<void>
}

export interface ControlLogOptions {
  /** A file that has reached this size is followed by a new one. Bytes. */
  readonly segmentBytes: number
}

const DEFAULTS: ControlLogOptions = { segmentBytes: 16 * MIB }
const SEGMENT_NAME = /^\d{16}\.log$/
const OTHER_NAMES: readonly string[] = [SYNCED_NAME, ...HARD_STATE_NAMES, SNAPSHOT_NAME, SNAPSHOT_TEMPORARY_NAME]

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
  return new FileControlLog(directory, { hardState, segments, hint, snapshot, entries: follow ?? [] })
}

/** Entries that follow the snapshot; undefined when the log is of another history, or ends before it. */
function entriesAfter(snapshot: Snapshot | undefined, entries: readonly LogEntry[]): readonly LogEntry[] | undefined {
  const first = entries[0]?.index
  if (snapshot === undefined || first === undefined || first === snapshot.index + 1) return entries
  if (entries[snapshot.index - first]?.term !== snapshot.term) return undefined
  return entries.slice(snapshot.index - first + 1)
}

interface Opened {
  readonly hardState: HardStateFile
  readonly segments: Segments
  readonly hint: SyncedHint
  readonly snapshot: Snapshot | undefined
  readonly entries: readonly LogEntry[]
}

class FileControlLog implements ControlLog {
  readonly entries: readonly LogEntry[]
  readonly snapshot: Snapshot | undefined
  readonly #directory: string
  readonly #opened: Opened
  /** Last index once everything that was asked for is written. */
  #accepted: number
  #last: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined
  #closed = false

  constructor(directory: string, opened: Opened) {
    this.#directory = directory
    this.#opened = opened
    this.entries = opened.entries
    this.snapshot = opened.snapshot
    this.#accepted = opened.segments.lastIndex
  }

  get hardState(): HardState | undefined {
    return this.#opened.hardState.stored
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
    return await this.#next(() => this.#carryOut(request))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
    await this.#opened.segments.close()
    await this.#opened.hardState.close()
    await this.#opened.hint.close()
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

  async #carryOut({ hardState, snapshot, append }: Omit<PersistRequest, 'token'>): Promise<void> {
    const { segments } = this.#opened
    if (hardState !== undefined) await this.#opened.hardState.write(hardState)
    if (snapshot !== undefined) await writeSnapshot(this.#directory, snapshot)
    if (append !== undefined) {
      if (append.restart) await segments.restartAfter(append.from - 1)
      else await segments.truncate(append.from)
      await segments.append(append.entries)
    }
    if (snapshot !== undefined) await segments.prune(snapshot.index)
  }
}
