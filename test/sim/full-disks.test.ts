import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Epoch, ExtentId, Seq, StoreId } from '@ashlar/proto'
import { withFullDisks } from './full-disks.ts'
import { BLOCK_BYTES, optionsOf, SPACE_FAULTS } from './options.ts'
import { simulate } from './simulator.ts'
import { Chance } from './world/chance.ts'
import { Disk } from './world/disk.ts'
import { DiskSpace, SpaceGauge } from './world/disk-space.ts'
import { OpenStore } from './world/open-store.ts'
import type { Write } from './world/recent-writes.ts'
import { Clock } from './world/time.ts'

const EXTENT = 4096 as ExtentId
const CREATE: Write = {
  type: 'create-replica',
  extent: EXTENT,
  blockSizeBytes: BLOCK_BYTES,
  lengthBytes: 16 * BLOCK_BYTES,
  volumeName: 'disk',
}

/** Kind 1 stores a block, any other kind discards it. */
function write(seq: number, block: number, kind: 1 | 2 = 1): Write {
  const version = { epoch: 1 as Epoch, seq: seq as Seq, kind, checksum: 0 }
  const bytes = kind === 1 ? { bytes: new Uint8Array(BLOCK_BYTES) } : {}
  return { type: 'commit', token: seq, change: { extent: EXTENT, head: {}, blocks: [{ block, version, ...bytes }] } }
}

function spaceOf(disk: Disk): DiskSpace {
  assert.ok(disk.space !== undefined)
  return disk.space
}

describe('a disk that has an end', () => {
  const size = 40 * BLOCK_BYTES
  /** Free bytes in whole blocks, what entries take beside them rounded up to one. */
  const freeBlocks = (disk: Disk): number => Math.ceil(spaceOf(disk).freeBytes / BLOCK_BYTES)

  it('loses space to stored blocks, and regains that of discarded or overwritten ones once they are compacted', () => {
    const disk = new Disk('store' as StoreId, size)
    disk.keep([CREATE, write(1, 0), write(2, 1)])
    assert.equal(freeBlocks(disk), 38)
    disk.keep([write(3, 0), write(4, 1, 2)])
    assert.equal(freeBlocks(disk), 37, 'what was there is still there')
    spaceOf(disk).compact(1)
    assert.equal(spaceOf(disk).freeBytes, size - BLOCK_BYTES)
    disk.keep([{ type: 'drop-replica', extent: EXTENT }])
    spaceOf(disk).compact(1)
    assert.equal(spaceOf(disk).freeBytes, size)
  })

  it('fills up when something else takes it, and no more than that comes back', () => {
    const { space } = new Disk('store' as StoreId, size)
    assert.equal(space?.takeUpTo(BLOCK_BYTES), size - BLOCK_BYTES)
    assert.equal(space.takeUpTo(2 * BLOCK_BYTES), 0)
    assert.ok(space.releaseBuffer(BLOCK_BYTES))
    assert.equal(space.freeBytes, 2 * BLOCK_BYTES)
    assert.ok(space.releaseBuffer(size))
    assert.equal(space.freeBytes, size)
    assert.ok(!space.releaseBuffer())
  })

  it('fails the store whose batch does not fit, and says so', () => {
    const clock = new Clock()
    const disk = new Disk('store' as StoreId, 2 * BLOCK_BYTES)
    const said: string[] = []
    const store = new OpenStore(disk, {
      clock,
      chance: new Chance(1),
      faults: { syncMs: 1, tailPerSync: 0, tailMs: 0, batchesInFlight: 1, errorPerBatch: 0, lateReads: false },
      calm: () => true,
      complete: (inputs) => said.push(...inputs.map(({ type }) => type)),
      logDurable: () => {},
      synced: () => {},
      violation: () => {},
      outOfRoom: (bytes, freeBytes) => said.push(bytes > freeBytes ? 'out of room' : 'it fits'),
    })
    store.execute(CREATE)
    for (const seq of [1, 2]) {
      store.execute(write(seq, seq))
      while (clock.step());
    }
    assert.deepEqual(said, ['committed', 'out of room', 'store-failed'])
  })
})

describe('what a store knows of its disk', () => {
  const reserves = { last: 8 * BLOCK_BYTES, writes: 16 * BLOCK_BYTES, placement: 24 * BLOCK_BYTES }

  it('is as old as a second, less what was written since', () => {
    const disk = new DiskSpace(64 * BLOCK_BYTES, () => 0)
    const gauge = new SpaceGauge(disk, reserves, 0)
    disk.takeUpTo(10 * BLOCK_BYTES)
    assert.equal(gauge.look(900).space, 'free')
    gauge.wrote(45 * BLOCK_BYTES)
    assert.equal(gauge.look(950).space, 'filling')
    assert.equal(gauge.look(1000).space, 'tight')
    disk.releaseBuffer()
    assert.equal(gauge.look(1999).space, 'tight')
    assert.equal(gauge.look(2000).space, 'free')
  })
})

describe('seeds on disks that run full', () => {
  it('make the same run of the same seed', () => {
    for (const seed of [1, 2, 3]) {
      const [first, second] = [simulate(seed, { fullDisks: true }), simulate(seed, { fullDisks: true })]
      assert.equal(first.hash, second.hash, `seed ${seed}`)
      assert.notEqual(first.hash, simulate(seed).hash, `seed ${seed}`)
    }
  })

  it('are of every size, and leave the others as they are', () => {
    const sizes = new Set<number>()
    for (let seed = 1; seed <= 100; seed++) {
      const drawn = optionsOf(seed)
      const full = withFullDisks(drawn)
      assert.deepEqual(drawn, optionsOf(seed))
      assert.equal(drawn.space, undefined)
      assert.ok(!SPACE_FAULTS.some((fault) => drawn.faults.includes(fault)))
      assert.ok(SPACE_FAULTS.every((fault) => full.faults.includes(fault)))
      assert.equal(full.space?.sizesBytes.length, full.nodes)
      assert.ok(full.hotOffset + full.hotBytes <= full.sizeBytes)
      sizes.add(full.hotBytes / BLOCK_BYTES)
    }
    assert.equal(sizes.size, 5)
  })
})
