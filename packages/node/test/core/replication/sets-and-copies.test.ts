import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ABSENT_VERSION, type Epoch, ERRORS, leaseExpiryMs, type StoreId, TIMERS } from '@ashlar/proto'
import { active } from './active.ts'
import { blockOf, read, write } from './requests.ts'

const OK = ERRORS.OK.number
const WAIT = ERRORS.WAIT.number
/** After it a store that died is silent, and out of the set. */
const SILENT_MS = TIMERS.silentMs + 300

test('amendment 22: below minInSync the primary refuses writes with WAIT, and serves reads', () => {
  const world = active({ minInSync: 2 })
  world.ask('a', write(0, 9, 1))
  world.settle()
  world.kill('b')
  world.kill('c')
  world.pass(SILENT_MS)
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  world.grant('a')
  world.settle()
  const [reading, writing] = [read(0), write(0, 1, 2)]
  world.ask('a', reading)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [WAIT])
  assert.deepEqual(world.readBack(reading.request), blockOf(9))
})

test('A2.7: a silent replica leaves the ack set only once control has committed that', () => {
  const world = active()
  world.kill('c')
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  world.pass(SILENT_MS)
  assert.deepEqual(world.codes(writing.request), [], 'asked, not yet committed')
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
  world.grant('a')
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('A2.7: a store that is being added must acknowledge before control has responded, and does not count', () => {
  const world = active()
  world.kill('c')
  world.pass(SILENT_MS)
  world.grant('a')
  world.start('c')
  world.settle()
  world.pass(1500)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'], 'caught up, asked to be added')
  world.host('c').autoSync = false
  const writing = write(1, 1, 1)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [])
  world.sync('c')
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('amendment 1: a pending addition does not lift the set to minInSync', () => {
  const world = active({ minInSync: 2 })
  world.kill('b')
  world.kill('c')
  world.pass(SILENT_MS)
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  world.grant('a')
  world.start('b')
  world.settle()
  world.pass(1500)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
  const writing = write(1, 1, 1)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [WAIT])
  world.grant('a')
  const again = { ...writing, request: 6000 }
  world.ask('a', again)
  world.settle()
  assert.deepEqual(world.codes(6000), [OK])
})

test('amendment 27: a silent store is not added, though its stream stands and no acknowledgement is due', () => {
  const world = active({ minInSync: 2 })
  for (const store of ['b', 'c']) world.cut.add(`a>${store}`)
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  world.pass(TIMERS.silentMs + leaseExpiryMs())
  assert.deepEqual(world.grant('a').inSync, ['a'])
  world.pass(10_000)
  assert.deepEqual(world.host('a').changes, [])
  world.cut.delete('a>b')
  world.pass(TIMERS.rejoinMaxMs)
  assert.deepEqual(world.grant('a').inSync, ['a', 'b'])
})

test('amendment 27: a primary names the stores that hold all that it committed, in that incarnation', () => {
  for (const [counter, complete] of [
    [1, ['b', 'c']],
    [2, ['c']],
  ] as const) {
    const world = active({ minInSync: 2 })
    const shrink = (store: string) => {
      world.kill(store)
      world.host(store).state = 'down'
      world.publish()
      world.pass(SILENT_MS)
      return world.host('a').changes.at(-1)
    }
    assert.equal(shrink('b')?.complete, undefined, 'at minInSync no store is kept')
    world.grant('a')
    world.host('b').counter = counter
    assert.deepEqual(shrink('c')?.complete, complete)
  }
})

test('amendment 27: a member that restarted and stayed in the set is named in its new incarnation', () => {
  const world = active({ minInSync: 2 })
  world.host('b').counter = 2
  world.publish()
  for (const store of ['b', 'c']) {
    world.kill(store)
    world.host(store).state = 'down'
    world.publish()
    world.pass(SILENT_MS)
    if (store === 'b') world.grant('a')
  }
  assert.deepEqual(world.host('a').changes.at(-1)?.complete, ['b', 'c'])
})

test('amendment 27: a store that lacks a commit is not named, and meanwhile no read is confirmed', () => {
  const world = active({ minInSync: 2 })
  world.kill('b')
  world.pass(SILENT_MS)
  world.grant('a')
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.kill('c')
  world.host('c').state = 'down'
  world.publish()
  world.pass(SILENT_MS)
  assert.deepEqual(world.host('a').changes.at(-1)?.complete, ['c'])
  world.host('c').up = true
  world.host('a').lease = false
  const reading = read(0)
  world.ask('a', reading)
  assert.deepEqual(world.codes(reading.request), [WAIT])
})

test('A2.9: a store that was away is sent only the blocks that differ', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(SILENT_MS)
  world.grant('a')
  for (const block of [5, 300, 4000]) world.ask('a', write(block, 2, 1000 + block))
  world.settle()
  world.start('c')
  world.settle()
  world.pass(1500)
  const marked = world
    .host('a')
    .events.filter((event) => event.what === 'stream-marked' && event['store'] === 'c')
    .at(-1)
  assert.equal(marked?.['blocks'], 3)
  assert.ok(world.identical())
})

test('amendment 11: a suspect store is added to the set again once it was compared', () => {
  const world = active()
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.kill('c')
  world.host('c').disk.table.set(0, ABSENT_VERSION)
  world.host('c').trust = 'suspect'
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  world.start('c')
  world.publish()
  world.settle()
  world.pass(200)
  assert.ok(world.identical())
  assert.deepEqual(world.grant('a').inSync, ['a', 'b', 'c'])
})

test('amendment 5: writes during a copy end up in the copy, in order', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(SILENT_MS)
  world.grant('a')
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 2, 1000 + block))
  world.settle()
  world.start('c')
  world.hold = (_from, to, message) => to === 'c' && message.type === 'push'
  world.settle()
  world.pass(1100)
  // Some blocks are on their way, some are not read yet: each kind is written again, and a block outside the list too.
  for (const block of [0, 1, 599, 2000]) world.ask('a', write(block, 3, 3000 + block))
  world.hold = () => false
  // While clients are served a copy is throttled.
  world.pass(2000)
  assert.ok(world.identical())
  world.grant('a')
  const last = write(1, 4, 9000)
  world.ask('a', last)
  world.settle()
  assert.deepEqual(world.codes(last.request), [OK])
  assert.ok(world.identical())
})

