import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, ERRORS, type StoreId } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { blockOf, read, write } from './requests.ts'

const WAIT = ERRORS.WAIT.number

/** Block 0 holds 5 everywhere, and control is away: a has no lease any more. */
function withoutControl(options: Parameters<typeof active>[0] = {}): World {
  const world = active(options)
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.host('a').lease = false
  return world
}

function answerTo(world: World, request: number) {
  return { bytes: world.readBack(request), codes: world.codes(request) }
}

test('amendment 8: without a lease a read is served once every member of the ack set confirms', () => {
  const world = withoutControl()
  world.hold = (from, _to, message) => message.type === 'confirmed' && from === 'c'
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(answerTo(world, reading.request), { bytes: undefined, codes: [] }, 'a majority is not enough')
  world.hold = () => false
  world.settle()
  assert.deepEqual(answerTo(world, reading.request), { bytes: blockOf(5), codes: [] })
})

test('amendment 8: a round begins after the bytes were fetched; reads that arrive during it share the next one', () => {
  const world = withoutControl()
  let rounds = 0
  world.hold = (_from, _to, message) => message.type === 'confirm'
  const readings = [read(0), read(0), read(0)]
  for (const reading of readings) world.ask('a', reading)
  rounds = world.wire.filter(({ message }) => message.type === 'confirm').length
  assert.equal(rounds, 2, 'one round, to two stores')
  world.hold = () => false
  world.settle()
  for (const { request } of readings) assert.deepEqual(world.readBack(request), blockOf(5))
  assert.equal(world.host('a').replication.describe()[0]?.phase, 'active')
})

test('amendment 8: a read that needs a confirmation during a round waits for the next one', () => {
  const world = withoutControl()
  world.hold = (_from, _to, message) => message.type === 'confirmed'
  const early = read(0)
  world.ask('a', early)
  world.settle()
  const late = read(0)
  world.ask('a', late)
  world.settle()
  assert.equal(world.wire.filter(({ message }) => message.type === 'confirmed').length, 2, 'one round, of two stores')
  world.hold = (_from, _to, message) => message.type === 'confirm'
  world.settle()
  assert.deepEqual(answerTo(world, early.request), { bytes: blockOf(5), codes: [] })
  assert.deepEqual(
    answerTo(world, late.request),
    { bytes: undefined, codes: [] },
    'the round had begun before its bytes',
  )
  world.hold = () => false
  world.settle()
  assert.deepEqual(answerTo(world, late.request), { bytes: blockOf(5), codes: [] })
})

test('amendment 8: one store that promised a higher epoch ends the round and the primary', () => {
  const world = withoutControl()
  // c was named by control, which a does not hear of; b does not know yet.
  const epoch = 2 as Epoch
  world.hold = (from, _to, message) => from === 'c' && message.type === 'open'
  world.change({ epoch, primary: { store: 'c' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] }, ['c'])
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.equal(world.readBack(reading.request), undefined)
  assert.ok(world.host('a').events.some(({ what }) => what === 'primary-fenced'))
  assert.ok(world.codes(reading.request).length === 1 && world.codes(reading.request)[0] !== ERRORS.OK.number)
})

test('amendment 8: a primary alone in its ack set never confirms itself', () => {
  const world = active({ minInSync: 1 })
  for (const store of ['b', 'c']) world.kill(store)
  world.pass(2500)
  for (const store of ['b', 'c']) world.host(store).state = 'down'
  world.publish()
  while (world.host('a').changes.length > 0) world.grant('a')
  world.pass(2500)
  assert.deepEqual(world.record.inSync, ['a'])
  world.host('a').lease = false
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(answerTo(world, reading.request), { bytes: undefined, codes: [WAIT] })
})

test('amendment 8: a pending addition has to confirm as well', () => {
  const world = active({ inSync: ['a', 'b'], minInSync: 1 })
  world.pass(1500)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'], 'control has not answered')
  world.host('a').lease = false
  world.hold = (from, _to, message) => from === 'c' && message.type === 'confirmed'
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.codes(reading.request), [])
  world.pass(1100)
  assert.deepEqual(world.codes(reading.request), [WAIT])
})

test('amendment 27: below minInSync nothing is confirmed, not even by all remaining members', () => {
  const world = withoutControl({ minInSync: 2 })
  world.kill('c')
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  const confirmed = read(0)
  world.ask('a', confirmed)
  world.settle()
  assert.deepEqual(answerTo(world, confirmed.request), { bytes: blockOf(5), codes: [] }, 'two are enough')
  world.volume = { ...world.volume, minInSync: 3 }
  world.publish()
  const refused = read(0)
  world.ask('a', refused)
  world.settle()
  assert.deepEqual(answerTo(world, refused.request), { bytes: undefined, codes: [WAIT] })
})

test('amendment 27: a round that began at minInSync proves nothing once the set is smaller', () => {
  const world = withoutControl({ minInSync: 3 })
  world.hold = (_from, _to, message) => message.type === 'confirmed'
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  world.change({ inSync: ['a', 'b'] as StoreId[], eligible: ['c'] as StoreId[] })
  world.hold = () => false
  world.settle()
  assert.deepEqual(answerTo(world, reading.request), { bytes: undefined, codes: [WAIT] })
})

test('a round ends when the connection to a member does', () => {
  const world = withoutControl()
  world.hold = (_from, _to, message) => message.type === 'confirm'
  const reading = read(0)
  world.ask('a', reading)
  world.kill('b')
  assert.deepEqual(world.codes(reading.request), [WAIT])
})
