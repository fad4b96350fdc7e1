import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_ABSENT, BLOCK_DATA, BLOCK_TRIM, type Epoch, ERRORS, type StoreId } from '@ashlar/proto'
import { BLOCK, blockOf, EXTENT, read, SESSION, World, write } from './kit.ts'

const OK = ERRORS.OK.number
const WAIT = ERRORS.WAIT.number

function active(options: ConstructorParameters<typeof World>[1] = {}): World {
  const world = new World(['a', 'b', 'c'], options)
  world.publish()
  world.settle()
  assert.ok(world.host('a').facts.some((fact) => fact.what === 'extent-active'))
  return world
}

test('A2.5: a write is answered once every in-sync store, the primary included, has it on stable storage', () => {
  const world = active()
  for (const store of ['a', 'c']) world.host(store).autoSync = false
  const request = write(3, 7, 1)
  world.ask('a', request)
  world.settle()
  assert.deepEqual(world.codes(request.request), [])
  world.sync('a')
  world.settle()
  assert.deepEqual(world.codes(request.request), [], 'one replica has not synced')
  world.sync('c')
  world.settle()
  assert.deepEqual(world.codes(request.request), [OK])
  assert.ok(world.identical())
})

test('A2.6: a read of a block with an uncommitted write waits for the commit', () => {
  const world = active()
  world.host('b').autoSync = false
  world.ask('a', write(0, 1, 1))
  world.settle()
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.equal(world.readBack(reading.request), undefined)
  world.sync('b')
  world.settle()
  assert.deepEqual(world.readBack(reading.request), blockOf(1))
})

test('A2.3: without a lease the primary answers no read and no write', () => {
  const world = active()
  world.host('a').lease = false
  const [reading, writing] = [read(0), write(0, 1, 1)]
  world.ask('a', reading)
  world.ask('a', writing)
  assert.deepEqual([world.codes(reading.request), world.codes(writing.request)], [[WAIT], [WAIT]])
})

test('amendment 4: a lease that ran out between seq and commit makes the answer indeterminate, and the retry settles it', () => {
  const world = active()
  world.host('b').autoSync = false
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  world.settle()
  world.host('a').lease = false
  world.sync('b')
  world.settle()
  assert.deepEqual(world.codes(writing.request), [ERRORS.INDETERMINATE.number])
  world.host('a').lease = true
  const retry = { ...writing, request: 5000 }
  world.ask('a', retry)
  assert.deepEqual(world.codes(5000), [OK])
  assert.equal(world.versionAt('a', 0).seq, 2, 'the retry was not done again')
})

