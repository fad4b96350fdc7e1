import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Epoch, StoreId } from '@ashlar/proto'
import { active } from './active.ts'
import { EXTENT } from './requests.ts'

const epochs = (list: readonly { epoch: Epoch; promised: Epoch }[]) =>
  list.map(({ epoch, promised }) => [epoch, promised])

test('amendment 35: a store that control names below its promise reports the promise, and leads above it', () => {
  const world = active()
  world.kill('a')
  world.change({ epoch: 9 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] })
  world.settle()
  assert.ok(world.host('b').events.some(({ what }) => what === 'extent-active'))
  // Control's log went back: stores that start now get the map as it was before.
  for (const store of ['b', 'c']) world.kill(store)
  world.change({ epoch: 4 as Epoch, primary: { store: 'c' as StoreId, counter: 2 }, inSync: ['b', 'c'] as StoreId[] })
  for (const store of ['b', 'c']) world.start(store)
  world.settle()
  world.pass(2500)
  for (const store of ['b', 'c']) {
    const { promises, events } = world.host(store)
    assert.deepEqual([...new Set(promises.map(({ extent }) => extent))], [EXTENT])
    assert.deepEqual(epochs(promises.slice(0, 2)), [
      [4, 9],
      [4, 9],
    ])
    assert.equal(events.filter(({ what }) => what === 'epoch-forgotten').length, 1, 'it is said once')
  }
  world.change({ epoch: 10 as Epoch })
  world.settle()
  const reported = world.host('c').promises.length
  world.pass(2500)
  assert.ok(world.host('c').events.some(({ what, epoch }) => what === 'extent-active' && epoch === 10))
  assert.equal(world.host('c').promises.length, reported, 'control named a higher one')
})

test('amendment 35: a map that is behind the primary for a moment is not reported', () => {
  const world = active()
  world.kill('a')
  // c promises to b before its map has that epoch.
  world.change({ epoch: 2 as Epoch, primary: { store: 'b' as StoreId, counter: 1 }, inSync: ['b', 'c'] as StoreId[] }, [
    'b',
  ])
  world.settle()
  world.publish(['c'])
  world.settle()
  world.pass(2500)
  assert.deepEqual(world.host('c').promises, [])
})

test('amendment 35: a primary reports a higher promise to control while the map names its own epoch', () => {
  const world = active()
  world.kill('b')
  world.host('b').disk.head = { ...world.host('b').disk.head, promised: 7 as Epoch }
  world.host('b').disk.sync()
  world.hold = (from, _to, message) => from === 'b' && message.type === 'fenced'
  world.start('b')
  world.hold = () => false
  world.settle()
  world.pass(2500)
  assert.deepEqual(epochs(world.host('a').promises.slice(0, 1)), [[1, 7]])
})
