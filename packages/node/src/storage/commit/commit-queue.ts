import type { StorageDriver } from '../driver.ts'
import { Batch } from './batch.ts'

/** One thing to write, or to look at between two writes. Its methods are called in the order in which they stand here. */
export interface QueueEntry {
  /** Bytes that it will add to a batch, as far as known. */
  readonly bytes: number
  /** A batch of its own. */
  readonly alone?: boolean
  /** False while something that `build` needs is still being read. */
  ready(): boolean
  /** Adds its operations. Called once every entry before it was built; the state it changes is that of built batches. */
  build(batch: Batch): void
  /** Its batch, and every one before, is on stable storage. Called in order. */
  done(): void
}

export interface CommitQueueOptions {
  /** Bytes that one batch gathers at most; it takes at least one entry. */
  readonly batchBytes: number
  /** Number of the next journal key. */
  readonly nextNumber: number
  readonly onSynced: (batch: Batch, seconds: number) => void
  readonly onFailed: (error: unknown) => void
  /** Milliseconds of a monotonic clock; `performance.now` unless a test has its own. */
  readonly now?: () => number
}

/** A batch waits at most this long for entries that may not come. */
const GATHER_LIMIT_MS = 10

/**
 * Group commit: everything that waits goes into one batch, up to a size, and exactly one batch is in flight, because two
 * at once cost LevelDB nearly twice the CPU a block. Entries are built and done strictly in the order in which they were
 * pushed; one that is not ready holds up those behind it.
 *
 * A batch costs LevelDB about the same whether it holds six blocks or sixteen, and a client with N writes in flight sends the
 * next N soon after the last batch ended. So a batch starts once it has as many entries as the last one had, or once as much
 * time has passed since that one ended as it took, at most GATHER_LIMIT_MS: throughput for at most twice the wait. One writer
 * that waits for each write never waits here, and neither does the first entry after a pause. All that one turn of the event
 * loop brings shares a batch.
 */
export class CommitQueue {
  readonly #driver: StorageDriver
  readonly #options: CommitQueueOptions
  readonly #now: () => number
  readonly #idlers: (() => void)[] = []
  #waiting: QueueEntry[] = []
  /** Entries before this place in `#waiting` are built. */
  #next = 0
  #number: number
  #inFlight = false
  #scheduled = false
  /** Entries of the last batch: as many are expected again, soon. */
  #expected = 0
  /** Until then the next batch waits for them; milliseconds of the clock. */
  #gatherUntil = 0
  #gathering: NodeJS.Timeout | undefined
  #failed = false

  constructor(driver: StorageDriver, options: CommitQueueOptions) {
    this.#driver = driver
    this.#options = options
    this.#number = options.nextNumber
    this.#now = options.now ?? (() => performance.now())
  }

  /** Number of the next journal key: all below it are written or in flight. */
  get nextNumber(): number {
    return this.#number
  }

  get isIdle(): boolean {
    return !this.#inFlight && this.#next === this.#waiting.length
  }

  push(entry: QueueEntry): void {
    if (this.#failed) return
    this.#waiting.push(entry)
    this.wake()
  }

  /** Looks at the queue again: an entry may have become ready. */
  wake(): void {
    if (this.#scheduled || this.#inFlight || this.#failed) return
    if (this.#gathering !== undefined && !this.#hasGathered()) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#gather()
    })
  }

  /** Stops: nothing that waits is built or done any more (A2.5-7). */
  fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#waiting = []
    this.#next = 0
    this.#stopGathering()
    this.#options.onFailed(error)
    this.#notifyIdle()
  }

  /** Resolves once nothing waits and nothing is in flight, or the queue failed. */
  idle(): Promise<void> {
    if (this.isIdle || this.#failed) return Promise.resolve()
    return new Promise((resolve) => this.#idlers.push(resolve))
  }

  #hasGathered(): boolean {
    return this.#waiting.length - this.#next >= this.#expected
  }

  /** Starts a batch, now or once it has gathered what is expected. */
  #gather(): void {
    if (this.#inFlight || this.#failed || this.#next === this.#waiting.length) return
    const leftMs = this.#hasGathered() ? 0 : this.#gatherUntil - this.#now()
    if (leftMs <= 0) this.#start()
    else this.#gathering ??= setTimeout(() => this.#start(), leftMs)
  }

  #stopGathering(): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
  }

  #start(): void {
    this.#stopGathering()
    const batch = new Batch()
    const built: QueueEntry[] = []
    let bytes = 0
    for (let entry = this.#waiting[this.#next]; entry?.ready() === true; entry = this.#waiting[this.#next]) {
      if (built.length > 0 && (entry.alone === true || bytes + entry.bytes > this.#options.batchBytes)) break
      entry.build(batch)
      built.push(entry)
      bytes += entry.bytes
      this.#next++
      if (entry.alone === true) break
    }
    this.#compact()
    if (built.length === 0) return
    if (batch.isEmpty) {
      this.#finish(built)
      return
    }
    if (batch.journaled) batch.seal(this.#number++)
    this.#inFlight = true
    const startedMs = this.#now()
    this.#driver.apply(batch.operations, 'synced').then(
      () => {
        this.#inFlight = false
        if (this.#failed) return
        const endedMs = this.#now()
        this.#expected = built.length
        this.#gatherUntil = endedMs + Math.min(endedMs - startedMs, GATHER_LIMIT_MS)
        this.#options.onSynced(batch, (endedMs - startedMs) / 1000)
        this.#finish(built)
      },
      (error) => {
        this.#inFlight = false
        this.fail(error)
      },
    )
  }

  #finish(built: readonly QueueEntry[]): void {
    for (const entry of built) entry.done()
    if (this.isIdle) this.#notifyIdle()
    else this.wake()
  }

  #notifyIdle(): void {
    for (const resolve of this.#idlers.splice(0)) resolve()
  }

  /** Drops the built entries from the front of the array once they are most of it. */
  #compact(): void {
    if (this.#next * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#next)
    this.#next = 0
  }
}
