import type { ExtentId } from '@ashlar/proto'
import type { CommitQueue } from '../commit-queue.ts'
import type { StorageDriver } from '../driver.ts'
import { BLOCK_SPACES, blockOfKey, blockRange } from '../keyspace.ts'

/** Keys deleted in one batch: bounds how long a client's write waits behind it. */
const KEYS_PER_BATCH = 1024
/** Bytes of a key and what LevelDB adds to it, about. */
const KEY_BYTES = 32

/**
 * Deletes the keys of a dropped replica in the background, in bounded batches between those of the living. Its tombstone
 * is on disk before it starts, so that a restart goes on with it. Resolves with whether it came to the end: it stops
 * early once `stopped` says so.
 */
export async function deleteReplica(
  driver: StorageDriver,
  queue: CommitQueue,
  extent: ExtentId,
  stopped: () => boolean,
): Promise<boolean> {
  for (const space of BLOCK_SPACES) {
    let from = 0
    while (!stopped()) {
      const range = blockRange(space, extent, from)
      const keys: Uint8Array[] = []
      for await (const { key } of driver.scan(range, { limit: KEYS_PER_BATCH, keysOnly: true })) keys.push(key)
      const last = keys.at(-1)
      if (last === undefined) break
      await deleteKeys(queue, keys)
      // Going on behind the last key, because a scan from the start would pass over every deletion again.
      from = blockOfKey(last) + 1
    }
  }
  return !stopped()
}

/** Gives the space of a deleted replica back: LevelDB does so only when it compacts (leveldb finding 17). */
export async function compactReplica(driver: StorageDriver, extent: ExtentId, stopped: () => boolean): Promise<void> {
  for (const space of BLOCK_SPACES) if (!stopped()) await driver.compact(blockRange(space, extent))
}

function deleteKeys(queue: CommitQueue, keys: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve) => {
    queue.push({
      bytes: keys.length * KEY_BYTES,
      ready: () => true,
      build: (batch) => {
        for (const key of keys) batch.del(key)
      },
      done: resolve,
    })
  })
}
