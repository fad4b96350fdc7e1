import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TIMERS } from '@ashlar/proto'
import { active } from './active.ts'
import { blockOf, read, write } from './requests.ts'

test('a quiet extent costs nothing at a tick, and is looked at again once an input reached it', () => {
  const world = active()
  world.pass(4 * TIMERS.tickMs)
  const { extents } = world.host('a').map
  const get = extents.get.bind(extents)
  let looks = 0
  extents.get = (id) => {
    looks += 1
    return get(id)
  }
  world.pass(1000)
  assert.equal(looks, 0, 'what a primary does begins with a look at its record')
  world.hold = (_from, _to, message) => message.type === 'replicate'
  world.ask('a', write(0, 5, 1))
  looks = 0
  world.pass(TIMERS.tickMs)
  assert.ok(looks > 0, 'its write is on its way')
})

test('a completion reaches its extent: a read that finds damage asks the next replica where one does not answer', () => {
  const world = active()
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.host('a').disk.damaged.add(0)
  world.host('a').autoRead = false
  const reading = read(0)
  world.ask('a', reading)
  world.pass(4 * TIMERS.tickMs)
  world.hold = (_from, to, message) => message.type === 'fetch-block' && to === 'b'
  world.finishReads('a')
  world.host('a').autoRead = true
  world.pass(TIMERS.openTimeoutMs + 2 * TIMERS.tickMs)
  assert.deepEqual(world.readBack(reading.request), blockOf(5))
})
