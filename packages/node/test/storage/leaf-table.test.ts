import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ABSENT_VERSION,
  BLOCK_ABSENT,
  type BlockKind,
  type BlockVersion,
  type Epoch,
  LIMITS,
  type Seq,
} from '@ashlar/proto'
import fc from 'fast-check'
import { LeafTable } from '../../src/core/blocks/index.ts'
import { MemoryDriver } from '../../src/storage/memory/memory-driver.ts'
import { LeafCache } from '../../src/storage/replicas/leaf-cache.ts'
import { LocalReplica } from '../../src/storage/replicas/local-replica.ts'

const LEAF = 3
const FIRST = LEAF * LIMITS.leafBlocks
const FEW = 16

const versionOf = fc.record(
  {
    epoch: fc.integer({ min: 1, max: 2 ** 40 }),
    seq: fc.integer({ min: 1, max: 2 ** 50 }),
    kind: fc.constantFrom<BlockKind>(0, 1, 2, 3),
    checksum: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<BlockVersion>
const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: LIMITS.leafBlocks - 1 }), versionOf), { maxLength: 60 })

test('a leaf holds the last set versions, however many they are', () => {
  fc.assert(
    fc.property(steps, (changes) => {
      const table = new LeafTable(LEAF)
      const model = new Map<number, BlockVersion>()
      for (const [slot, version] of changes) {
        const block = FIRST + slot
        const copy = table.clone()
        assert.deepEqual(table.set(block, version), model.get(block) ?? ABSENT_VERSION)
        assert.deepEqual(copy.get(block), model.get(block) ?? ABSENT_VERSION, 'a copy stays as it was')
        if (version.kind === BLOCK_ABSENT) model.delete(block)
        else model.set(block, version)
        assert.equal(table.kind(block), version.kind)
      }
      const expected = [...model].sort(([a], [b]) => a - b).map(([block, version]) => ({ block, ...version }))
      assert.deepEqual(table.versions(), expected)
      assert.deepEqual(table.clone().versions(), expected)
      assert.equal(table.present, model.size)
    }),
  )
})

test('sparse leaves count one eighth, so that eight times as many stay in memory', () => {
  const cache = new LeafCache(new MemoryDriver(), 1, {
    loaded: () => undefined,
    failed: (error) => assert.fail(String(error)),
    mismatch: () => assert.fail('nothing is read from disk'),
    isSuspect: () => false,
  })
  const leaves = 9
  const replica = LocalReplica.empty(1 as LocalReplica['extent'], 4096, leaves * LIMITS.leafBlocks * 4096, 'demo')
  const write = (leaf: number, versions: number) => {
    const cached = cache.pin(replica, leaf)
    for (let slot = 0; slot < versions; slot++) {
      const version = { epoch: 1 as Epoch, seq: 1 as Seq, kind: 1 as const, checksum: slot }
      cached.table?.set(leaf * LIMITS.leafBlocks + slot, version)
    }
    cache.unpin(cached)
  }
  const inMemory = () => Array.from({ length: leaves }, (_, leaf) => leaf).filter((leaf) => cache.peek(replica, leaf))
  for (let leaf = 0; leaf < 8; leaf++) write(leaf, FEW)
  assert.deepEqual([inMemory().length, cache.weight], [8, 1])
  write(8, 1)
  assert.deepEqual(inMemory(), [1, 2, 3, 4, 5, 6, 7, 8], 'the longest unused has left')
  write(5, FEW + 1)
  assert.deepEqual([inMemory(), cache.weight], [[5], 1])
})
