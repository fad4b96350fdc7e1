import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_ZERO, type Epoch, ERRORS, STORE_SPACES, type StoreId, type StoreSpace, type Zero } from '@ashlar/proto'
import { active } from './active.ts'
import { World } from './kit.ts'
import { BLOCK, blockOf, read, write, zero } from './requests.ts'

const OK = ERRORS.OK.number
const NO_SPACE = ERRORS.NO_SPACE.number

/** The disk of a store has so much space from now on, and its machine learns it. */
function setSpace(world: World, store: string, space: StoreSpace): void {
  world.host(store).replication.setSpace({ space, freeBytes: 1000 })
  world.pass(50)
}

function codeOf(world: World, message: ReturnType<typeof write> | ReturnType<typeof zero>): number | undefined {
  world.ask('a', message)
  world.settle()
  return world.codes(message.request)[0]
}

/** A write that covers the last half of one block and the first half of the next. */
function across(block: number, op: number) {
  const payload = blockOf(5)
  return write(block, 5, op, { offset: block * BLOCK + BLOCK / 2, payload, checksums: [0, 0] })
}

for (const store of ['a', 'b']) {
  test(`amendment 17: while ${store} is tight, writes of new blocks are refused, all else goes on, and no store leaves the set`, () => {
    const world = active()
    for (let block = 0; block < 4; block++) assert.equal(codeOf(world, write(block, 9, block + 1)), OK)
    setSpace(world, store, 'tight')
    assert.equal(codeOf(world, write(7, 1, 10)), NO_SPACE)
    assert.equal(codeOf(world, write(0, 1, 11)), OK, 'an overwrite')
    assert.equal(codeOf(world, across(1, 12)), OK, 'parts of two blocks that are there')
    assert.equal(codeOf(world, across(3, 13)), NO_SPACE, 'part of a block that is not there')
    assert.equal(codeOf(world, zero(0, 2, 14)), OK)
    assert.equal(codeOf(world, write(0, 1, 15)), NO_SPACE, 'a discarded block has to be allocated again')
    const reading = read(2)
    world.ask('a', reading)
    world.settle()
    assert.deepEqual(world.readBack(reading.request), blockOf(9).fill(5, 0, BLOCK / 2))
    world.pass(10_000)
    assert.deepEqual(world.host('a').changes, [], 'nothing is asked of control')
    assert.deepEqual(world.host('a').released, [])
    assert.ok(world.identical())
  })
}

test('amendment 17: while a member is full only what frees space is written, and writes go on once there is space', () => {
  const world = active()
  for (let block = 0; block < 4; block++) assert.equal(codeOf(world, write(block, 9, block + 1)), OK)
  setSpace(world, 'c', 'full')
  assert.equal(codeOf(world, write(0, 1, 10)), NO_SPACE, 'an overwrite')
  assert.equal(codeOf(world, write(9, 1, 11)), NO_SPACE)
  const part: Zero = { ...zero(0, 1, 12), kind: BLOCK_ZERO, offset: 100, length: 100 }
  assert.equal(codeOf(world, part), NO_SPACE, 'zeroes in a block that stays')
  assert.equal(codeOf(world, { ...zero(0, 1, 13), offset: 100, length: 2 * BLOCK }), OK, 'it frees more than it writes')
  assert.equal(codeOf(world, zero(2, 2, 14)), OK)
  world.pass(10_000)
  assert.deepEqual(world.host('a').changes, [])
  // Nothing is written, so that only the replica itself can report it.
  setSpace(world, 'c', 'filling')
  assert.equal(codeOf(world, write(9, 1, 15)), OK)
  assert.ok(world.identical())
})

test('amendment 17: a replica never refuses what its primary has ordered', () => {
  const world = active()
  const ordered = write(0, 1, 1)
  world.hold = (_from, to, message) => to === 'c' && message.type === 'replicate'
  world.ask('a', ordered)
  world.settle()
  setSpace(world, 'c', 'full')
  assert.deepEqual(world.codes(ordered.request), [])
  world.hold = () => false
  world.settle()
  assert.deepEqual(world.codes(ordered.request), [OK])
  assert.ok(world.identical())
})

