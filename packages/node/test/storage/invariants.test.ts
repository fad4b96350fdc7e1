import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExtentId, InvariantError } from '@ashlar/proto'
import { Batch } from '../../src/storage/commit/batch.ts'
import { addCheckpoint } from '../../src/storage/commit/checkpoint.ts'
import { writeU32, writeU48, writeU64 } from '../../src/storage/encoding/bytes.ts'
import { MemoryDriver } from '../../src/storage/index.ts'
import { GatheredReads } from '../../src/storage/replicas/gathered-reads.ts'
import { LeafCache } from '../../src/storage/replicas/leaf-cache.ts'
import { LocalReplica } from '../../src/storage/replicas/local-replica.ts'
import { applyPatches } from '../../src/storage/replicas/patch-block.ts'

const EXTENT = 1 as ExtentId

test('a number that exceeds its field is refused, not truncated', () => {
  const bytes = Buffer.alloc(8)
  for (const value of [-1, 2 ** 32, 0.5]) assert.throws(() => writeU32(bytes, 0, value), InvariantError)
  for (const value of [-1, 2 ** 48, 0.5]) assert.throws(() => writeU48(bytes, 0, value), InvariantError)
  for (const value of [-1, 2 ** 53, 0.5]) assert.throws(() => writeU64(bytes, 0, value), InvariantError)
  writeU48(bytes, 0, 2 ** 48 - 1)
  assert.equal(bytes.readUIntBE(0, 6), 2 ** 48 - 1)
})

test('a checkpoint does not share its batch, since it has no journal key for other changes', () => {
  const state = { replicas: new Map(), deletedTombstones: new Set<ExtentId>(), journalStart: 1 }
  const batch = new Batch()
  batch.section(EXTENT)
  assert.throws(() => addCheckpoint(batch, state, 2), InvariantError)
  assert.throws(() => addCheckpoint(new Batch(), state, 0), InvariantError)
  addCheckpoint(new Batch(), state, 2)
})

test('a leaf is not unpinned more often than it was pinned', () => {
  const events = { loaded: () => undefined, failed: assert.fail, mismatch: assert.fail, isSuspect: () => false }
  const cache = new LeafCache(new MemoryDriver(), 1, events)
  const leaf = cache.pin(LocalReplica.empty(EXTENT, 4096, 2 ** 20, 'demo'), 0)
  cache.unpin(leaf)
  assert.throws(() => cache.unpin(leaf), InvariantError)
})

test('a patch is within its block and has all of its bytes', () => {
  assert.throws(() => applyPatches(undefined, 4096, [{ offset: 4000, length: 97 }]), InvariantError)
  assert.throws(
    () => applyPatches(undefined, 4096, [{ offset: 0, length: 2, bytes: new Uint8Array(1) }]),
    InvariantError,
  )
  assert.throws(() => applyPatches(new Uint8Array(1), 4096, []), InvariantError)
})

test('a driver that returns fewer values than keys fails every read of the call', async () => {
  const driver = new MemoryDriver()
  driver.getMany = async () => [undefined]
  const reads = new GatheredReads(driver)
  const results = await Promise.allSettled([reads.getMany([Buffer.of(1)]), reads.getMany([Buffer.of(2)])])
  for (const result of results) assert.ok(result.status === 'rejected' && result.reason instanceof InvariantError)
})
