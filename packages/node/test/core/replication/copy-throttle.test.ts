import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS, type StoreId, TIMERS } from '@ashlar/proto'
import type { Context } from '../../../src/core/machine.ts'
import { type Copier, CopyThrottle } from '../../../src/core/replication/copy-throttle.ts'
import { active } from './active.ts'
import { World } from './kit.ts'
import { BLOCK, read, write } from './requests.ts'

const RUN_BLOCKS = (256 * 1024) / BLOCK
const WINDOW_BLOCKS = LIMITS.pushWindowBytes / BLOCK
const BLOCKS = 2 * WINDOW_BLOCKS
const TICK_MS = TIMERS.tickMs
const SERVED_MS = 1000

/** Counts blocks that replicas are sent; what they acknowledge stays on the way until the test lets it arrive. */
function countPushes(world: World) {
  const pushed = new Map<string, number>()
  const opened = new Map<string, number>()
  let held = true
  world.hold = (from, to, message) => {
    if (message.type === 'push') pushed.set(to, (pushed.get(to) ?? 0) + 1)
    if (message.type === 'open') opened.set(to, (opened.get(to) ?? 0) + 1)
    return held && from !== 'b' && message.type === 'ack'
  }
  return {
    to: (store: string) => pushed.get(store) ?? 0,
    opens: (store: string) => opened.get(store) ?? 0,
    letArrive: (next: 'held' | 'free' = 'held') => {
      held = false
      world.settle()
      held = next === 'held'
    },
  }
}

