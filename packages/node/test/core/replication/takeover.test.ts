import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ABSENT_VERSION, type Epoch, ERRORS, type StoreId, TIMERS } from '@ashlar/proto'
import { active, lead } from './active.ts'
import type { World } from './kit.ts'
import { EXTENT, read, write } from './requests.ts'

const OK = ERRORS.OK.number
const WAIT = ERRORS.WAIT.number

test('amendment 26: a new primary takes over what a member is ahead by, and A2.8-5 rolls back what no member has', () => {
  const world = active()
  // a persists writes that no replica has seen; b has one that c has not.
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
  const taken = write(0, 1, 1)
  world.ask('a', taken)
  world.settle()
  world.hold = (_from, _to, message) => message.type === 'replicate'
  world.ask('a', write(1, 2, 2))
  world.settle()
  world.kill('a')
  world.hold = () => false
  world.settle()
  lead(world, 'c', ['b', 'c'])
  assert.ok(world.host('c').events.some((event) => event.what === 'extent-active'))
  assert.equal(world.versionAt('c', 0).seq, 2)
  assert.equal(world.versionAt('b', 0).seq, 2)
  world.ask('c', { ...taken, request: 7100, epoch: 2 as Epoch })
  world.settle()
  assert.deepEqual(world.codes(7100), [OK], 'and knows its operation')
  assert.equal(world.host('c').disk.head.lastSeq, 3, 'so that a retry of it is not done again')
  world.start('a')
  world.settle()
  world.pass(1500)
  assert.ok(world.identical())
  assert.equal(world.versionAt('a', 1).seq, 0)
})

test('A2.8-3: a new primary does not serve before every in-sync store has its state', () => {
  const world = active()
  world.kill('a')
  world.hold = (from) => from === 'c'
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  const reading = read(0, 2)
  world.ask('b', reading)
  assert.deepEqual(world.codes(reading.request), [WAIT])
  world.hold = () => false
  world.settle()
  const again = read(0, 2)
  world.ask('b', again)
  world.settle()
  assert.equal(world.answers.at(-1)?.type, 'read-done')
})

test('A2.8-4: a primary that a replica proves to have lost commits steps down and says so', () => {
  const world = active()
  for (let op = 1; op <= 3; op++) {
    world.ask('a', write(op, op, op))
    world.settle()
  }
  world.kill('b')
  world.host('b').disk.head = { ...world.host('b').disk.head, lastSeq: 1 as never, commitSeq: 1 as never }
  world.host('b').disk.sync()
  world.kill('a')
  world.start('b')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 2 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  world.pass(200)
  assert.deepEqual(world.host('b').released, [{ reason: 'behind', epoch: 2 }])
  assert.ok(!world.host('b').events.some((event) => event.what === 'extent-active' && event['epoch'] === 2))
})

test('A2.8-4: a primary that lost a committed block in the middle of its log steps down before it overwrites it', () => {
  const world = active()
  for (let op = 1; op <= 3; op++) {
    world.ask('a', write(op, op, op))
    world.settle()
  }
  world.kill('b')
  world.host('b').disk.table.set(1, ABSENT_VERSION)
  world.host('b').disk.bytes.delete(1)
  world.host('b').disk.sync()
  world.kill('a')
  world.start('b')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 2 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  assert.deepEqual(
    world.host('b').released.map(({ reason }) => reason),
    ['behind'],
  )
  assert.equal(world.versionAt('c', 1).seq, 2, 'the good copy is still there')
})

test('A2.8-4: the last write that another knows to be committed counts as committed, the one behind it does not', () => {
  for (const [lost, released] of [
    [2, ['behind']],
    [3, []],
  ] as const) {
    const world = active()
    for (let op = 1; op <= 3; op++) {
      world.ask('a', write(op, op, op))
      world.settle()
    }
    assert.equal(world.host('c').disk.head.commitSeq, world.versionAt('c', 2).seq, 'what c knows ends with write 2')
    world.kill('b')
    world.host('b').disk.table.set(lost, ABSENT_VERSION)
    world.host('b').disk.bytes.delete(lost)
    world.host('b').disk.sync()
    world.kill('a')
    world.start('b')
    world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 2 }, inSync: ['b', 'c'] as StoreId[] })
    world.settle()
    const reasons = world.host('b').released.map(({ reason }) => reason)
    assert.deepEqual(reasons, released, `write ${lost}`)
  }
})

test('A2.0: a restarted primary does not resume its epoch', () => {
  const world = active()
  world.kill('a')
  world.start('a')
  world.settle()
  world.pass(500)
  const reading = read(0)
  world.ask('a', reading)
  assert.notEqual(world.answers.at(-1)?.type, 'read-done')
  world.change({ epoch: 2 as Epoch, primary: { store: 'a' as StoreId, counter: 2 } })
  world.settle()
  const again = read(0, 2)
  world.ask('a', again)
  world.settle()
  assert.equal(world.answers.at(-1)?.type, 'read-done')
})

