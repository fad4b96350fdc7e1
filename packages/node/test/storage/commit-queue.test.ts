import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { CommitQueue, type QueueEntry } from '../../src/storage/commit/commit-queue.ts'
import type { StorageDriver } from '../../src/storage/driver.ts'

/** A queue over a disk that finishes a batch on request, under a clock that the test moves. */
class Rig {
  /** Entries of each batch that was given to the disk. */
  readonly batches: number[] = []
  readonly queue: CommitQueue
  #nowMs = 0
  #built = 0
  #finish: (() => void) | undefined

  constructor() {
    const driver = {
      apply: () => {
        this.batches.push(this.#built)
        this.#built = 0
        return new Promise<void>((resolve) => {
          this.#finish = resolve
        })
      },
    } as unknown as StorageDriver
    this.queue = new CommitQueue(driver, {
      ...{ batchBytes: 1 << 20, nextNumber: 1, now: () => this.#nowMs },
      ...{ onSynced: () => undefined, onFailed: (error) => assert.fail(`${error}`) },
    })
  }

  push(count: number): void {
    for (let n = 0; n < count; n++) {
      const entry: QueueEntry = {
        bytes: 4096,
        ready: () => true,
        build: (batch) => {
          batch.operations.push({ type: 'put', key: new Uint8Array([n]), value: new Uint8Array(1) })
          this.#built++
        },
        done: () => undefined,
      }
      this.queue.push(entry)
    }
  }

  /** The disk has written the batch that it was given. */
  async synced(): Promise<void> {
    assert.ok(this.#finish !== undefined, 'a batch is in flight')
    this.#finish()
    this.#finish = undefined
    await turn()
  }

  pass(ms: number): void {
    this.#nowMs += ms
    mock.timers.tick(ms)
  }
}

/** All that was scheduled for the end of this turn of the event loop is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}

describe('a commit queue', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  it('waits for as many entries as the last batch had', async () => {
    const rig = new Rig()
    rig.push(4)
    await turn()
    assert.deepEqual(rig.batches, [4])
    rig.pass(6)
    await rig.synced()
    rig.push(3)
    await turn()
    assert.deepEqual(rig.batches, [4], 'the fourth may be on its way')
    rig.push(1)
    await turn()
    assert.deepEqual(rig.batches, [4, 4])
  })

  it('waits as long as the last batch took, and at most ten milliseconds', async () => {
    const rig = new Rig()
    rig.push(4)
    await turn()
    rig.pass(6)
    await rig.synced()
    rig.push(2)
    await turn()
    rig.pass(5)
    assert.deepEqual(rig.batches, [4])
    rig.pass(1)
    assert.deepEqual(rig.batches, [4, 2])
    rig.push(3)
    rig.pass(500)
    await rig.synced()
    assert.deepEqual(rig.batches, [4, 2, 3], 'more than expected')
    rig.pass(500)
    await rig.synced()
    rig.push(1)
    await turn()
    rig.pass(9)
    assert.deepEqual(rig.batches, [4, 2, 3])
    rig.pass(1)
    assert.deepEqual(rig.batches, [4, 2, 3, 1])
  })

  it('does not wait for a single writer, nor after a pause', async () => {
    const rig = new Rig()
    for (let writes = 1; writes <= 3; writes++) {
      rig.push(1)
      await turn()
      assert.equal(rig.batches.length, writes)
      rig.pass(6)
      await rig.synced()
    }
    rig.push(5)
    await turn()
    rig.pass(6)
    await rig.synced()
    rig.pass(6)
    rig.push(1)
    await turn()
    assert.deepEqual(rig.batches, [1, 1, 1, 5, 1])
  })
})