/** a and b wrote while c was away; now it comes back. */
function returning(member: boolean) {
  const world = active()
  world.kill('c')
  if (!member) {
    world.pass(TIMERS.silentMs + 300)
    world.grant('a')
  }
  for (let block = 0; block < BLOCKS; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  const pushes = countPushes(world)
  world.start('c')
  world.publish()
  return { world, pushed: () => pushes.to('c'), opens: () => pushes.opens('c'), arrive: pushes.letArrive }
}

/** Time passes while a client reads in every tick. */
function serve(world: World, ms: number): void {
  for (const end = world.now + ms; world.now < end; ) {
    world.ask('a', read(0))
    world.pass(TICK_MS)
  }
}

function isThrottled(world: World): boolean | undefined {
  const [extent] = world.host('a').replication.describe()
  return extent?.streams.find(({ store }) => store === 'c')?.throttled
}

test('while clients are served a copy to a returning replica pauses after each run for as long as it took', () => {
  const { world, pushed, arrive } = returning(false)
  serve(world, TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'the first run is free, the second is granted')
  serve(world, 2 * TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'no other before it has arrived')
  arrive()
  serve(world, TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'the pause')
  serve(world, TICK_MS)
  assert.equal(pushed(), 3 * RUN_BLOCKS)
  assert.equal(isThrottled(world), true, 'what explain reports')
  arrive('free')
  serve(world, 10_000)
  assert.equal(pushed(), BLOCKS)
  assert.ok(world.identical())
})

test('a copy hangs when nothing is acknowledged any more, not when it takes long', () => {
  const { world, opens } = returning(false)
  let acks = 0
  const count = world.hold
  world.hold = (from, to, message) => (count(from, to, message) && acks-- <= 0) as boolean
  for (let times = 0; times < 3; times++) {
    serve(world, 0.7 * TIMERS.slowMs)
    acks = 1
    world.settle()
  }
  assert.equal(opens(), 1)
  serve(world, 2 * TIMERS.slowMs)
  assert.ok(opens() > 1)
})

test('a copy goes on without pauses once no client was served for a second', () => {
  const { world, pushed, arrive } = returning(false)
  serve(world, 2 * TICK_MS)
  world.pass(SERVED_MS + TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS)
  arrive()
  assert.equal(pushed(), BLOCKS)
  assert.equal(isThrottled(world), false)
})

test('a copy to a member of the set, for which writes wait, is not throttled', () => {
  const { world, pushed } = returning(true)
  serve(world, TICK_MS)
  assert.equal(pushed(), WINDOW_BLOCKS)
})

test('a copy is not throttled while too few replicas are in sync', () => {
  const world = active({ minInSync: 2 })
  for (const store of ['b', 'c']) {
    world.kill(store)
    world.host(store).state = 'down'
  }
  for (let block = 0; block < BLOCKS; block++) world.ask('a', write(block, 1, block + 1))
  world.pass(TIMERS.silentMs + 300)
  world.publish()
  world.grant('a')
  world.settle()
  const pushes = countPushes(world)
  world.start('c')
  world.publish()
  serve(world, TICK_MS)
  assert.equal(pushes.to('c'), WINDOW_BLOCKS)
})

/** Two copies, to c and to d: the first runs of both are in flight, and the second run of c, which the throttle granted. */
function twoCopies() {
  const world = new World(['a', 'b', 'c', 'd'])
  world.publish()
  world.settle()
  for (const store of ['c', 'd']) world.kill(store)
  world.pass(TIMERS.silentMs + 300)
  world.grant('a')
  for (let block = 0; block < BLOCKS; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  const pushes = countPushes(world)
  for (const store of ['c', 'd']) world.start(store)
  world.publish()
  serve(world, TICK_MS)
  assert.deepEqual([pushes.to('c'), pushes.to('d')], [2 * RUN_BLOCKS, RUN_BLOCKS])
  return { world, pushes }
}

test('a copy that ends during its run lets the next one run', () => {
  const { world, pushes } = twoCopies()
  world.change({ assigned: ['a', 'b', 'd'] as StoreId[] })
  serve(world, 4 * TICK_MS)
  assert.deepEqual([pushes.to('c'), pushes.to('d')], [2 * RUN_BLOCKS, 2 * RUN_BLOCKS])
})

test('a copy that is throttled for longer than the stream timeout is not opened again', () => {
  const { world, pushes } = twoCopies()
  serve(world, TIMERS.slowMs - 4 * TICK_MS)
  pushes.letArrive()
  serve(world, 10 * TICK_MS)
  assert.equal(pushes.to('d'), RUN_BLOCKS, 'the pause behind the run of c')
  assert.deepEqual([pushes.opens('c'), pushes.opens('d')], [1, 1])
})

test('copies run one at a time, in the order of their requests', () => {
  const throttle = new CopyThrottle()
  const runs: string[] = []
  const copier = (name: string): Copier => ({ kind: 'filling', onGranted: () => runs.push(name) })
  const [a, b] = [copier('a'), copier('b')]
  const at = (now: number): Context => ({ now }) as Context
  throttle.onServed(0)
  throttle.request(a)
  throttle.request(b)
  throttle.endStep(at(0))
  throttle.endStep(at(5))
  assert.deepEqual(runs, ['a'])
  throttle.done(at(5), a)
  throttle.request(a)
  throttle.endStep(at(5))
  assert.deepEqual(runs, ['a', 'b'], 'a pause of less than a tick accumulates')
  throttle.done(at(15), b)
  throttle.endStep(at(119))
  assert.deepEqual(runs, ['a', 'b'], 'seven times 15 ms')
  throttle.endStep(at(120))
  throttle.request(b)
  throttle.leave(at(120), a)
  throttle.endStep(at(120))
  assert.deepEqual(runs, ['a', 'b', 'a', 'b'], 'a copy that ends lets the next one run')
  throttle.request(a)
  throttle.endStep(at(SERVED_MS))
  assert.deepEqual(runs, ['a', 'b', 'a', 'b'])
  throttle.endStep(at(SERVED_MS + 1))
  assert.deepEqual(runs, ['a', 'b', 'a', 'b', 'a'], 'no client is served any more')
})

test('a copy whose replica hangs lets the next one run', () => {
  const throttle = new CopyThrottle()
  const runs: string[] = []
  const at = (now: number): Context => ({ now }) as Context
  for (const name of ['a', 'b']) throttle.request({ kind: 'filling', onGranted: () => runs.push(name) })
  throttle.onServed(0)
  throttle.endStep(at(0))
  throttle.onServed(TIMERS.slowMs)
  throttle.endStep(at(TIMERS.slowMs))
  assert.deepEqual(runs, ['a'])
  throttle.endStep(at(TIMERS.slowMs + 1))
  assert.deepEqual(runs, ['a', 'b'])
})
