import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, ERRORS, type StoreId } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { EXTENT, read, write } from './requests.ts'

const OK = ERRORS.OK.number
const epoch = (n: number) => n as Epoch

/** Control names a store by force, as an operator asked: alone in sync, in a new timeline. */
function force(world: World, store: string, n: number, counter = 1): void {
  const forced = { extent: EXTENT, epoch: epoch(n), store: store as StoreId, acknowledged: false, changedAt: 1 }
  for (const host of world.hosts.values()) host.map.forced.set(EXTENT, forced)
  world.change({ epoch: epoch(n), primary: { store: store as StoreId, counter }, inSync: [store] as StoreId[] })
  world.settle()
}

/** c was taken out; a and b went on and are down. */
function leftBehind(): World {
  const world = active({ minInSync: 1 })
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.kill('c')
  world.pass(2500)
  world.grant('a')
  for (let op = 2; op <= 9; op++) {
    world.ask('a', write(op % 3, op, op))
    world.settle()
  }
  world.kill('a')
  world.kill('b')
  world.start('c')
  return world
}

test('A2.10: a store that was promoted by force serves what it has, although others know of commits that it lacks', () => {
  const world = leftBehind()
  force(world, 'c', 2, 2)
  const reading = read(0, 2)
  world.ask('c', reading)
  world.settle()
  assert.equal(world.readBack(reading.request)?.[0], 1, 'what was lost is lost')
  world.start('a')
  world.settle()
  world.pass(1500)
  assert.deepEqual(world.host('c').released, [], 'commits of the old timeline prove nothing')
  const writing = write(1, 50, 50, { epoch: epoch(2) })
  world.ask('c', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('A2.10: stores of the old timeline are brought to the new one, and lead it afterwards like any other', () => {
  const world = leftBehind()
  force(world, 'c', 2, 2)
  world.start('a')
  world.settle()
  world.pass(1500)
  world.grant('c')
  world.ask('c', write(1, 50, 50, { epoch: epoch(2) }))
  world.settle()
  world.start('b')
  world.settle()
  world.pass(1500)
  world.grant('c')
  world.settle()
  assert.ok(world.identical())
  world.kill('c')
  world.change({ epoch: epoch(3), primary: { store: 'a' as StoreId, counter: 2 }, inSync: ['a', 'b'] as StoreId[] })
  world.settle()
  world.pass(200)
  assert.deepEqual(
    world.host('a').released,
    [],
    'what a and b remember of the old timeline does not reach into this one',
  )
  const reading = read(1, 3)
  world.ask('a', reading)
  world.settle()
  assert.equal(world.readBack(reading.request)?.[0], 50)
})

test('A2.10: a restart of the promoted store does not bring the old timeline back', () => {
  const world = leftBehind()
  world.host('c').autoSync = false
  force(world, 'c', 2, 2)
  // It dies before anything of the new epoch is durable.
  world.kill('c')
  world.host('c').autoSync = true
  world.start('c')
  world.change({ epoch: epoch(3), primary: { store: 'c' as StoreId, counter: 3 }, inSync: ['c'] as StoreId[] })
  world.start('a')
  world.settle()
  world.pass(1500)
  assert.deepEqual(world.host('c').released, [])
  assert.equal(world.versionAt('a', 0).seq, world.versionAt('c', 0).seq, 'a holds what c holds')
})
