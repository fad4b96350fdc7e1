import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ABSENT_VERSION, type Epoch, ERRORS, type StoreId } from '@ashlar/proto'
import { active } from './active.ts'
import type { World } from './kit.ts'
import { blockOf, EXTENT, read, write } from './requests.ts'

const STORES = ['a', 'b', 'c'] as const
const OK = ERRORS.OK.number

/** Blocks 0, 1 and 300 are written on a, b and c, block 0 twice. Then all of them go down. */
function allDown(): World {
  const world = active()
  for (const [block, fill] of [
    [0, 1],
    [1, 2],
    [300, 3],
    [0, 4],
  ] as const) {
    world.ask('a', write(block, fill, 10 * fill))
    world.settle()
  }
  for (const store of STORES) {
    world.kill(store)
    const { disk } = world.host(store)
    world.host(store).trust = 'suspect'
    // As a real disk: damage is found by reading.
    disk.stored = () => ({ ...Object.getPrototypeOf(disk).stored.call(disk), damaged: [] })
  }
  return world
}

/** A record of the log is lost: the block is as if it never was written. */
function drop(world: World, store: string, block: number): void {
  const { disk } = world.host(store)
  disk.table.set(block, ABSENT_VERSION)
  disk.bytes.delete(block)
  disk.sync()
}

function rot(world: World, store: string, block: number): void {
  world.host(store).disk.damaged.add(block)
}

/** Control names a store that reconciles the remaining stores, all of which return. */
function reconcile(world: World, store: string, n: number, others: readonly string[] = STORES): void {
  for (const other of others) if (!world.host(other).up) world.start(other)
  const mark = { extent: EXTENT, epoch: n as Epoch, store: store as StoreId, acknowledged: false, changedAt: 1 }
  for (const host of world.hosts.values()) host.map.forced.set(EXTENT, { ...mark, merged: true })
  const { counter } = world.host(store)
  world.change({
    epoch: n as Epoch,
    primary: { store: store as StoreId, counter },
    inSync: STORES as readonly string[] as StoreId[],
  })
  world.settle()
  world.pass(200)
}

function reads(world: World, store: string, block: number, n: number): { code: number | undefined; bytes: unknown } {
  const reading = read(block, n)
  world.ask(store, reading)
  world.settle()
  return { code: world.codes(reading.request)[0], bytes: world.readBack(reading.request) }
}

function phases(world: World, store: string): string[] | undefined {
  const [status] = world.host(store).replication.describe()
  return status?.reconciling?.map((source) => `${source.store} ${source.phase}`)
}

const said = (world: World, store: string, what: string) =>
  world.host(store).events.filter((event) => event.what === what)

test('amendment 11: of each block the highest version wins that any suspect store holds', () => {
  const world = allDown()
  drop(world, 'a', 0)
  drop(world, 'b', 0)
  drop(world, 'b', 1)
  drop(world, 'c', 300)
  drop(world, 'b', 300)
  reconcile(world, 'b', 2)
  assert.equal(said(world, 'b', 'extent-reconciled')[0]?.['takenBlocks'], 3)
  assert.deepEqual(reads(world, 'b', 0, 2).bytes, blockOf(4))
  assert.deepEqual(reads(world, 'b', 1, 2).bytes, blockOf(2))
  assert.deepEqual(reads(world, 'b', 300, 2).bytes, blockOf(3))
  assert.ok(world.identical())
  const writing = write(1, 9, 90, { epoch: 2 as Epoch })
  world.ask('b', writing)
  world.settle()
  assert.deepEqual(world.codes(writing.request), [OK])
})

test('amendment 11: a copy with a good checksum wins over a damaged one, of the same version and of a higher one', () => {
  const world = allDown()
  // Of block 0 only a has the second write, and that copy rotted; of block 1 the own copy rotted.
  for (const store of ['b', 'c']) {
    const { disk } = world.host(store)
    disk.table.set(0, { ...disk.table.get(0), seq: 2 as never, checksum: world.versionAt(store, 0).checksum })
    disk.sync()
  }
  rot(world, 'a', 0)
  rot(world, 'b', 1)
  reconcile(world, 'b', 2)
  assert.equal(said(world, 'b', 'extent-reconciled')[0]?.['olderBlocks'], 1)
  assert.equal(world.versionAt('b', 0).seq, 2)
  assert.deepEqual(reads(world, 'b', 1, 2).bytes, blockOf(2))
  assert.ok(world.identical())
  for (const store of STORES) assert.equal(world.host(store).disk.damaged.size, 0)
})

test('amendment 11: nothing is served before every suspect store has reported what it holds', () => {
  const world = allDown()
  drop(world, 'b', 1)
  drop(world, 'c', 1)
  world.cut.add('a>b')
  reconcile(world, 'b', 2)
  world.pass(20_000)
  assert.deepEqual(reads(world, 'b', 1, 2).code, ERRORS.WAIT.number)
  assert.deepEqual(world.host('b').released, [])
  assert.deepEqual(world.host('b').changes, [], 'no store is taken out of the set meanwhile')
  world.cut.clear()
  world.pass(200)
  assert.deepEqual(reads(world, 'b', 1, 2).bytes, blockOf(2))
})

test('A2.17-5: what a reconciling store loses after it read its own bytes comes from the others', () => {
  const world = allDown()
  world.cut.add('a>b')
  reconcile(world, 'b', 2)
  assert.deepEqual(phases(world, 'b'), ['b ready', 'a closed', 'c ready'])
  world.host('b').autoRead = false
  assert.ok(world.loseVersion('b', 1))
  assert.deepEqual(phases(world, 'b')?.[0], 'b reading')
  world.cut.clear()
  world.pass(200)
  assert.equal(said(world, 'b', 'extent-reconciled').length, 0)
  world.host('b').autoRead = true
  world.finishReads('b')
  world.settle()
  world.pass(200)
  assert.deepEqual(reads(world, 'b', 1, 2).bytes, blockOf(2))
  assert.equal(world.loseVersion('b', 1), false, 'now it serves')
})

