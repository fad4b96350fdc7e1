import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Epoch, ERRORS, type StoreId } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { blockOf, read, write } from './requests.ts'

/** Blocks 0 and 1 are written on all three stores, and block 0 is rotten on those that are named. */
function rotten(...stores: readonly string[]): World {
  const world = active()
  for (const block of [0, 1]) {
    world.ask('a', write(block, 5, block + 1))
    world.settle()
  }
  for (const store of stores) world.host(store).disk.damaged.add(0)
  return world
}

function takeOver(world: World): void {
  world.kill('a')
  world.kill('c')
  world.start('c')
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
}

test('A2.6: a block that is damaged on every store does not keep a new primary from serving the others', () => {
  const world = rotten('b', 'c')
  takeOver(world)
  const [bad, good] = [read(0, 2), read(1, 2)]
  world.ask('b', bad)
  world.ask('b', good)
  world.settle()
  assert.deepEqual(world.codes(bad.request), [ERRORS.DAMAGED.number])
  assert.deepEqual(world.readBack(good.request), blockOf(5))
  world.ask('b', write(0, 6, 9, { epoch: 2 as Epoch }))
  world.settle()
  const written = read(0, 2)
  world.ask('b', written)
  world.settle()
  assert.deepEqual(world.readBack(written.request), blockOf(6), 'a write of the whole block ends it')
})

test('A2.6: stores that all lack a good copy of a block send each other one request, and no more', () => {
  const world = rotten('a', 'b', 'c')
  let fetches = 0
  world.hold = (_from, _to, message) => {
    if (message.type === 'fetch-block') fetches += 1
    // An endless exchange would never settle.
    return fetches > 100
  }
  const bad = read(0)
  world.ask('a', bad)
  world.settle()
  assert.deepEqual(world.codes(bad.request), [ERRORS.DAMAGED.number])
  assert.ok(fetches < 10, `${fetches} messages asked for it`)
})

test('A2.6: a block that is damaged only at the new primary is repaired before it serves', () => {
  const world = rotten('c')
  world.host('b').disk.damaged.add(0)
  world.host('c').disk.damaged.delete(0)
  takeOver(world)
  const reading = read(0, 2)
  world.ask('b', reading)
  world.settle()
  assert.deepEqual(world.readBack(reading.request), blockOf(5))
})

test('a damaged block whose versions differ blocks the copy: to go on would lose the newer version', () => {
  const world = active({ minInSync: 1 })
  world.ask('a', write(0, 5, 1))
  world.settle()
  world.hold = (_from, to, message) => message.type === 'replicate' && to === 'c'
  world.ask('a', write(0, 6, 2))
  world.settle()
  world.hold = () => false
  world.kill('c')
  world.host('a').disk.damaged.add(0)
  world.host('b').disk.damaged.add(0)
  world.start('c')
  world.settle()
  world.pass(1000)
  const [stream] =
    world
      .host('a')
      .replication.describe()[0]
      ?.streams.filter(({ store }) => store === 'c') ?? []
  assert.deepEqual([stream?.phase, stream?.marked, stream?.behindBlocks], ['copying', false, 1])
})

test('a read that waits for a repair fails at once when its primary steps down', () => {
  const world = rotten('a')
  world.hold = (_from, _to, message) => message.type === 'fetch-block'
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.codes(reading.request), [])
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 } })
  assert.deepEqual(world.codes(reading.request), [ERRORS.NOT_PRIMARY.number])
})

test('A2.6: a replica repairs damage that it finds itself from another store, without a stream', () => {
  const world = rotten('c')
  world.scrub('c', 0)
  world.settle()
  assert.equal(world.host('c').disk.damaged.size, 0)
  assert.deepEqual(world.host('c').disk.bytes.get(0), blockOf(5))
  const reported = world.host('c').events.map(({ what }) => what)
  assert.deepEqual(
    reported.filter((what) => what.startsWith('block-')),
    ['block-damaged', 'block-repaired'],
  )
})

test('A2.6: a replica tries the next store where the first is damaged too, which then repairs itself', () => {
  const world = rotten('b', 'c')
  // The primary is asked last: b first, by the order of the map.
  world.change({ inSync: ['b', 'a', 'c'] as StoreId[] })
  world.scrub('c', 0)
  world.settle()
  for (const store of ['b', 'c']) assert.equal(world.host(store).disk.damaged.size, 0, store)
})

test('a block that was written while its damage was reported is not damaged any more', () => {
  const world = rotten('c')
  world.hold = (_from, to, message) => to === 'c' && message.type === 'fetched-block'
  world.scrub('c', 0)
  world.settle()
  world.ask('a', write(0, 6, 9))
  world.settle()
  world.hold = () => false
  world.pass(3000)
  const [status] = world.host('c').replication.describe()
  assert.equal(status?.damagedBlocks, 0)
  assert.deepEqual(world.host('c').disk.bytes.get(0), blockOf(6))
})

