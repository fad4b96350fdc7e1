import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS, Tombstones, type VolumeId } from '@ashlar/proto'
import fc from 'fast-check'

const id = (volume: number): VolumeId => volume as VolumeId

test('a delta has the latest one by one, older ones as ranges, and only new ones', () => {
  const tombstones = new Tombstones()
  const removed = LIMITS.tombstones + 3
  for (let volume = 1; volume <= removed; volume++) {
    // Volume 2 lives: there are two ranges on both sides of it.
    if (volume !== 2) tombstones.add(id(volume), 10 * volume)
    tombstones.compact()
  }
  assert.equal(tombstones.size, removed - 1)
  assert.deepEqual(tombstones.ranges, [
    { first: 1, last: 1 },
    { first: 3, last: 3 },
  ])
  assert.deepEqual(tombstones.after(10 * (removed - 1)), { removedVolumes: [removed] })
  assert.equal(tombstones.after(30).removedRanges, undefined, 'heard of volume 3, the last that went into a range')
  assert.deepEqual(tombstones.after(29).removedRanges, tombstones.ranges)
  assert.ok(tombstones.has(id(3)) && tombstones.has(id(removed)) && !tombstones.has(id(2)))
})

test('ranges that meet or touch become one, whatever order they come in', () => {
  const range = fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.nat(5))
    .map(([first, more]) => [first, first + more] as const)
  fc.assert(
    fc.property(fc.array(range, { maxLength: 30 }), (ranges) => {
      const tombstones = new Tombstones()
      const all = new Set<number>()
      for (const [first, last] of ranges) {
        tombstones.addRanges([{ first: id(first), last: id(last) }], 1)
        for (let volume = first; volume <= last; volume++) all.add(volume)
      }
      assert.deepEqual(
        [...tombstones.keys()],
        [...all].sort((a, b) => a - b),
      )
      for (let volume = 1; volume <= 70; volume++) assert.equal(tombstones.has(id(volume)), all.has(volume))
      for (const [at, { first }] of tombstones.ranges.entries()) {
        const before = tombstones.ranges[at - 1]
        assert.ok(before === undefined || before.last + 1 < first, 'ascending, and no two touch')
      }
    }),
  )
})
