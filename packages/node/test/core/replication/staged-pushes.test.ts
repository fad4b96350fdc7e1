import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlockIndex, type Epoch, ERRORS, LIMITS, type Seq, type StoreId } from '@ashlar/proto'
import type { BlockChange } from '../../../src/core/machine.ts'
import { StagedPushes, StagingSpace } from '../../../src/core/replication/staged-pushes.ts'
import { active, lead } from './active.ts'
import type { World } from './kit.ts'
import { EXTENT, write } from './requests.ts'

const OK = ERRORS.OK.number

/** The stream from a to b is opened again, and its MARK does not arrive. */
function copyingTo(world: World, store: string): void {
  world.hold = (_from, to, message) => to === store && message.type === 'mark'
  world.reconnect('a', store)
  world.pass(50)
}

test('amendment 25: a replica in sync applies the copied blocks and the operations together with the MARK', () => {
  const world = active()
  world.ask('a', write(0, 1, 1))
  world.settle()
  // b has no stream while a writes: the block is on the list of the next one.
  world.cut.add('a>b')
  world.pass(50)
  const listed = write(0, 2, 2)
  world.ask('a', listed)
  world.cut.delete('a>b')
  copyingTo(world, 'b')
  const pushed = write(1, 3, 3)
  world.ask('a', pushed)
  world.pass(50)
  assert.deepEqual([world.versionAt('b', 0).seq, world.versionAt('b', 1).seq], [2, 0], 'b is what it was')
  world.hold = () => false
  world.settle()
  assert.deepEqual(world.codes(pushed.request), [OK])
  assert.ok(world.identical())
  world.kill('a')
  lead(world, 'b', ['b', 'c'])
  const { lastSeq } = world.host('b').disk.head
  for (const message of [listed, pushed])
    world.ask('b', { ...message, request: message.request + 9000, epoch: 2 as Epoch })
  world.settle()
  assert.deepEqual(world.codes(listed.request + 9000), [OK])
  assert.equal(world.host('b').disk.head.lastSeq, lastSeq, 'b knows both')
})

test('amendment 25: the primary decides whether a replica counts, since the map of the replica may be old', () => {
  const world = active()
  world.change({ inSync: ['a', 'c'] as StoreId[] }, ['b'])
  copyingTo(world, 'b')
  world.ask('a', write(0, 1, 1))
  world.pass(50)
  assert.equal(world.versionAt('b', 0).seq, 0)
  world.hold = () => false
  world.settle()
  assert.equal(world.versionAt('b', 0).seq, 2)
})

test('amendment 25: a replica in sync whose copy was interrupted holds no write that it does not remember', () => {
  const world = active()
  world.ask('a', write(0, 1, 1))
  world.settle()
  // Nobody has the write but a; it is on its way to b.
  world.hold = (_from, to, { type }) => (to === 'b' && type === 'mark') || (to === 'c' && type === 'replicate')
  world.reconnect('a', 'b')
  world.pass(50)
  const pushed = write(0, 2, 2)
  world.ask('a', pushed)
  world.pass(50)
  world.kill('a')
  world.kill('c')
  world.hold = () => false
  lead(world, 'b', ['b', 'c'])
  world.start('c')
  world.pass(50)
  const epoch = world.record.epoch
  world.ask('b', { type: 'cancel', request: 7200, extent: EXTENT, epoch, operation: pushed.operation })
  world.settle()
  assert.deepEqual(world.codes(7200), [ERRORS.CANCELLED.number])
  assert.equal(world.versionAt('b', 0).seq, 2, 'and it never took effect')
})

test('amendment 25: blocks that a primary rolls back stay, with their operations, until the MARK', () => {
  const world = active({ minInSync: 1 })
  const everywhere = write(0, 1, 1)
  world.ask('a', everywhere)
  world.settle()
  // Two that b has and c has not; c would put both back, and dies before its MARK.
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
  const tail = [write(0, 2, 2), write(1, 3, 3)]
  for (const writing of tail) {
    world.ask('a', writing)
    world.settle()
  }
  world.kill('a')
  world.hold = (from, _to, message) => from === 'c' && message.type === 'mark'
  lead(world, 'c', ['b', 'c'])
  assert.deepEqual([world.versionAt('b', 0).seq, world.versionAt('b', 1).seq], [3, 4])
  world.kill('c')
  world.kill('b')
  world.start('b')
  world.hold = () => false
  lead(world, 'b', ['b'])
  const start = world.host('b').disk.head.lastSeq
  for (const [at, writing] of [everywhere, ...tail].entries()) {
    world.ask('b', { ...writing, request: 8000 + at, epoch: world.record.epoch })
    world.settle()
    assert.deepEqual(world.codes(8000 + at), [OK])
  }
  assert.equal(world.host('b').disk.head.lastSeq, start, 'b has all three and knows it')
})

test('amendment 25: a replica that does not count applies block by block, and forgets the operations that it loses', () => {
  const world = active({ minInSync: 1 })
  // c has a write that no other store has, and is no member any more.
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'b'
  const lost = write(0, 2, 2)
  world.ask('a', lost)
  world.settle()
  world.kill('a')
  world.cut.add('b>c')
  world.hold = (_from, _to, message) => message.type === 'mark'
  lead(world, 'b', ['b'])
  world.cut.delete('b>c')
  world.pass(50)
  assert.equal(world.versionAt('c', 0).seq, 0, 'its block was put back before the MARK')
  assert.deepEqual(world.host('c').disk.windows.find(lost.operation.session, 2), { state: 'unknown' })
})

test('all replicas of a store together stage no more than the limit', () => {
  const space = new StagingSpace()
  const [one, other] = [new StagedPushes(space), new StagedPushes(space)]
  const bytes = new Uint8Array(LIMITS.maxBlockBytes)
  const change = (block: number): BlockChange => {
    return { block: block as BlockIndex, version: { epoch: 1 as Epoch, seq: 1 as Seq, kind: 1, checksum: 0 }, bytes }
  }
  const most = LIMITS.stagedPushBytes / LIMITS.maxBlockBytes - 1
  for (let block = 0; block < most; block++) assert.ok((block % 2 === 0 ? one : other).add(change(block)))
  assert.equal(one.add(change(most)), false)
  assert.ok(other.add(change(1)) === false, 'also in place of another, until that is dropped')
  assert.equal(one.take().length, Math.ceil(most / 2))
  assert.ok(other.add(change(most)))
  other.drop()
  assert.deepEqual(other.take(), [])
  for (let block = 0; block < most; block++) assert.ok(one.add(change(block)), `${block}`)
})