test('amendment 17: a retry of a write that was applied is answered, however full the disks are', () => {
  const world = active()
  const first = write(0, 1, 1)
  assert.equal(codeOf(world, first), OK)
  for (const store of ['a', 'b', 'c']) setSpace(world, store, 'full')
  assert.equal(codeOf(world, { ...write(0, 1, 1), operation: first.operation }), OK)
})

/** c was away while blocks were written and erased, and comes back. */
function returned(space: StoreSpace): World {
  const world = active()
  for (let block = 0; block < 4; block++) codeOf(world, write(block, 9, block + 1))
  world.kill('c')
  world.pass(2500)
  world.grant('a')
  world.settle()
  assert.equal(codeOf(world, write(0, 1, 10)), OK)
  assert.equal(codeOf(world, write(9, 1, 11)), OK)
  assert.equal(codeOf(world, zero(2, 2, 12)), OK)
  world.start('c')
  world.host('c').replication.setSpace({ space, freeBytes: 1000 })
  world.pass(3000)
  return world
}

test('amendment 17: a returning replica uses the space that clients may not', () => {
  const world = returned('tight')
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'])
  assert.equal(codeOf(world, write(20, 1, 13)), NO_SPACE, 'it has to acknowledge, so that its space counts')
})

test('amendment 17: a returning full replica gets what frees space, the rest waits, and writes do not wait for it', () => {
  const world = returned('full')
  assert.equal(world.host('a').changes.length, 0, 'it is not asked for while it lacks something')
  const stream = () =>
    world
      .host('a')
      .replication.describe()[0]
      ?.streams.find(({ store }) => store === 'c')
  assert.equal(stream()?.deferredBlocks, 2)
  assert.equal(world.versionAt('c', 2).kind, world.versionAt('a', 2).kind, 'erasures go through')
  assert.equal(codeOf(world, write(20, 1, 13)), OK, 'it does not have to acknowledge')
  assert.equal(codeOf(world, write(21, 1, 14)), OK)
  assert.equal(codeOf(world, zero(21, 1, 15)), OK)
  world.pass(20_000)
  assert.equal(stream()?.deferredBlocks, 3, 'it stays open, and knows what is missing')
  setSpace(world, 'c', 'tight')
  world.pass(3000)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'])
  world.grant('a')
  world.settle()
  assert.ok(world.identical())
})

test('amendment 17: an empty replica is not filled while its store is short of space, and is once there is some', () => {
  const world = new World(['a', 'b', 'c'], { inSync: ['a', 'b'] })
  world.kill('c')
  world.publish()
  world.settle()
  for (let block = 0; block < 4; block++) assert.equal(codeOf(world, write(block, 9, block + 1)), OK)
  world.start('c')
  world.host('c').replication.setSpace({ space: 'tight', freeBytes: 1000 })
  world.pass(5000)
  assert.deepEqual(world.host('a').changes, [])
  assert.equal(codeOf(world, write(9, 1, 10)), OK)
  setSpace(world, 'c', 'free')
  world.pass(3000)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'])
})

test('amendment 17: a new primary learns the space of every member again, and copies everything to members', () => {
  const world = active()
  for (let block = 0; block < 4; block++) codeOf(world, write(block, 9, block + 1))
  setSpace(world, 'c', 'full')
  world.kill('a')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.pass(1000)
  assert.ok(world.host('b').events.some(({ what }) => what === 'extent-active'))
  const writing = { ...write(9, 1, 20), epoch: 2 as Epoch }
  world.ask('b', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [NO_SPACE])
})

test("every change of a store's space is logged once, as a warning where space is short", () => {
  const world = active()
  for (const space of STORE_SPACES.slice(1)) {
    setSpace(world, 'b', space)
    world.pass(200)
  }
  const events = world.host('b').events.filter(({ what }) => what === 'store-space')
  assert.deepEqual(
    events.map(({ space, before }) => [before, space]),
    [
      ['free', 'filling'],
      ['filling', 'tight'],
      ['tight', 'full'],
    ],
  )
})