test('amendment 11: a reconciliation survives a restart of a source and of the primary itself', () => {
  const world = allDown()
  drop(world, 'b', 1)
  drop(world, 'b', 300)
  let fetched = 0
  world.hold = (_from, _to, message) => message.type === 'fetched-block' && ++fetched > 1
  reconcile(world, 'b', 2)
  assert.equal(said(world, 'b', 'extent-reconciled').length, 0)
  assert.deepEqual(phases(world, 'b'), ['b ready', 'a ready', 'c ready'])
  world.kill('a')
  world.hold = () => false
  assert.deepEqual(phases(world, 'b'), ['b ready', 'a closed', 'c ready'], 'the status shows what it waits for')
  world.start('a')
  world.publish()
  world.settle()
  world.pass(200)
  assert.equal(said(world, 'b', 'extent-reconciled').length, 1)
  assert.equal(phases(world, 'b'), undefined)
  assert.ok(world.identical())

  const again = allDown()
  drop(again, 'b', 1)
  drop(again, 'b', 300)
  fetched = 0
  again.hold = (_from, _to, message) => message.type === 'fetched-block' && ++fetched > 1
  reconcile(again, 'b', 2)
  again.kill('b')
  again.hold = () => false
  reconcile(again, 'b', 3)
  assert.deepEqual(reads(again, 'b', 300, 3).bytes, blockOf(3))
  assert.ok(again.identical())
})

test('amendments 11 and 13: operations that any of the stores remembers are not done again', () => {
  const world = allDown()
  for (const store of ['b', 'c']) {
    const { disk } = world.host(store)
    drop(world, store, 300)
    disk.windows.replace([])
    disk.sync()
  }
  reconcile(world, 'b', 2)
  const again = { ...write(300, 3, 30, { epoch: 2 as Epoch }) }
  const before = world.versionAt('b', 300)
  world.ask('b', again)
  world.settle()
  assert.deepEqual(world.codes(again.request).at(-1), OK)
  assert.deepEqual(world.versionAt('b', 300), before)
})

test('amendment 11: a block that is damaged on every store reads as damaged, not as zeroes', () => {
  const world = allDown()
  for (const store of STORES) rot(world, store, 1)
  reconcile(world, 'b', 2)
  assert.equal(reads(world, 'b', 1, 2).code, ERRORS.DAMAGED.number)
  assert.deepEqual(reads(world, 'b', 0, 2).bytes, blockOf(4))
})

test('A2.8-4: a primary that has no version of a block whose copies are all damaged releases the extent', () => {
  const world = allDown()
  drop(world, 'b', 1)
  for (const store of ['a', 'c']) rot(world, store, 1)
  reconcile(world, 'b', 2)
  assert.deepEqual(
    world.host('b').released.map(({ reason }) => reason),
    ['behind'],
  )
})

test('amendment 11: a reconciliation ends when a higher epoch was promised', () => {
  const world = allDown()
  world.cut.add('a>b')
  reconcile(world, 'b', 2)
  reconcile(world, 'c', 3, ['c'])
  world.cut.clear()
  world.pass(200)
  assert.equal(said(world, 'b', 'extent-reconciled').length, 0)
  assert.equal(said(world, 'c', 'extent-reconciled').length, 1)
  assert.ok(world.identical())
})

// From the side of a store whose own copy loses, and of one that has the better copy.
for (const reconciler of ['a', 'c']) {
  test(`amendment 13: an operation that a better copy rolls back when ${reconciler} reconciles is done again when it is retried`, () => {
    const world = active()
    // Only a has the first; b and c never heard of it and have a write of another epoch in its place.
    world.hold = (_from, _to, message) => message.type === 'replicate'
    const rolledBack = write(0, 9, 90)
    world.ask('a', rolledBack)
    world.settle()
    world.kill('a')
    world.hold = () => false
    world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
    world.settle()
    const kept = write(0, 8, 91, { epoch: 2 as Epoch })
    world.ask('b', kept)
    world.settle()
    assert.deepEqual(world.codes(kept.request), [OK])
    for (const store of STORES) {
      world.kill(store)
      world.host(store).trust = 'suspect'
    }
    reconcile(world, reconciler, 3)
    assert.deepEqual(reads(world, reconciler, 0, 3).bytes, blockOf(8))
    for (const [request, writing, content] of [
      [9001, kept, 8],
      [9002, rolledBack, 9],
    ] as const) {
      world.ask(reconciler, { ...writing, request, epoch: 3 as Epoch })
      world.settle()
      assert.deepEqual(world.codes(request), [OK])
      assert.deepEqual(reads(world, reconciler, 0, 3).bytes, blockOf(content))
    }
  })
}

test('A2.17-4: a replica whose making was dropped too, and which was made again, counts once it was compared', () => {
  const world = allDown()
  for (const block of [0, 1, 300]) drop(world, 'c', block)
  world.host('c').disk.exists = false
  world.cut.add('a>b')
  reconcile(world, 'b', 2)
  const holds = (store: string) => world.host(store).replication.holdsWhatCounts()
  assert.deepEqual([holds('a'), holds('c')], [true, false])
  world.cut.clear()
  world.pass(20_000)
  assert.ok(world.identical())
  assert.ok(holds('c'))
})