test('a repair that is pending when its replica is deleted writes nothing', () => {
  const world = rotten('c')
  world.hold = (_from, to, message) => to === 'c' && message.type === 'fetched-block'
  world.scrub('c', 0)
  world.settle()
  world.remove()
  world.hold = () => false
  world.settle()
  assert.equal(world.host('c').disk.exists, false)
  assert.ok(world.host('c').disk.damaged.has(0))
})

test('a store may leave only where enough other stores are up and in sync, and one of them can lead', () => {
  const world = active({ minInSync: 2 })
  const mayLeave = (store: string) => world.host(store).replication.mayLeave
  assert.ok(mayLeave('a') && mayLeave('c'))
  world.host('b').trust = 'suspect'
  world.publish()
  assert.ok(mayLeave('c'), 'b is suspect, and in sync: it was compared')
  assert.equal(mayLeave('a'), true, 'c is trusted')
  world.host('c').trust = 'suspect'
  world.publish()
  assert.equal(mayLeave('a'), false, 'neither b nor c could lead')
  for (const store of ['b', 'c']) world.host(store).trust = 'trusted'
  world.host('b').state = 'down'
  world.publish()
  assert.equal(mayLeave('c'), false, 'b is lost')
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  assert.ok(mayLeave('c'), 'it does not count anyway')
  world.host('b').state = 'up'
  world.volume = { ...world.volume, minInSync: 3 }
  world.change({ inSync: ['a', 'b', 'c'] as StoreId[] })
  assert.ok(mayLeave('c'), 'there will never be three others')
})

test('a store may leave where all replicas have to be in sync, once all others are in sync', () => {
  const world = active({ minInSync: 3 })
  const mayLeave = (store: string) => world.host(store).replication.mayLeave
  assert.ok(mayLeave('c'))
  world.host('b').state = 'down'
  world.publish()
  assert.equal(mayLeave('c'), false, 'b is lost')
})

/** Stores a, b and c hold blocks 0 and 300; then c is down, suspect and out of the set, and both are rotten there. */
function suspectWithRot(): World {
  const world = active()
  for (const block of [0, 300]) world.ask('a', write(block, 5, block + 1))
  world.settle()
  world.kill('c')
  const { disk } = world.host('c')
  for (const block of [0, 300]) disk.damaged.add(block)
  // As a real disk: damage is found by reading.
  disk.stored = () => ({ ...Object.getPrototypeOf(disk).stored.call(disk), damaged: [] })
  world.host('c').trust = 'suspect'
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  return world
}

test('amendment 11: a suspect store reads all its bytes before it counts, and rotten blocks are repaired', () => {
  const world = suspectWithRot()
  world.start('c')
  world.publish()
  world.settle()
  world.pass(200)
  assert.deepEqual(world.grant('a').inSync, ['a', 'b', 'c'])
  assert.equal(world.host('c').disk.damaged.size, 0)
  assert.deepEqual(
    world
      .host('c')
      .events.filter(({ what }) => what === 'replica-verified')
      .map(({ damagedBlocks }) => damagedBlocks),
    [2],
  )
})

test('amendment 11: a suspect store responds to no OPEN while it reads, and reads once for all of them', () => {
  const world = suspectWithRot()
  const c = world.host('c')
  c.autoRead = false
  let opened = 0
  world.hold = (from, _to, message) => {
    if (from === 'c' && message.type === 'opened') opened += 1
    return false
  }
  world.start('c')
  world.publish()
  world.settle()
  world.pass(25_000)
  assert.equal(opened, 0)
  assert.equal(c.reads.length, 1, 'streams that were opened again wait for the same reading')
  world.finishReads('c')
  world.settle()
  assert.equal(opened, 1)
  c.autoRead = true
  world.pass(1500)
  assert.equal(c.disk.damaged.size, 0)
})

test('amendment 11: a trusted store reads nothing before it is compared', () => {
  const world = suspectWithRot()
  world.host('c').trust = 'trusted'
  world.start('c')
  world.publish()
  world.settle()
  assert.ok(!world.host('c').events.some(({ what }) => what === 'replica-verified'))
})

test('amendment 11: the deletion of a replica ends its reading', () => {
  const world = suspectWithRot()
  const c = world.host('c')
  c.autoRead = false
  world.start('c')
  world.publish()
  world.settle()
  world.remove()
  world.finishReads('c')
  assert.ok(!c.events.some(({ what }) => what === 'replica-verified'))
})

