import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, ERRORS, leaseExpiryMs, type StoreId, TIMERS } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { read, write } from './requests.ts'

const OK = ERRORS.OK.number
const WAIT = ERRORS.WAIT.number

function reasons(world: World): string[] {
  return world.host('a').released.map(({ reason }) => reason)
}

/** Stores a, b and c, all of which control hears; a reaches neither b nor c, and said so. */
function cutOff(): World {
  const world = active({ minInSync: 2 })
  for (const other of ['b', 'c']) world.cut.add(`a>${other}`)
  world.pass(leaseExpiryMs())
  assert.deepEqual(world.host('a').changes, [], 'a shrink below minInSync would not help')
  assert.deepEqual(reasons(world), [])
  world.pass(2 * TIMERS.renewMs + 100)
  return world
}

test('amendment 18: a primary that is cut off from replicas that control hears releases the extent', () => {
  const world = cutOff()
  assert.deepEqual(reasons(world), ['slow'])
  const reading = read(0)
  world.ask('a', reading)
  assert.deepEqual(world.codes(reading.request), [WAIT], 'it stopped before control may name another')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 } })
  world.pass(TIMERS.silentMs + 200)
  assert.deepEqual(world.grant('b').inSync, ['b', 'c'])
  world.settle()
  const writing = write(0, 1, 1, { epoch: 2 as Epoch })
  world.ask('b', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('amendment 18: where control names no other primary it goes on, and does not release again for a while', () => {
  const world = cutOff()
  world.refuseRelease('a')
  const reading = read(0)
  world.ask('a', reading)
  assert.equal(world.answers.at(-1)?.type, 'read-done')
  world.pass(TIMERS.slowMs)
  assert.deepEqual(reasons(world), ['slow'])
  world.cut.clear()
  world.pass(1000)
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('amendment 18: a primary whose own disk makes nothing durable releases the extent', () => {
  const world = active()
  world.host('a').autoSync = false
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  world.pass(TIMERS.slowMs + 100)
  assert.deepEqual(reasons(world), ['slow'])
  world.sync('a')
  assert.deepEqual(world.codes(writing.request), [], 'it gave its word to do nothing more')
  world.refuseRelease('a')
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('amendment 27: a primary releases again once the members changed', () => {
  const world = active({ minInSync: 1 })
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  world.pass(200)
  world.host('a').autoSync = false
  world.ask('a', write(0, 1, 1))
  world.pass(TIMERS.slowMs + 100)
  world.refuseRelease('a')
  world.pass(TIMERS.slowMs + 100)
  assert.deepEqual(reasons(world), ['slow'])
  world.change({ inSync: ['a', 'b', 'c'] as StoreId[] })
  world.pass(TIMERS.slowMs + 100)
  assert.deepEqual(reasons(world), ['slow', 'slow'])
})

test('amendment 27: replicas that died are not cut off before control can miss them', () => {
  const world = active({ minInSync: 2 })
  world.pass(2 * leaseExpiryMs())
  world.lastFrameAt = world.now
  for (const store of ['b', 'c']) world.kill(store)
  world.pass(leaseExpiryMs() + TIMERS.renewMs)
  assert.deepEqual(reasons(world), [], 'control would name one that is dead')
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  world.pass(100)
  assert.deepEqual(world.grant('a').inSync, ['a'])
  const reading = read(0)
  world.ask('a', reading)
  assert.equal(world.answers.at(-1)?.type, 'read-done')
})

test('amendment 29: a primary whose own disk completes no read releases the extent, also while no client writes', () => {
  const world = active()
  world.host('a').autoRead = false
  const reading = read(0)
  world.ask('a', reading)
  world.pass(TIMERS.slowMs - 100)
  assert.deepEqual(reasons(world), [])
  world.pass(200)
  assert.deepEqual(reasons(world), ['slow'])
  world.refuseRelease('a')
  world.pass(TIMERS.slowMs - 100)
  world.finishReads('a')
  assert.equal(world.answers.at(-1)?.type, 'read-done', 'control named no other primary: it goes on')
})

test('amendment 29: reads that wait behind others are not slow', () => {
  const world = active()
  const { reads } = world.host('a')
  world.host('a').autoRead = false
  for (let asked = 0; asked < 6; asked++) world.ask('a', read(asked))
  for (let answered = 0; answered < 6; answered++) {
    world.pass(TIMERS.slowMs - 500)
    reads.shift()?.()
  }
  world.pass(TIMERS.slowMs + 100)
  assert.deepEqual(reasons(world), [])
})
