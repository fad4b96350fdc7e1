import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_ABSENT, BLOCK_DATA, BLOCK_TRIM, type Epoch, ERRORS } from '@ashlar/proto'
import { active } from './active.ts'
import { BLOCK, blockOf, EXTENT, read, SESSION, write, zero } from './requests.ts'

const OK = ERRORS.OK.number
const WAIT = ERRORS.WAIT.number

test('A2.5: a write completes once every in-sync store, the primary included, has it on stable storage', () => {
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

test('A2.3: without a lease the primary completes no write, and no read without confirmation', () => {
  const world = active()
  world.host('a').lease = false
  world.hold = (_from, _to, message) => message.type === 'confirmed'
  const [reading, writing] = [read(0), write(0, 1, 1)]
  world.ask('a', reading)
  world.ask('a', writing)
  world.settle()
  assert.deepEqual([world.codes(reading.request), world.codes(writing.request)], [[], [WAIT]])
  assert.equal(world.readBack(reading.request), undefined)
  world.pass(1100)
  assert.deepEqual(world.codes(reading.request), [WAIT], 'a round without responses ends')
})

test('amendment 4: a lease that ran out between seq and commit makes the outcome indeterminate, and the retry settles it', () => {
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

test('amendment 4: a write needs an attachment, a read does not', () => {
  const world = active()
  const operation = { session: SESSION, op: 1, lowMark: 1, generation: 0 }
  const unattached = [
    { ...write(0, 1, 1), operation },
    { ...zero(0, 1, 1), operation },
  ]
  for (const message of unattached) {
    world.ask('a', message)
    world.settle()
    assert.deepEqual(world.codes(message.request), [ERRORS.FENCED.number], message.type)
  }
  world.ask('a', { type: 'cancel', request: 7600, extent: EXTENT, epoch: 1 as Epoch, operation })
  world.settle()
  assert.deepEqual(world.codes(7600), [ERRORS.FENCED.number])
  assert.equal(world.host('a').disk.head.lastSeq, 1, 'nothing but START has a seq')
  world.ask('a', { ...read(0), generation: 0 })
  world.settle()
  assert.equal(world.answers.at(-1)?.type, 'read-done')
})
