import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClusterId, isUuid, type StoreId } from '@ashlar/proto'
import { type LogMark, NO_LOG_MARK, newerMark } from '../../core/raft/index.ts'
import { countEarlierLogs } from './earlier-logs.ts'
import { openOrMake, readIfThere, writeAll } from './files.ts'

/** Longer than any mark. A file keeps its length, so that one write replaces all of it. */
const BYTES = 256

/** The log whose store is meant. */
export interface MarkedLog {
  readonly store: StoreId
  /** Directory of the control log. */
  readonly control: string
  /** Cluster of the data directory, as it is by now. */
  readonly cluster: () => ClusterId | undefined
}

/**
 * The vote and last entry of a store in the control log, outside its data directory (A2.20-5): like last-mark.ts, but not
 * replaced when an older copy of the data directory is put back. One line of JSON in a file with the name of the store, so that
 * two nodes of a machine have two, and a directory that is moved on its machine has the same. It is never synced: where
 * the place is in memory it lasts until the next boot, and what a crash keeps of it elsewhere is true all the same, since it is
 * written after what it stands for is durable. A mark that is missing or torn, of another cluster, or of a log that
 * `cluster recover` set aside since, is ignored.
 */
export class BootMark {
  readonly path: string
  readonly #log: MarkedLog
  /** Logs that were set aside before this one: a recovery by a build that keeps the cluster's id shows in that alone. */
  readonly #earlierLogs: number
  readonly #stored: Stored | undefined
  #said: LogMark
  /** What the file holds, as far as this process wrote it. */
  #written: string | undefined
  #handle: FileHandle | undefined
  #failed = false

  private constructor(path: string, log: MarkedLog, earlierLogs: number, stored: Stored | undefined) {
    this.path = path
    this.#log = log
    this.#earlierLogs = earlierLogs
    this.#stored = stored
    this.#said = stored?.said ?? NO_LOG_MARK
  }

  /** Rejects where the file cannot be read or written. */
  static async open(directory: string, log: MarkedLog): Promise<BootMark> {
    const path = join(directory, log.store)
    const earlierLogs = await countEarlierLogs(log.control)
    const stored = decode(await readIfThere(path))
    const own = log.cluster()
    const counts =
      stored !== undefined && (own ?? stored.cluster) === stored.cluster && stored.earlierLogs >= earlierLogs
    // Where the mark cannot be written that shows now, and not when something is to be marked.
    await (await openOrMake(path)).close()
    return new BootMark(path, log, earlierLogs, counts ? stored : undefined)
  }

  get said(): LogMark {
    return this.#said
  }

  /** The store had joined a cluster, but the data directory belongs to none. */
  get isOfForgottenCluster(): boolean {
    return this.#stored !== undefined && this.#log.cluster() === undefined
  }

  /** It only rises. A failed write leaves an older mark: the log does not depend on it. */
  async write(mark: LogMark): Promise<void> {
    this.#said = newerMark(this.#said, mark)
    if (this.#failed) return
    const cluster = this.#log.cluster()
    const line = `${JSON.stringify({ cluster, earlierLogs: this.#earlierLogs, ...this.#said })}\n`
    if (line === this.#written) return
    try {
      this.#handle ??= await openOrMake(this.path)
      await writeAll(this.#handle, Buffer.from(line.padEnd(BYTES)), 0)
      this.#written = line
    } catch {
      this.#failed = true
    }
  }

  /** A later write opens it once more. */
  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }
}

interface Stored {
  readonly cluster: ClusterId
  readonly earlierLogs: number
  readonly said: LogMark
}

function decode(bytes: Buffer | undefined): Stored | undefined {
  try {
    const { cluster, earlierLogs, term, vote, index } = JSON.parse(bytes?.toString() ?? '') as Record<string, unknown>
    if (!isUuid(cluster) || !isCount(earlierLogs) || !isCount(term) || !isCount(index)) return undefined
    const said = { term, vote: isUuid(vote) ? (vote as StoreId) : undefined, index }
    return { cluster: cluster as ClusterId, earlierLogs, said }
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
