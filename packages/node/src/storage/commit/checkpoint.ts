import { type ExtentId, invariant } from '@ashlar/proto'
import { extentKey, JOURNAL_START_KEY, journalKey } from '../encoding/keyspace.ts'
import type { StoreTuning } from '../options.ts'
import type { LocalReplica } from '../replicas/local-replica.ts'
import { putDigests } from '../repositories/digest-repository.ts'
import { encodeHead } from '../repositories/head-repository.ts'
import { encodeJournalStart } from '../repositories/journal-repository.ts'
import type { Batch } from './batch.ts'
import type { CommitQueue } from './commit-queue.ts'

/** What checkpoints of one store share. */
export interface Checkpointed {
  /** Replicas that are on disk in the state of the newest batch that was built. */
  readonly replicas: Map<ExtentId, LocalReplica>
  /** Tombstones of replicas whose keys are all deleted: no journal key after the checkpoint names them. */
  readonly deletedTombstones: Set<ExtentId>
  /** First journal key on disk. */
  journalStart: number
}

/**
 * Adds a checkpoint to a batch: heads, windows and digests that changed since the last one, as they are after every
 * batch before this one, and deletes the journal keys that recorded them.
 */
export function addCheckpoint(batch: Batch, state: Checkpointed, journalNext: number): void {
  invariant(batch.isEmpty, 'a checkpoint has a batch of its own: it writes no journal key for other changes')
  invariant(journalNext >= state.journalStart, 'the journal ends behind its start')
  batch.journaled = false
  for (const replica of state.replicas.values()) {
    if (replica.headDirty) batch.put(extentKey('head', replica.extent), encodeHead(replica.headValue()))
    for (const chunk of replica.dirtyChunks) batch.operations.push(putDigests(replica, chunk))
    replica.headDirty = false
    replica.dirtyChunks.clear()
  }
  for (const extent of state.deletedTombstones) batch.del(extentKey('tombstone', extent))
  state.deletedTombstones.clear()
  for (let number = state.journalStart; number < journalNext; number++) batch.del(journalKey(number))
  batch.put(JOURNAL_START_KEY, encodeJournalStart(journalNext))
  state.journalStart = journalNext
}

/** Puts checkpoints into the queue: after so many batches, and when nothing was written for a while. */
export class Checkpointer {
  readonly state: Checkpointed
  readonly #queue: CommitQueue
  readonly #tuning: StoreTuning
  readonly #onDone: () => void
  #queued = false
  #idleTimer: NodeJS.Timeout | undefined
  #lastSynced = 0

  constructor(queue: CommitQueue, state: Checkpointed, tuning: StoreTuning, onDone: () => void) {
    this.#queue = queue
    this.state = state
    this.#tuning = tuning
    this.#onDone = onDone
  }

  /** A batch with a journal key is on stable storage. */
  synced(): void {
    this.#lastSynced = performance.now()
    if (this.#queue.nextNumber - this.state.journalStart >= this.#tuning.checkpointBatches) this.checkpoint()
    else if (this.#idleTimer === undefined) this.#watchIdle(this.#tuning.checkpointIdleMs)
  }

  checkpoint(): void {
    if (this.#queued) return
    this.#queued = true
    this.#queue.push({
      bytes: 0,
      // A batch of its own: it holds the state after every batch before it.
      alone: true,
      ready: () => true,
      build: (batch) => {
        this.#queued = false
        addCheckpoint(batch, this.state, this.#queue.nextNumber)
      },
      done: this.#onDone,
    })
  }

  stop(): void {
    clearTimeout(this.#idleTimer)
  }

  #watchIdle(delayMs: number): void {
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined
      const leftMs = this.#lastSynced + this.#tuning.checkpointIdleMs - performance.now()
      if (leftMs > 0) this.#watchIdle(leftMs)
      else if (this.#queue.nextNumber > this.state.journalStart) this.checkpoint()
    }, delayMs)
    this.#idleTimer.unref()
  }
}