test('amendment 22: below minInSync the primary answers WAIT, and goes on reading', () => {
  const world = active({ minInSync: 2 })
  world.ask('a', write(0, 9, 1))
  world.settle()
  world.kill('b')
  world.kill('c')
  world.pass(2500)
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
  world.pass(2500)
  assert.deepEqual(world.codes(writing.request), [], 'asked, not yet committed')
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
  world.grant('a')
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('A2.7: a store that asked to be added must acknowledge before control has answered, and never counts', () => {
  const world = active()
  world.kill('c')
  world.pass(2500)
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
  world.pass(2500)
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

test('A2.9: a store that was away is sent only the blocks that differ', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(2500)
  world.grant('a')
  for (const block of [5, 300, 4000]) world.ask('a', write(block, 2, 1000 + block))
  world.settle()
  world.start('c')
  world.settle()
  world.pass(1500)
  const marked = world
    .host('a')
    .facts.filter((fact) => fact.what === 'stream-marked' && fact['store'] === 'c')
    .at(-1)
  assert.equal(marked?.['blocks'], 3)
  assert.ok(world.identical())
})

test('amendment 5: writes during a copy end up in the copy, in order', () => {
  const world = active()
  for (let block = 0; block < 600; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('c')
  world.pass(2500)
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
  world.settle()
  assert.ok(world.identical())
  world.pass(200)
  world.grant('a')
  const last = write(1, 4, 9000)
  world.ask('a', last)
  world.settle()
  assert.deepEqual(world.codes(last.request), [OK])
  assert.ok(world.identical())
})

test('A2.8-5: a new primary overwrites what a replica has more, and rolls its own tail forward', () => {
  const world = active()
  // a persists writes that no replica has seen; b has one that c has not.
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
  world.ask('a', write(0, 1, 1))
  world.settle()
  world.hold = (_from, _to, message) => message.type === 'replicate'
  world.ask('a', write(1, 2, 2))
  world.settle()
  world.kill('a')
  world.hold = () => false
  world.settle()
  world.change({ epoch: 2 as Epoch, primary: { store: 'c' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  assert.ok(world.host('c').facts.some((fact) => fact.what === 'extent-active'))
  assert.equal(world.versionAt('b', 0).seq, 0, 'the tail of b was rolled back')
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
  assert.ok(!world.host('b').facts.some((fact) => fact.what === 'extent-active' && fact['epoch'] === 2))
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

test('amendment 13: a retry after a failover is answered from the new primary’s own memory, and done once', () => {
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

test('amendment 13: a store that was away learns from MARK which retries it must not do again', () => {
  const world = active()
  world.kill('c')
  world.pass(2500)
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

test('amendment 13: a cancelled operation is refused for ever, also by the next primary', () => {
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

test('amendment 4: an operation of an older attachment is fenced', () => {
  const world = active()
  world.volume = { ...world.volume, generation: 2 }
  world.publish()
  const writing = write(0, 1, 1)
  world.ask('a', writing)
  assert.deepEqual(world.codes(writing.request), [ERRORS.FENCED.number])
})

test('A2.13: a part of a block changes only its bytes, on every replica, and overlapping parts keep their order', () => {
  const world = active()
  world.ask('a', write(0, 1, 1))
  world.ask('a', write(0, 0, 2, { offset: 100, payload: new Uint8Array(50).fill(2) }))
  world.ask('a', write(0, 0, 3, { offset: 120, payload: new Uint8Array(50).fill(3) }))
  world.settle()
  const expected = blockOf(1).fill(2, 100, 120).fill(3, 120, 170)
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.readBack(reading.request), expected)
  assert.ok(world.identical())
})

test('amendment 21: a trim of blocks that were never written writes nothing, others keep a version without bytes', () => {
  const world = active()
  world.ask('a', write(1, 1, 1))
  world.settle()
  const trim = (first: number, request: number, op: number) => ({
    type: 'zero' as const,
    request,
    extent: EXTENT,
    epoch: 1 as Epoch,
    operation: { session: SESSION, op, lowMark: 1, generation: 1 },
    offset: first * BLOCK,
    length: BLOCK,
    kind: BLOCK_TRIM as 3,
  })
  world.ask('a', trim(2, 7400, 2))
  world.settle()
  assert.deepEqual(world.codes(7400), [OK])
  assert.equal(world.versionAt('c', 2).kind, BLOCK_ABSENT)
  world.ask('a', write(2, 6, 4))
  world.settle()
  world.ask('a', trim(2, 7450, 2))
  world.settle()
  assert.deepEqual(world.codes(7450), [OK], 'a late duplicate is known')
  assert.equal(world.versionAt('c', 2).kind, BLOCK_DATA, 'and erases nothing that was written since')
  world.ask('a', trim(1, 7500, 3))
  world.settle()
  assert.deepEqual(world.codes(7500), [OK])
  assert.equal(world.versionAt('c', 1).kind, BLOCK_TRIM)
  assert.ok(world.identical())
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

test('a copy goes on behind a damaged block that nobody can repair, and ends once the block is written anew', () => {
  const world = active({ minInSync: 1 })
  for (const block of [0, 1]) world.ask('a', write(block, 1, block + 1))
  world.settle()
  world.kill('b')
  world.kill('c')
  world.pass(2500)
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

test('A2.16 slow but alive: a replica that never answers OPEN leaves the set, however often it is asked', () => {
  const world = active()
  world.kill('c')
  world.start('c')
  world.host('c').autoSync = false
  world.pass(5500)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
})

test('S-4: a gap closes the stream, and the next one repairs by comparison', () => {
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
