import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ABSENT_VERSION, type BlockIndex, type Epoch, ERRORS, type StoreId, TIMERS } from '@ashlar/proto'
import { active, name } from './active.ts'
import type { World } from './kit.ts'
import { blockOf, EXTENT, write } from './requests.ts'

const OK = ERRORS.OK.number
const CANCELLED = ERRORS.CANCELLED.number
const EPOCH_2 = 2 as Epoch

/** All three stores have one write, and a and b another one. */
function aheadOfC(): World {
  const world = active({ minInSync: 2 })
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.hold = (_from, to, message) => to === 'c' && message.type === 'replicate'
  world.ask('a', write(1, 2, 2))
  world.settle()
  return world
}

function stores(...names: readonly string[]): StoreId[] {
  return names as StoreId[]
}

function cancelled(world: World, store: string, operation: ReturnType<typeof write>['operation']): readonly number[] {
  const request = 99_990
  world.ask(store, { type: 'cancel', request, extent: EXTENT, epoch: EPOCH_2, operation })
  world.settle()
  return world.codes(request)
}

test('amendment 25: a store that may be kept later stages copied blocks, though it is no member now', () => {
  const world = active({ minInSync: 2 })
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.cut.add('a>c')
  world.lastFrameAt = world.now
  world.reconnect('a', 'c')
  world.pass(1300)
  assert.deepEqual(world.grant('a').inSync, ['a', 'b'])
  world.cut.delete('a>c')
  world.publish()
  world.kill('b')
  world.lastFrameAt = world.now
  const payload = Buffer.concat([blockOf(9), blockOf(9)])
  const [checksum = 0] = write(0, 9, 9).checksums
  const writing = write(10, 9, 2, { payload, checksums: [checksum, checksum] })
  world.ask('a', writing)
  let pushes = 0
  world.hold = (_from, to, message) =>
    to === 'c' && (message.type === 'mark' || (message.type === 'push' && pushes++ > 0))
  world.pass(1100)
  assert.equal(world.versionAt('c', 10).seq, 0, 'half of an operation is no state to serve from')
  name(world, 'c', { inSync: stores('c'), eligible: stores('a', 'b') })
  world.kill('a')
  world.hold = () => false
  world.start('b')
  world.settle()
  world.pass(300)
  world.grant('c')
  world.settle()
  assert.deepEqual(cancelled(world, 'c', writing.operation), [CANCELLED])
  assert.deepEqual([world.versionAt('c', 10).seq, world.versionAt('c', 11).seq], [0, 0])
})

test("amendment 26: a block that a member lost is kept when a new primary takes over that member's state", () => {
  const world = active({ minInSync: 2 })
  world.ask('a', write(0, 1, 1))
  world.settle()
  const writing = write(1, 7, 2)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
  world.hold = (_from, to, message) => to === 'c' && message.type === 'replicate'
  world.ask('a', write(2, 2, 3))
  world.settle()
  world.kill('a')
  world.kill('b')
  world.hold = () => false
  const { disk } = world.host('b')
  disk.table.set(1 as BlockIndex, ABSENT_VERSION)
  disk.bytes.delete(1 as BlockIndex)
  disk.sync()
  world.start('b')
  name(world, 'c', { inSync: stores('b', 'c') })
  world.settle()
  world.pass(200)
  assert.deepEqual([world.versionAt('c', 1).seq, world.versionAt('b', 1).seq], [3, 3], 'what was acknowledged is there')
})

test('amendment 26: a kept store that is ahead and whose reads hang does not delay the others', () => {
  const world = aheadOfC()
  world.kill('a')
  world.kill('b')
  world.hold = () => false
  world.host('b').autoRead = false
  name(world, 'c', { inSync: stores('c'), eligible: stores('b') })
  world.start('a')
  world.start('b')
  world.publish()
  const serves = (): boolean => world.host('c').events.some(({ what }) => what === 'extent-active')
  for (let round = 0; round < 120 && !serves(); round++) {
    world.pass(500)
    if (world.host('c').changes.length > 0) world.grant('c')
  }
  const epochs = world.host('c').events.filter(({ what }) => what === 'extent-active')
  assert.equal(epochs.length, 1, 'a joins and c serves')
})

test('A2.8-10: a member that hangs while its state is read does not make the others slow', () => {
  for (const minInSync of [1, 2]) {
    const world = active({ minInSync })
    world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
    world.ask('a', write(0, 1, 1))
    world.settle()
    world.hold = (from, to, message) => (from === 'c' && to === 'a') || (from === 'b' && message.type === 'versions')
    name(world, 'c', { inSync: stores('a', 'b', 'c') })
    world.pass(TIMERS.slowMs + 1000)
    world.hold = (from) => from === 'b'
    world.settle()
    assert.deepEqual(
      world.host('c').changes.map(({ inSync }) => inSync),
      [stores('a', 'c')],
    )
    assert.deepEqual(world.host('c').released, [])
  }
})

test('amendment 18: state that a primary takes over later does not make its disk look slow', () => {
  const world = aheadOfC()
  world.kill('b')
  world.lastFrameAt = world.now + 20_000
  world.kill('a')
  world.hold = () => false
  world.host('b').state = 'down'
  name(world, 'c', { inSync: stores('b', 'c') })
  world.pass(7000)
  world.host('c').autoSync = false
  world.host('b').state = 'up'
  world.start('b')
  world.publish()
  world.settle()
  world.pass(50)
  assert.deepEqual(world.host('c').released, [])
})
