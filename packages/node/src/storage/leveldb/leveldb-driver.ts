import { dirname } from 'node:path'
import { AshlarError, MIB } from '@ashlar/proto'
import { Level } from 'level'
import type { BatchOperation, DiskSpace, Durability, Entry, KeyRange, ScanOptions, StorageDriver } from '../driver.ts'
import { corruptStoreError, driverClosedError, driverPoisonedError, unusableStoreError } from '../errors.ts'
import { diskSpace, syncDirectory } from '../files/directories.ts'
import { LEVELDB_DEFAULTS, type LevelDbOptions } from './options.ts'

/** What `level` is on Node.js: its declared type is only the part that it shares with its twin for browsers. */
interface Database extends Omit<Level<Uint8Array, Uint8Array>, 'batch'> {
  batch(operations: readonly BatchOperation[], options: { sync: boolean }): Promise<void>
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>
  getProperty(property: string): string
}

/** Entries that one step of a scan fetches at most; its bytes are bounded by `readAheadBytes`. */
const SCAN_STEP_ENTRIES = 1024
const SCAN_READ_AHEAD_BYTES = MIB
const LEVELS = [0, 1, 2, 3, 4, 5, 6]

/**
 * Opens or creates a LevelDB database in `directory` and syncs the directory entries. Throws an AshlarError CONFLICT
 * when another process has it open, and INTERNAL, with the cause, when LevelDB cannot open it.
 */
export async function openLevelDbDriver(
  directory: string,
  options: LevelDbOptions = LEVELDB_DEFAULTS,
): Promise<StorageDriver> {
  const database = new Level<Uint8Array, Uint8Array>(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: options.writeBufferBytes,
    maxFileSize: options.maxFileBytes,
    blockSize: options.tableBlockBytes,
    cacheSize: options.cacheBytes,
    maxOpenFiles: options.maxOpenFiles,
  }) as unknown as Database
  try {
    await database.open()
  } catch (error) {
    throw openError(directory, error)
  }
  // LevelDB syncs the directory only with a new MANIFEST, not with a new log (leveldb finding 3).
  await syncDirectory(directory)
  await syncDirectory(dirname(directory))
  return new LevelDbDriver(database, directory)
}

/**
 * The port over classic-level. A synced LevelDB batch syncs only the current log file, so that an older, unsynced batch
 * can be lost while a newer, synced one stays when the log was rotated between them (finding 1). The port promises more,
 * so that every batch is applied synced, `buffered` ones too. One batch is in flight at a time: two at once cost nearly
 * twice the CPU a block and win nothing.
 */
class LevelDbDriver implements StorageDriver {
  readonly capabilities = { durable: true } as const
  readonly #database: Database
  readonly #directory: string
  readonly #pending = new Set<Promise<unknown>>()
  #lastApply: Promise<void> = Promise.resolve()
  #failure: { readonly cause: unknown } | undefined
  #closed = false

  constructor(database: Database, directory: string) {
    this.#database = database
    this.#directory = directory
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#track(() => this.#database.get(key))
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    // classic-level takes the snapshot inside this call, before its first await, and keeps it for all keys.
    return this.#track(() => this.#database.getMany(keys as Uint8Array[]))
  }

  apply(batch: readonly BatchOperation[], _durability: Durability): Promise<void> {
    return this.#track(() => {
      const applied = this.#lastApply.then(() => this.#applyOne(batch))
      this.#lastApply = applied.catch(() => undefined)
      return applied
    })
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<Entry> {
    if (this.#closed) throw driverClosedError()
    const { limit = -1, keysOnly = false, readAheadBytes = SCAN_READ_AHEAD_BYTES } = options
    const bounds = { gte: range.from, lt: range.to, limit, fillCache: false, highWaterMarkBytes: readAheadBytes }
    return keysOnly ? keysOf(this.#database.keys(bounds)) : entriesOf(this.#database.iterator(bounds))
  }

  space(): Promise<DiskSpace> {
    return this.#track(() => diskSpace(this.#directory))
  }

  compact(range: KeyRange): Promise<void> {
    return this.#track(() => this.#database.compactRange(range.from, range.to))
  }

  statistics(): Readonly<Record<string, number>> {
    if (this.#closed) return {}
    const events: Record<string, number> = {
      approximate_memory_bytes: Number(this.#database.getProperty('leveldb.approximate-memory-usage')),
    }
    for (const level of LEVELS) {
      events[`files_at_level${level}`] = Number(this.#database.getProperty(`leveldb.num-files-at-level${level}`))
    }
    return events
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#pending)
    await this.#database.close()
  }

  async #applyOne(batch: readonly BatchOperation[]): Promise<void> {
    if (this.#failure !== undefined) throw driverPoisonedError(this.#failure.cause)
    try {
      await this.#database.batch(batch, { sync: true })
    } catch (cause) {
      // LevelDB itself forgets a failed log write and loses what it acknowledges later (finding 2).
      this.#failure = { cause }
      throw cause
    }
  }

  /** Runs a call now, and lets `close` wait for it. */
  async #track<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw driverClosedError()
    const running = call()
    this.#pending.add(running)
    try {
      return await running
    } finally {
      this.#pending.delete(running)
    }
  }
}

interface Steps<T> {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}

async function* entriesOf(iterator: Steps<[Uint8Array, Uint8Array]>): AsyncGenerator<Entry> {
  try {
    for (;;) {
      const step = await iterator.nextv(SCAN_STEP_ENTRIES)
      if (step.length === 0) return
      for (const [key, value] of step) yield { key, value }
    }
  } finally {
    await iterator.close()
  }
}

async function* keysOf(iterator: Steps<Uint8Array>): AsyncGenerator<Entry> {
  try {
    for (;;) {
      const step = await iterator.nextv(SCAN_STEP_ENTRIES)
      if (step.length === 0) return
      for (const key of step) yield { key, value: NO_BYTES }
    }
  } finally {
    await iterator.close()
  }
}

const NO_BYTES = new Uint8Array(0)

function openError(directory: string, error: unknown): AshlarError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  if ((cause as { code?: unknown })?.code === 'LEVEL_LOCKED') {
    return unusableStoreError(
      `the database in ${directory} is in use by another process`,
      'Stop the other process, or give this node a data directory of its own.',
      error,
    )
  }
  const text = cause instanceof Error ? cause.message : String(cause)
  if ((cause as { code?: unknown })?.code === 'LEVEL_CORRUPTION') {
    return corruptStoreError(`the database in ${directory} is corrupt: ${text}`, error)
  }
  return new AshlarError('INTERNAL', `the database in ${directory} cannot be opened: ${text}`, {
    hint: 'Look at the free space, the permissions and the health of the disk that holds it.',
    cause: error,
  })
}
