import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ExtentId, extentId, leaseExpiryMs, MapCopy, type StoreId, TIMERS, type VolumeId } from '@ashlar/proto'
import { ExtentSet } from '../../../src/core/control/map/extent-set.ts'
import { RecentChanges } from '../../../src/core/control/map/recent-changes.ts'
import { contents, only, Reducer, store, VOLUME } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'

const EXTENTS = 10
const EXTENTS_PER_TICK = 4

/** A leader that looks at few extents a tick, with three stores. */
function slowRig(): LeaderRig {
  const rig = new LeaderRig(undefined, EXTENTS_PER_TICK)
  for (const n of [1, 2, 3]) {
    rig.register(n)
    rig.tick()
  }
  for (const n of [1, 2, 3]) rig.answers(n)
  return rig
}

describe('a command over more extents than one tick may process', () => {
  it('publishes its response and changes together, once all of it is applied', () => {
    const rig = slowRig()
    rig.receive(2, { type: 'get-map', have: rig.leader.state.revision, watch: true })
    rig.answers(2)
    assert.deepEqual(rig.create(3, EXTENTS), [])
    for (let ticks = 0; rig.leader.state.extents.size < EXTENTS; ticks++) {
      assert.ok(ticks < EXTENTS, 'it goes on at every tick')
      assert.deepEqual([...rig.answers(1), ...rig.answers(2)], [])
      rig.tick()
    }
    rig.tick()
    assert.equal(only(rig.answers(1), 'admin-done').code, 0)
    const { delta } = only(rig.answers(2), 'map-update')
    assert.equal(delta.extents.length, EXTENTS)
    assert.equal(delta.to, rig.leader.state.revision)
  })

  it('keeps inputs for later: a renewal gets its response, and a closed link is forgotten', () => {
    const rig = slowRig()
    rig.create(3, EXTENTS)
    rig.renew(2)
    rig.renew(3)
    rig.step(() => rig.leader.onLinkDown(3))
    assert.deepEqual([...rig.answers(2), ...rig.answers(3)], [])
    for (let ticks = 0; ticks < EXTENTS; ticks++) rig.tick()
    assert.equal(only(rig.answers(2), 'renewed').code, 0)
    assert.deepEqual(rig.answers(3), [])
  })

  it('marks no store as down whose renewal waits for it', () => {
    const rig = slowRig()
    rig.pass(leaseExpiryMs() - TIMERS.tickMs, [1, 3])
    rig.create(3, EXTENTS)
    // Store 2 was last heard long ago, and its renewal comes while the map is being changed.
    rig.renew(2)
    rig.pass(400, [1, 3])
    assert.equal(rig.leader.state.extents.size, EXTENTS)
    assert.equal(rig.leader.state.nodes.get(store(2))?.state, 'up')
  })
})

describe('a map of many extents', () => {
  it('lists the extents of a store in ascending order after any changes', () => {
    const set = new ExtentSet()
    const ids = Array.from({ length: 4096 }, (_, n) => extentId((1 + ((n * 7) % 3)) as VolumeId, (n * 1237) % 4096))
    for (const id of ids) set.add(id)
    for (const id of ids) set.add(id)
    const expected = new Set(ids)
    for (const [place, id] of ids.entries())
      if (place % 3 > 0) {
        set.delete(id)
        set.delete(id)
        expected.delete(id)
      }
    assert.equal(set.size, expected.size)
    assert.deepEqual(
      set.ascending(),
      [...expected].sort((a, b) => a - b),
    )
  })

  it('keeps recent changes of extents, and reports when they are no longer kept', () => {
    const recent = new RecentChanges()
    recent.restart(5)
    assert.equal(recent.after(4), undefined)
    recent.add(6, 1 as ExtentId)
    recent.add(8, 2 as ExtentId)
    recent.add(8, 1 as ExtentId)
    assert.deepEqual(
      [5, 6, 7, 8].map((from) => recent.after(from)),
      [[1, 2, 1], [2, 1], [2, 1], []],
    )
    for (let revision = 9; revision < 6000; revision++) recent.add(revision, 3 as ExtentId)
    assert.equal(recent.after(8), undefined)
    assert.deepEqual(recent.after(5997), [3, 3])
  })

  it('sends a watcher the same changes from memory as from a scan of the whole map', () => {
    const reducer = new Reducer().bootstrapped(5)
    reducer.create({ extents: 40 })
    const { revision } = reducer.state
    reducer.create({ name: 'v2', extents: 3 })
    reducer.expire([1], [2, 3, 4, 5])
    reducer.apply({ do: 'remove-volume', name: 'v2' })
    const delta = reducer.state.deltaSince(revision)
    const all = [...reducer.state.extents.values()].filter((record) => record.changedAt > revision)
    assert.deepEqual(delta.extents, all)
    assert.ok(delta.extents.length > 0)
    const copy = new MapCopy()
    copy.apply(reducer.state.deltaSince(0))
    assert.deepEqual(contents(copy), contents(reducer.state))
  })

  it('places extents by fewest replicas, then by the hash of extent and store', () => {
    const reducer = new Reducer().bootstrapped(7)
    reducer.create({ extents: 5, live: [1, 2, 3, 4] })
    const held = new Map<StoreId, number>()
    const led = new Map<StoreId, number>()
    for (let n = 1; n <= 7; n++) {
      held.set(store(n), reducer.state.assignedCount(store(n)))
      led.set(store(n), reducer.state.ledCount(store(n)))
    }
    reducer.create({ name: 'v2', extents: 50 })
    for (let index = 0; index < 50; index++) {
      const id = extentId((VOLUME + 1) as VolumeId, index)
      const by = (load: Map<StoreId, number>) => (a: StoreId, b: StoreId) =>
        (load.get(a) ?? 0) - (load.get(b) ?? 0) || fnv1a(`${id}/${a}`) - fnv1a(`${id}/${b}`)
      const assigned = [...held.keys()].sort(by(held)).slice(0, 3)
      const [primary] = [...assigned].sort(by(led)) as [StoreId]
      const record = reducer.record(id)
      assert.deepEqual([record.assigned, record.primary.store], [assigned, primary])
      for (const member of assigned) held.set(member, (held.get(member) ?? 0) + 1)
      led.set(primary, (led.get(primary) ?? 0) + 1)
    }
  })
})

function fnv1a(text: string): number {
  let value = 0x811c9dc5
  for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x01000193)
  return value >>> 0
}