test('amendment 13: a store that was away learns from MARK which retries it must not do again', () => {
  const world = active()
  world.kill('c')
  world.pass(SILENT_MS)
  world.grant('a')
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  world.settle()
  world.start('c')
  world.settle()
  world.pass(1500)
  world.grant('a')
  world.kill('a')
  world.change({ epoch: 2 as Epoch, primary: { store: 'c' as StoreId, counter: 2 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  const seq = world.host('c').disk.head.lastSeq
  world.ask('c', { ...writing, request: 7100, epoch: 2 as Epoch })
  world.settle()
  assert.deepEqual(world.codes(7100), [OK])
  assert.equal(world.host('c').disk.head.lastSeq, seq)
})

test('A2.6: a damaged block is fetched from an in-sync replica before the reader sees anything', () => {
  const world = active()
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.host('a').disk.damaged.add(0)
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.readBack(reading.request), blockOf(5))
  assert.equal(world.host('a').disk.damaged.size, 0)
})

test('a copy goes on past a damaged block that no store can repair, and ends once the block is written again', () => {
  const world = active({ minInSync: 1 })
  for (const block of [0, 1]) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('b')
  world.kill('c')
  world.pass(SILENT_MS)
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  world.grant('a')
  for (const block of [0, 1]) world.ask('a', write(block, 2, 10 + block))
  world.settle()
  world.host('a').disk.damaged.add(0)
  world.start('b')
  world.settle()
  world.pass(1500)
  for (let op = 20; op < 140; op++) {
    world.ask('a', write(2, 3, op))
    world.pass(100)
  }
  assert.equal(world.host('a').changes.length, 0, 'block 0 is still missing')
  world.ask('a', write(0, 4, 200))
  world.settle()
  world.pass(100)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
})

test('a damaged block is repaired from a store that is out of sync but holds the very version', () => {
  const world = active({ minInSync: 1 })
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.hold = (from, to) => [from, to].some((store) => store !== 'a') && to !== 'a'
  world.change({ inSync: ['a'] as StoreId[] })
  world.hold = () => false
  world.host('a').disk.damaged.add(0)
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.readBack(reading.request), blockOf(5))
})

test('A2.16 slow but alive: a replica that never responds to OPEN leaves the set, however often the stream is opened', () => {
  const world = active()
  world.kill('c')
  world.start('c')
  world.host('c').autoSync = false
  world.pass(5500)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
})

test('S-4: a gap closes the stream, and the next one compares and copies', () => {
  const world = active()
  let dropped = false
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.hold = (_from, to, message) => to === 'b' && message.type === 'replicate'
  world.ask('a', write(1, 1, 2))
  world.settle()
  const at = world.wire.findIndex(({ to, message }) => to === 'b' && message.type === 'replicate')
  dropped = world.wire.splice(at, 1).length === 1
  world.hold = () => false
  const writing = write(2, 1, 3)
  world.ask('a', writing)
  world.settle()
  assert.ok(dropped)
  world.pass(300)
  assert.deepEqual(world.codes(writing.request), [OK])
  assert.ok(world.identical())
})
