import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS, TIMERS } from '@ashlar/proto'
import type { Context } from '../../../src/core/machine.ts'
import { type Copier, CopyPace } from '../../../src/core/replication/copy-pace.ts'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { BLOCK, read, write } from './requests.ts'

const RUN_BLOCKS = (256 * 1024) / BLOCK
const WINDOW_BLOCKS = LIMITS.pushWindowBytes / BLOCK
const BLOCKS = 2 * WINDOW_BLOCKS
const TICK_MS = 50

/** a and b wrote while c was away. It comes back, and what it acknowledges stays on the way until the test lets it arrive. */
function returning(member: boolean) {
  const world = active()
  world.kill('c')
  if (!member) {
    world.pass(TIMERS.silentMs + 300)
    world.grant('a')
  }
  for (let block = 0; block < BLOCKS; block++) world.ask('a', write(block, 1, block + 1))
  world.settle()
  let pushed = 0
  let held = true
  world.hold = (from, to, message) => {
    if (to === 'c' && message.type === 'push') pushed++
    return held && from === 'c' && message.type === 'ack'
  }
  world.start('c')
  world.publish()
  return {
    world,
    pushed: () => pushed,
    arrive: (next: 'held' | 'free' = 'held') => {
      held = false
      world.settle()
      held = next === 'held'
    },
  }
}

/** Time passes while a client reads in every tick. */
function serve(world: World, ms: number): void {
  for (const end = world.now + ms; world.now < end; ) {
    world.ask('a', read(0))
    world.pass(TICK_MS)
  }
}

function yields(world: World): boolean | undefined {
  const [extent] = world.host('a').replication.describe()
  return extent?.streams.find(({ store }) => store === 'c')?.yields
}

test('while clients are served a copy goes on run by run, each followed by three times its time', () => {
  const { world, pushed, arrive } = returning(false)
  serve(world, TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'the first run is free, the second has its turn')
  serve(world, 2 * TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'no other before it has arrived')
  arrive()
  serve(world, 5 * TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS, 'the pause')
  serve(world, TICK_MS)
  assert.equal(pushed(), 3 * RUN_BLOCKS)
  assert.equal(yields(world), true, 'what explain tells of it')
  arrive('free')
  serve(world, 10_000)
  assert.equal(pushed(), BLOCKS)
  assert.ok(world.identical())
})

test('once no client was served for a second a copy goes on without pauses', () => {
  const { world, pushed, arrive } = returning(false)
  serve(world, 2 * TICK_MS)
  world.pass(TIMERS.servedMs + TICK_MS)
  assert.equal(pushed(), 2 * RUN_BLOCKS)
  arrive()
  assert.equal(pushed(), BLOCKS)
  assert.equal(yields(world), false)
})

test('a copy to a member of the set, for which writes wait, takes no turns', () => {
  const { world, pushed } = returning(true)
  serve(world, TICK_MS)
  assert.equal(pushed(), WINDOW_BLOCKS)
})

test('copies take turns in the order in which they asked, one at a time', () => {
  const pace = new CopyPace()
  const turns: string[] = []
  const copier = (name: string): Copier => ({ onTurn: () => turns.push(name) })
  const [a, b] = [copier('a'), copier('b')]
  const at = (now: number): Context => ({ now }) as Context
  pace.onServed(0)
  pace.ask(a)
  pace.ask(b)
  pace.endStep(at(0))
  pace.endStep(at(10))
  assert.deepEqual(turns, ['a'])
  pace.done(at(10), a)
  pace.ask(a)
  pace.endStep(at(39))
  assert.deepEqual(turns, ['a'], 'three times 10 ms')
  pace.endStep(at(40))
  pace.leave(at(40), b)
  pace.endStep(at(41))
  assert.deepEqual(turns, ['a', 'b', 'a'], 'one that ends gives its turn away')
  pace.ask(b)
  pace.endStep(at(TIMERS.servedMs))
  assert.deepEqual(turns, ['a', 'b', 'a'])
  pace.endStep(at(TIMERS.servedMs + 1))
  assert.deepEqual(turns, ['a', 'b', 'a', 'b'], 'nobody is served any more')
})
