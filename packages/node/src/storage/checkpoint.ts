import type { ExtentId } from '@ashlar/proto'
import type { Batch } from './batch.ts'
import type { QueueEntry } from './commit-queue.ts'
import { extentKey, JOURNAL_START_KEY, journalKey } from './keyspace.ts'
import type { Replica } from './replicas/replica.ts'
import { putDigests } from './repositories/digest-repository.ts'
import { encodeHead } from './repositories/head-repository.ts'
import { encodeJournalStart } from './repositories/journal-repository.ts'

/** What checkpoints of one store share. */
export interface Checkpointed {
  /** Replicas that are on disk in the state of the newest batch that was built. */
  readonly replicas: Map<ExtentId, Replica>
  /** Tombstones of replicas whose keys are all deleted: no journal key behind the checkpoint names them any more. */
  readonly deletedTombstones: Set<ExtentId>
  /** First journal key on disk. */
  journalStart: number
}

/**
 * Adds a checkpoint to a batch: heads, windows and digests that changed since the last one, as they are after every
 * batch before this one, and the end of the journal keys that told them.
 */
export function addCheckpoint(batch: Batch, state: Checkpointed, journalNext: number): void {
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

export class CheckpointEntry implements QueueEntry {
  readonly bytes = 0
  readonly alone = true
  readonly #state: Checkpointed
  readonly #journalNext: () => number
  readonly #onDone: () => void

  constructor(state: Checkpointed, journalNext: () => number, onDone: () => void) {
    this.#state = state
    this.#journalNext = journalNext
    this.#onDone = onDone
  }

  ready(): boolean {
    return true
  }

  build(batch: Batch): void {
    addCheckpoint(batch, this.#state, this.#journalNext())
  }

  done(): void {
    this.#onDone()
  }
}
