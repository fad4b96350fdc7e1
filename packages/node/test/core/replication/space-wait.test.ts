import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlockIndex, type Epoch, LIMITS, type Seq, type StoreId, TIMERS } from '@ashlar/proto'
import type { BlockChange } from '../../../src/core/machine.ts'
import { StagedPushes, type StagingSpace } from '../../../src/core/replication/staged-pushes.ts'
import { active, name } from './active.ts'
import type { World } from './kit.ts'
import { write } from './requests.ts'

/** c is named primary, b is ahead of it, and other extents leave 1000 bytes in which to stage the state of b. */
function waiting(options: { inSync: readonly string[]; minInSync: number }): { world: World; others: StagedPushes } {
  const world = active({ minInSync: options.minInSync })
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.hold = () => false
  const staging = stagingOf(world)
  const others = new StagedPushes(staging)
  for (let block = 0; others.add(changeOf(block, LIMITS.maxBlockBytes)); block++);
  assert.ok(others.add(changeOf(-1, staging.left - 1000)))
  name(world, 'c', { inSync: options.inSync as readonly StoreId[] })
  if (!options.inSync.includes('a')) world.kill('a')
  // To read the state takes a while too.
  world.hold = (from, _to, message) => from === 'b' && message.type === 'versions'
  world.pass(200)
  world.hold = () => false
  world.settle()
  assert.deepEqual([count(world, 'extent-rolls-forward'), count(world, 'extent-rolled-forward')], [1, 0])
  return { world, others }
}

function stagingOf(world: World): StagingSpace {
  return (world.host('c').replication as unknown as { staging: StagingSpace }).staging
}

function changeOf(block: number, bytes: number): BlockChange {
  const version = { epoch: 1 as Epoch, seq: 1 as Seq, kind: 1 as const, checksum: 0 }
  // An entry takes 64 bytes beside its own.
  return { block: block as BlockIndex, version, bytes: new Uint8Array(bytes) }
}

function count(world: World, what: string): number {
  return world.host('c').events.filter((event) => event.what === what).length
}

function assertRolledForward(world: World): void {
  assert.equal(count(world, 'extent-rolled-forward'), 1)
  assert.equal(world.versionAt('c', 0).seq, 2)
  assert.ok(count(world, 'extent-active') > 0)
}

test('A2.8-8: a new primary without space for the state of a member tries again when another extent has released some', () => {
  const { world, others } = waiting({ inSync: ['b', 'c'], minInSync: 2 })
  world.pass(3000)
  assert.equal(count(world, 'extent-rolls-forward'), 1)
  others.drop()
  world.pass(1000)
  assert.equal(count(world, 'extent-rolls-forward'), 2)
  assertRolledForward(world)
})

test('A2.8-8: what another waiting extent takes and gives back wakes no primary', () => {
  const { world } = waiting({ inSync: ['b', 'c'], minInSync: 2 })
  const rival = new StagedPushes(stagingOf(world))
  for (let round = 0; round < 5; round++) {
    assert.ok(rival.add(changeOf(0, 500)))
    world.pass(100)
    rival.drop()
    world.pass(100)
  }
  assert.equal(count(world, 'extent-rolls-forward'), 1)
})

test('A2.8-8: a member that dies while the primary waits for space is removed, whether or not its state was waited for', () => {
  for (const [inSync, dead] of [
    [['b', 'c'], 'b'],
    [['a', 'b', 'c'], 'a'],
  ] as const) {
    const { world } = waiting({ inSync, minInSync: 1 })
    world.kill(dead)
    world.pass(TIMERS.slowMs + 1000)
    const asked = world.host('c').changes.at(-1)?.inSync
    assert.deepEqual(
      asked,
      inSync.filter((store) => store !== dead),
    )
  }
})

test('A2.8-8: no member is slow because a primary waited for space', () => {
  for (const minInSync of [1, 2]) {
    const { world, others } = waiting({ inSync: ['b', 'c'], minInSync })
    world.pass(4 * TIMERS.slowMs)
    others.drop()
    world.pass(1000)
    assert.deepEqual([world.host('c').changes, world.host('c').released], [[], []])
    assertRolledForward(world)
  }
})
