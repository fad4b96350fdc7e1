import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, ERRORS, LIMITS, type SessionId, type StoreId, TIMERS, type Write } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { write } from './requests.ts'

const OK = ERRORS.OK.number
const { number: FENCED } = ERRORS.FENCED
const { number: BUSY } = ERRORS.BUSY

/** The first operation of a session. */
function writeOf(session: number, block = 0): Write {
  const message = write(block, session % 250, 1)
  return { ...message, operation: { ...message.operation, session: session as SessionId } }
}

function ask(world: World, message: Write): number | undefined {
  world.ask('a', message)
  world.settle()
  return world.codes(message.request)[0]
}

/** Control names these sessions as holders of the volume; all stores learn it, or those that are named. */
function hold(world: World, sessions: readonly number[], stores?: readonly string[]): void {
  const holders = sessions.map((session) => ({ session: session as SessionId, mode: 'shared' as const, client: 'c' }))
  world.volume = { ...world.volume, holders }
  world.publish(stores)
  world.settle()
}

/** Renewals of all stores were sent and answered: their maps hold all that was committed until now. */
function renew(world: World, stores: readonly string[] = ['a', 'b', 'c']): void {
  world.pass(TIMERS.tickMs)
  for (const store of stores) world.host(store).mapAsOf = world.now
}

function shared(sessions: readonly number[]): World {
  const world = active()
  world.featureLevel = 1
  hold(world, sessions)
  return world
}

function remembered(world: World, store: string): SessionId[] {
  return world
    .host(store)
    .disk.stored()
    .windows.map(({ session }) => session)
}

test('amendment 31: a session that the map does not name cannot write, even in its own generation', () => {
  const world = shared([1, 2])
  assert.equal(ask(world, writeOf(1)), OK)
  hold(world, [2])
  assert.equal(ask(world, { ...writeOf(1), operation: { ...writeOf(1).operation, op: 2 } }), FENCED)
  assert.equal(ask(world, writeOf(1)), FENCED, 'a late retry of what took effect too: it is not known for long')
  assert.equal(ask(world, writeOf(2)), OK)
})

test('amendment 31: before feature level 1 a session ends with its generation only', () => {
  const world = active()
  hold(world, [2])
  assert.equal(ask(world, writeOf(1)), OK)
})

test('amendment 31: before feature level 1 no session is refused for lack of a window', () => {
  const world = active()
  for (let session = 1; session <= LIMITS.sessionWindows + 8; session++) {
    hold(world, [session])
    assert.equal(ask(world, writeOf(session)), OK)
  }
  assert.ok(world.identical())
})

test('amendment 31: after ten sessions in a row only those that hold the volume have windows, on every store and its disk', () => {
  const world = shared([100])
  assert.equal(ask(world, writeOf(100)), OK)
  for (let session = 1; session <= 10; session++) {
    hold(world, [100, session])
    renew(world)
    assert.equal(ask(world, writeOf(session, session)), OK)
  }
  for (const store of ['a', 'b', 'c']) assert.deepEqual(remembered(world, store), [100, 10])
  assert.ok(world.identical())
})

test('amendment 31: a store that receives an operation before it learns of the session keeps the window', () => {
  const world = shared([1])
  // c hears of nothing but operations: its map names neither 2 nor 3.
  hold(world, [1, 2], ['a', 'b'])
  assert.equal(ask(world, writeOf(2)), OK)
  hold(world, [1, 2, 3], ['a', 'b'])
  assert.equal(ask(world, writeOf(3)), OK)
  assert.deepEqual(remembered(world, 'c'), [2, 3])
  world.pass(1000)
  // Its map is whole up to a moment before those operations came: that says nothing about them.
  world.host('c').mapAsOf = world.now - 2000
  hold(world, [1, 2, 3, 4], ['a', 'b'])
  assert.equal(ask(world, writeOf(4)), OK)
  assert.deepEqual(remembered(world, 'c'), [2, 3, 4])
})

test('amendment 31: a replica that cannot drop a window takes all windows from the primary again', () => {
  const world = shared([1])
  const sessions = LIMITS.sessionWindows + 8
  for (let session = 1; session <= sessions; session++) {
    hold(world, [session], ['a', 'b'])
    renew(world, ['a', 'b'])
    const message = writeOf(session)
    world.ask('a', message)
    // The stream to c may be opened again meanwhile.
    world.pass(4 * TIMERS.tickMs)
    assert.deepEqual(world.codes(message.request), [OK])
  }
  assert.ok(remembered(world, 'c').length <= LIMITS.sessionWindows)
  assert.ok(world.host('c').events.some(({ reason }) => reason === 'too many sessions with operations to remember'))
  assert.deepEqual(remembered(world, 'a'), [sessions])
})

test('amendment 31: a primary that cannot drop a session orders no operation of one more session', () => {
  const world = shared([1])
  const sessions = Array.from({ length: LIMITS.sessionWindows }, (_, at) => at + 1)
  for (const session of sessions) {
    hold(world, [session])
    assert.equal(ask(world, writeOf(session)), OK)
  }
  hold(world, [1000])
  assert.equal(ask(world, writeOf(1000)), BUSY)
  renew(world)
  assert.equal(ask(world, writeOf(1000)), OK)
  assert.deepEqual(remembered(world, 'b'), [1000])
})

test('an operation beyond the window of its session is refused', () => {
  const world = shared([1])
  const message = writeOf(1)
  const operation = { ...message.operation, op: 1 + LIMITS.sessionOps }
  assert.equal(ask(world, { ...message, operation }), ERRORS.OUT_OF_RANGE.number)
})

test('amendment 31: a primary that took over windows of another store waits for a map as new before it takes writes', () => {
  const world = shared([1])
  assert.equal(ask(world, writeOf(1)), OK)
  // b has what it has by a MARK, and its map is not known to be newer than that.
  world.cut.add('a>b')
  world.pass(TIMERS.silentMs + 4 * TIMERS.tickMs)
  world.grant('a')
  world.cut.clear()
  world.pass(2 * TIMERS.rejoinMinMs)
  world.grant('a')
  world.kill('a')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] }, [
    'b',
    'c',
  ])
  world.settle()
  world.pass(TIMERS.tickMs)
  const retry = { ...writeOf(1, 3), epoch: 2 as Epoch }
  const again = { ...retry, operation: { ...retry.operation, op: 2 } }
  world.ask('b', again)
  world.settle()
  assert.deepEqual(world.codes(again.request), [ERRORS.WAIT.number])
  renew(world, ['b', 'c'])
  const once = { ...writeOf(1, 3), epoch: 2 as Epoch, operation: again.operation }
  world.ask('b', once)
  world.settle()
  assert.deepEqual(world.codes(once.request), [OK])
})
