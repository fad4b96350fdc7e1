import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, type Seq, TIMERS } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { blockOf, EXTENT, read, write } from './requests.ts'

/** Until replicas have been notified of the commit point. */
const TOLD_MS = TIMERS.commitNewsMs + 4 * TIMERS.tickMs

/** Counts how often the primary on `a` is looked at: that begins with a look at its record. */
function countLooks(world: World): { looks: number } {
  const { extents } = world.host('a').map
  const get = extents.get.bind(extents)
  const count = { looks: 0 }
  extents.get = (id) => {
    count.looks += 1
    return get(id)
  }
  return count
}

test('an idle extent costs nothing at a tick, and is busy again once an input reached it', () => {
  const world = active()
  world.pass(TOLD_MS)
  const count = countLooks(world)
  world.pass(1000)
  assert.equal(count.looks, 0)
  world.hold = (_from, _to, message) => message.type === 'replicate'
  world.ask('a', write(0, 5, 1))
  count.looks = 0
  world.pass(TIMERS.tickMs)
  assert.ok(count.looks > 0, 'its write is on its way')
})

test('an extent with a replica that is away costs nothing at a tick, and is busy again when its store is heard', () => {
  const world = active()
  world.kill('c')
  const count = countLooks(world)
  world.pass(TIMERS.silentMs + 4 * TIMERS.tickMs)
  assert.ok(count.looks > 0, 'a store that goes silent wakes the extents that name it')
  world.grant('a')
  world.pass(4 * TIMERS.tickMs)
  count.looks = 0
  world.pass(60_000)
  assert.equal(count.looks, 0)
  world.start('c')
  world.pass(2 * TIMERS.rejoinMinMs)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b', 'c'], 'caught up, asked to be added')
})

test('a store that is heard again without a new connection wakes its extents', () => {
  const world = active()
  world.kill('c')
  world.pass(TIMERS.silentMs + 4 * TIMERS.tickMs)
  world.grant('a')
  world.pass(4 * TIMERS.tickMs)
  const count = countLooks(world)
  world.host('c').up = true
  world.pass(2 * TIMERS.tickMs)
  assert.ok(count.looks > 0)
})

test('an extent stays busy while a silent replica is in the set', () => {
  const world = active({ minInSync: 3 })
  world.kill('c')
  world.pass(TIMERS.silentMs + 4 * TIMERS.tickMs)
  assert.deepEqual(world.host('a').changes, [], 'control still calls it up')
  world.host('c').state = 'down'
  world.publish()
  world.pass(TIMERS.tickMs)
  assert.deepEqual(world.host('a').changes.at(-1)?.inSync, ['a', 'b'])
})

test('a completion reaches its extent: a read that finds damage tries the next replica where one does not respond', () => {
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

test('amendment 26: replicas of an extent without writes are notified of the commit point once, and then it is idle', () => {
  const world = active()
  const notices: string[] = []
  world.hold = (_from, to, message) => {
    if (message.type === 'confirm') notices.push(`${to} ${message.commitSeq}`)
    return false
  }
  world.ask('a', write(0, 5, 1))
  world.settle()
  assert.deepEqual([world.host('b').disk.head.commitSeq, world.host('b').disk.head.lastSeq], [1, 2], 'one behind')
  world.pass(TOLD_MS)
  assert.deepEqual(notices, ['b 2', 'c 2'])
  for (const store of ['a', 'b', 'c']) assert.equal(world.host(store).disk.head.commitSeq, 2, store)
  const count = countLooks(world)
  world.pass(10 * TIMERS.commitNewsMs)
  assert.deepEqual([count.looks, notices.length], [0, 2])
})

test('amendment 26: a commit point counts only on a live stream of that primary, and for what the replica has', () => {
  const world = active()
  world.ask('a', write(0, 5, 1))
  world.settle()
  const confirm = { type: 'confirm' as const, extent: EXTENT, round: 0 }
  const seqOf = () => world.host('b').disk.head.commitSeq
  world.deliver('a', 'b', { ...confirm, epoch: 1 as Epoch, commitSeq: 3 as Seq })
  assert.equal(seqOf(), 1, 'it has no write 3')
  world.deliver('a', 'b', { ...confirm, epoch: 2 as Epoch, commitSeq: 2 as Seq })
  assert.equal(seqOf(), 1, 'there is no primary of epoch 2')
  world.deliver('a', 'b', { ...confirm, epoch: 1 as Epoch, commitSeq: 2 as Seq })
  assert.equal(seqOf(), 2)
})

test('amendment 26: a replica on an older wire version is not notified of the commit point', () => {
  const world = active()
  world.wireVersion = 2
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.pass(TOLD_MS)
  assert.deepEqual([world.host('a').disk.head.commitSeq, world.host('b').disk.head.commitSeq], [2, 1])
})