test('A2.3: a deposed primary is fenced by the first replica that promised a higher epoch', () => {
  const world = active()
  // a hears nothing of the change of primary, from control or from b.
  world.hold = (from, to) => from === 'b' && to === 'a'
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] }, [
    'b',
    'c',
  ])
  world.settle()
  const late = write(0, 1, 1)
  world.ask('a', late)
  world.settle()
  assert.deepEqual(world.codes(late.request), [ERRORS.INDETERMINATE.number])
  assert.equal(world.versionAt('c', 0).seq, 0)
})

test('amendment 13: a retry after a failover gets its response from the new primary’s own windows, and is done once', () => {
  const world = active()
  const writing = write(0, 1, 1)
  world.hold = (_from, to, message) => message.type === 'ack' && to === 'a'
  world.ask('a', writing)
  world.settle()
  world.kill('a')
  world.hold = () => false
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  const seq = world.host('b').disk.head.lastSeq
  world.ask('b', { ...writing, request: 7000, epoch: 2 as Epoch })
  world.settle()
  assert.deepEqual(world.codes(7000), [OK])
  assert.equal(world.host('b').disk.head.lastSeq, seq)
})

test('amendment 13: a cancelled operation is refused permanently, also by the next primary', () => {
  const world = active()
  const writing = write(0, 1, 1)
  world.ask('a', { type: 'cancel', request: 7200, extent: EXTENT, epoch: 1 as Epoch, operation: writing.operation })
  world.settle()
  assert.deepEqual(world.codes(7200), [ERRORS.CANCELLED.number])
  world.kill('a')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  world.ask('b', { ...writing, request: 7300, epoch: 2 as Epoch })
  world.settle()
  assert.deepEqual(world.codes(7300), [ERRORS.CANCELLED.number])
  assert.equal(world.versionAt('b', 0).seq, 0)
})

test('S-1: an OPEN for another store, another incarnation or an older stream is refused', () => {
  const world = active()
  const open = {
    type: 'open' as const,
    extent: EXTENT,
    epoch: 1 as Epoch,
    gen: 1,
    primaryStore: 'a' as StoreId,
    replicaStore: 'b' as StoreId,
    replicaCounter: 1,
  }
  const refusals = (message: Parameters<World['ask']>[1]) => {
    world.answers.length = 0
    world.ask('b', message)
    return world.answers.map((answer) => (answer.type === 'open-refused' ? answer.reason : answer.type))
  }
  assert.deepEqual(refusals({ ...open, replicaStore: 'z' as StoreId }), ['wrong-store'])
  assert.deepEqual(refusals({ ...open, replicaCounter: 9, gen: 50 }), ['wrong-store'])
  assert.deepEqual(refusals(open), ['older-stream'])
  assert.deepEqual(refusals({ ...open, epoch: 0 as Epoch, gen: 50 }), ['fenced'])
})

test('S-1: a primary of an earlier epoch that opens a stream to its successor is fenced', () => {
  const world = active()
  // a does not learn that b leads now, and b does not reach a.
  world.hold = (from, to) => from === 'b' && to === 'a'
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 } }, ['b', 'c'])
  world.settle()
  world.answers.length = 0
  world.ask('b', {
    type: 'open',
    extent: EXTENT,
    epoch: 1 as Epoch,
    gen: 50,
    primaryStore: 'a' as StoreId,
    replicaStore: 'b' as StoreId,
    replicaCounter: 1,
  })
  assert.deepEqual(
    world.answers.map((answer) => (answer.type === 'open-refused' ? [answer.reason, answer.promised] : answer.type)),
    [['fenced', 2]],
  )
})

test('a shutdown stops serving before control may name another primary, then ends once control did', () => {
  const world = active()
  world.shutDown('a')
  assert.deepEqual(world.host('a').released, [{ reason: 'shutdown', epoch: 1 }])
  const reading = read(0)
  world.ask('a', reading)
  assert.deepEqual(world.codes(reading.request), [WAIT])
  assert.ok(!world.host('a').handedOver)
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 } })
  world.pass(100)
  assert.ok(world.host('a').handedOver)
})

test('amendment 27: a new primary removes a member that hangs where a store that waits to be added replaces it', () => {
  const world = active({ minInSync: 2 })
  world.host('c').autoSync = false
  const epoch = 2 as Epoch
  world.change({ epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.pass(TIMERS.slowMs + TIMERS.openTimeoutMs)
  assert.deepEqual(world.grant('b').inSync, ['b'])
  world.pass(200)
  assert.deepEqual(world.grant('b').inSync, ['b', 'a'])
  world.pass(200)
  const reading = read(0, epoch)
  world.ask('b', reading)
  assert.equal(world.answers.at(-1)?.type, 'read-done')
  assert.deepEqual(world.host('b').released, [])
})