test('A2.17-5: versions that a suspect store loses while it reads need no other stream, since its digests come later', () => {
  const world = suspectWithRot()
  const c = world.host('c')
  c.autoRead = false
  world.start('c')
  world.publish()
  world.settle()
  assert.ok(world.loseVersion('c', 300))
  world.settle()
  world.finishReads('c')
  c.autoRead = true
  world.settle()
  world.pass(200)
  assert.deepEqual(world.grant('a').inSync, ['a', 'b', 'c'])
  assert.ok(world.identical())
  assert.ok(!c.events.some(({ what }) => what === 'stream-closed'))
})

test('A2.17-5: versions that a suspect store loses after it was compared are read, compared and restored by another stream', () => {
  const world = suspectWithRot()
  const c = world.host('c')
  world.start('c')
  world.publish()
  world.settle()
  world.pass(200)
  world.grant('a')
  world.settle()
  assert.ok(world.identical())
  world.hold = (_from, to, message) => to === 'c' && message.type === 'open'
  assert.ok(world.loseVersion('c', 300))
  assert.ok(!world.identical())
  const after = write(1, 9, 50)
  world.ask('a', after)
  world.settle()
  assert.deepEqual(world.codes(after.request), [], 'a store that is in sync acknowledges nothing before it is compared')
  world.hold = () => false
  world.settle()
  assert.deepEqual(world.codes(after.request), [ERRORS.OK.number])
  assert.ok(world.identical())
  assert.equal(c.events.filter(({ what }) => what === 'replica-verified').length, 2, 'its bytes were read again')
})

test('A2.17-5: a store that serves an extent does not go on in an incarnation that lost versions of it', () => {
  const world = active()
  world.ask('a', write(0, 5, 1))
  world.settle()
  assert.equal(world.loseVersion('a', 0), false)
})

/** Block 0 is written twice and a, its primary, has the first write again, with good bytes and no proof of it. */
function olderAtPrimary(): World {
  const world = active()
  world.ask('a', write(0, 5, 1))
  world.settle()
  const { disk } = world.host('a')
  const first = disk.load(0)
  world.ask('a', write(0, 6, 2))
  world.settle()
  disk.table.set(0, first.version)
  const load = disk.load.bind(disk)
  disk.load = (block) => {
    const { bytes: _, ...loaded } = load(block)
    return { ...loaded, damaged: true, unproven: true }
  }
  return world
}

test('A2.17-6: a version that no member has is not read: the reader waits for the next primary', () => {
  const world = olderAtPrimary()
  const reading = read(0)
  world.ask('a', reading)
  world.settle()
  assert.deepEqual(world.codes(reading.request), [ERRORS.WAIT.number])
  world.change({ inSync: ['a'] as StoreId[] })
  world.settle()
  const alone = read(0)
  world.ask('a', alone)
  world.settle()
  assert.deepEqual(world.codes(alone.request).slice(-1), [ERRORS.DAMAGED.number], 'there is no other member')
})

test('A2.17-6: a store that is not in sync does not prove that a version is the last one', () => {
  const world = olderAtPrimary()
  world.change({ inSync: ['a', 'b'] as StoreId[] })
  const asked: string[] = []
  world.hold = (_from, to, message) => {
    if (message.type === 'fetch-block') asked.push(to)
    return false
  }
  world.ask('a', read(0))
  world.settle()
  assert.deepEqual(asked, ['b'])
})

test('A2.17-6: a primary that finds versions lost stops serving where another member can lead', () => {
  const world = active()
  world.stopServing('a')
  assert.deepEqual(
    world.host('a').released.map(({ reason }) => reason),
    ['behind'],
  )
  const alone = active({ minInSync: 1 })
  alone.change({ inSync: ['a'] as StoreId[] })
  alone.stopServing('a')
  assert.deepEqual(alone.host('a').released, [])
})

test('A2.17-8: a version of a suspect store that a flipped bit makes look newer ends no primary, and is overwritten', () => {
  for (const registered of [true, false]) {
    const world = suspectWithRot()
    const { disk } = world.host('c')
    disk.table.set(1, { ...disk.table.get(0), epoch: (2 ** 20) as Epoch })
    disk.head = { ...disk.head, commitSeq: disk.head.lastSeq }
    disk.sync()
    // Its link may stand before the map says that this incarnation is suspect.
    world.start('c')
    if (!registered) world.pass(500)
    assert.ok(!world.host('a').events.some(({ what }) => what === 'primary-behind'))
    world.publish()
    world.settle()
    world.pass(500)
    assert.deepEqual(world.grant('a').inSync, ['a', 'b', 'c'])
    assert.deepEqual(world.host('a').released, [])
    assert.ok(world.identical())
  }
})
