import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ExtentId, MapCopy, NO_INCARNATION } from '@ashlar/proto'
import { explainWaiting } from '../../../src/core/control/index.ts'
import { address, assertInvariants, contents, EXTENT, numberOf, numbers, Reducer, store } from './kit.ts'

/** A volume on three stores whose in-sync set shrank to its primary, which was then lost: no store can serve. */
function stuck() {
  const reducer = new Reducer().bootstrapped(3)
  reducer.create({ minInSync: 1 })
  const p = numberOf(reducer.record().primary.store)
  const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
  reducer.change([p])
  reducer.expire([p], [a, b])
  assert.equal(numberOf(reducer.record().primary.store), p, 'the last member stays although it is dead')
  return { reducer, p, a, b }
}

function force(reducer: Reducer, n: number, live: number[], extent: ExtentId = EXTENT) {
  return reducer.apply({ do: 'force-primary', extent, store: store(n), live: live.map(store) })
}

describe('A2.10: a forced promotion', () => {
  it('makes the store the only in-sync one in a new epoch, and the map records the new timeline', () => {
    const { reducer, a, b } = stuck()
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    const { changedAt, ...forced } = reducer.state.forced.get(EXTENT) ?? assert.fail('nothing was kept')
    assert.deepEqual(forced, { extent: EXTENT, epoch: 2, store: store(a), acknowledged: false })
    assert.equal(changedAt, reducer.record().changedAt, 'both are learned together')
    assertInvariants(reducer.state)
  })

  it('is refused while a primary serves, while a better store is up, and for a store that is down or has no replica', () => {
    const healthy = new Reducer().bootstrapped(4)
    healthy.create({ live: [1, 2, 3] })
    const served = force(healthy, 1, [1, 2, 3, 4])
    assert.equal(served.code, 'CONFLICT')
    assert.match(served.message, /serves extent 0 of v1/)

    const { reducer, p, a, b } = stuck()
    reducer.register(4)
    const before = reducer.state.revision
    assert.match(force(reducer, 4, [a, b, 4]).message, /holds no replica of extent 0 of v1/)
    assert.match(force(reducer, a, [b]).message, new RegExp(`n${a} is not up`))
    assert.match(force(reducer, p, [a, b]).message, new RegExp(`n${p} is not up`))
    assert.equal(force(reducer, a, [a], 4097 as ExtentId).code, 'NOT_FOUND')
    assert.equal(reducer.state.revision, before, 'a refusal changes nothing')

    const waiting = new Reducer().bootstrapped(3)
    waiting.create()
    const lost = numberOf(waiting.record().primary.store)
    const [x, y] = [1, 2, 3].filter((n) => n !== lost) as [number, number]
    waiting.expire([1, 2, 3], [])
    const better = force(waiting, x, [x, y])
    assert.equal(better.code, 'CONFLICT', 'control names an in-sync member by itself')
  })

  it('is applied once if it is repeated after a lost response', () => {
    const { reducer, a, b } = stuck()
    force(reducer, a, [a, b])
    const { revision } = reducer.state
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.equal(reducer.state.revision, revision)
  })

  it('may name a suspect store', () => {
    const { reducer, a, b } = stuck()
    reducer.register(a, { counter: 2, trust: 'suspect', live: [b] })
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    reducer.register(b, { counter: 2, live: [a] })
    assert.equal(reducer.brief().primary, a, 'it stays for this incarnation')
  })

  it('removes the old members, which join again like other replicas', () => {
    const { reducer, p, a, b } = stuck()
    force(reducer, a, [a, b])
    reducer.register(p, { counter: 2, live: [a, b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    assert.equal(reducer.change([1, 2, 3]), 'OK')
  })

  it('is a warning until an operator acknowledges it, is part of copies of the map, and ends with its volume', () => {
    const { reducer, a, b } = stuck()
    const copy = new MapCopy()
    copy.apply(reducer.state.deltaSince(0))
    force(reducer, a, [a, b])
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.equal(copy.forced.get(EXTENT)?.acknowledged, false)
    assert.equal(reducer.apply({ do: 'acknowledge-loss', name: 'v1' }).code, 'OK')
    assert.equal(reducer.apply({ do: 'acknowledge-loss', name: 'v2' }).code, 'NOT_FOUND')
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.equal(copy.forced.get(EXTENT)?.acknowledged, true)
    assert.deepEqual(contents(copy), contents(reducer.state))
    const whole = new MapCopy()
    whole.apply(reducer.state.deltaSince(0))
    assert.deepEqual([...whole.forced], [...reducer.state.forced])
    reducer.apply({ do: 'remove-volume', name: 'v1' })
    whole.apply(reducer.state.deltaSince(whole.revision))
    assert.equal(whole.forced.size + reducer.state.forced.size, 0)
  })

  it('can be repeated, and each one counts', () => {
    const { reducer, a, b } = stuck()
    force(reducer, a, [a, b])
    reducer.apply({ do: 'acknowledge-loss', name: 'v1' })
    reducer.expire([a], [b])
    assert.equal(force(reducer, b, [b]).code, 'OK')
    assert.deepEqual(numbers(reducer.record().inSync), [b])
    assert.equal(reducer.state.forced.get(EXTENT)?.epoch, 3)
    assert.equal(reducer.state.forced.get(EXTENT)?.acknowledged, false)
  })
})

describe('amendment 15: a store that an operator declares lost', () => {
  const lose = (reducer: Reducer, n: number, live: number[]) =>
    reducer.apply({ do: 'lose-store', store: store(n), live: live.map(store) })

  it('is refused while it is up, is removed once, and is NOT_FOUND if it is unknown', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const refused = lose(reducer, 1, [1, 2, 3])
    assert.equal(refused.code, 'CONFLICT')
    assert.match(refused.message, /n1 is up/)
    assert.equal(lose(reducer, 9, [1, 2, 3]).code, 'NOT_FOUND')
    reducer.expire([1], [2, 3])
    assert.equal(lose(reducer, 1, [2, 3]).code, 'OK')
    const { revision } = reducer.state
    assert.equal(lose(reducer, 1, [2, 3]).code, 'OK')
    assert.equal(reducer.state.revision, revision)
  })

  it('is replaced by the nodes with the fewest extents in one entry, and leaves the map', () => {
    const reducer = new Reducer().bootstrapped(5)
    reducer.create({ live: [1, 2, 3], extents: 40 })
    reducer.expire([1], [2, 3, 4, 5])
    const { revision } = reducer.state
    assert.equal(lose(reducer, 1, [2, 3, 4, 5]).code, 'OK')
    assert.equal(reducer.state.revision, revision + 1, 'one entry, one revision')
    const held = [1, 2, 3, 4, 5].map((n) => reducer.state.assignedCount(store(n)))
    assert.deepEqual(held, [0, 40, 40, 20, 20])
    for (const record of reducer.state.extents.values()) assert.ok(!record.inSync.includes(store(1)))
    assert.equal(reducer.state.nodes.has(store(1)), true, 'it votes, and stays until it does not')
    assertInvariants(reducer.state)

    reducer.expire([2], [3, 4, 5])
    const copy = new MapCopy()
    copy.apply(reducer.state.deltaSince(0))
    assert.equal(lose(reducer, 2, [3, 4, 5]).code, 'OK')
    assert.equal(reducer.state.nodes.has(store(2)), false)
    assert.equal(lose(reducer, 2, [3, 4, 5]).code, 'OK', 'an answer of control was lost, and the command came again')
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.deepEqual(contents(copy), contents(reducer.state))
    assert.deepEqual([...copy.removedNodes], [store(2)])
    reducer.register(2, { counter: 7, live: [3, 4, 5] })
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.deepEqual([copy.nodes.has(store(2)), copy.removedNodes.size], [true, 0], 'it is back, as a new node')
    assertInvariants(reducer.state)
  })

  it('keeps its assignments until another node registers', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ extents: 4 })
    reducer.expire([3], [1, 2])
    lose(reducer, 3, [1, 2])
    assert.equal(reducer.state.assignedCount(store(3)), 4)
    assert.deepEqual([...reducer.state.gone], [store(3)])
    reducer.register(4, { live: [1, 2] })
    assert.equal(reducer.state.assignedCount(store(3)), 0)
    assert.equal(reducer.state.assignedCount(store(4)), 4)
    assert.deepEqual([reducer.state.nodes.has(store(3)), reducer.state.gone.size], [false, 0])
    assertInvariants(reducer.state)
  })

  it('keeps its assignment as the last store with every acknowledged write, until a forced promotion or its return', () => {
    const { reducer, p, a, b } = stuck()
    reducer.register(4, { live: [a, b] })
    lose(reducer, p, [a, b, 4])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p], eligible: [] })
    assert.match(
      explainWaiting(reducer.state, reducer.record()).reason,
      new RegExp(`waits for one of n${p} \\(declared permanently lost\\)`),
    )
    assert.equal(force(reducer, a, [a, b, 4]).code, 'OK')
    assert.deepEqual(numbers(reducer.record().assigned), [a, b, 4].sort(), 'its place went on at once')
    assertInvariants(reducer.state)

    const other = stuck()
    lose(other.reducer, other.p, [other.a, other.b])
    other.reducer.register(other.p, { counter: 2, live: [other.a, other.b] })
    assert.deepEqual(other.reducer.brief(), { epoch: 2, primary: other.p, inSync: [other.p], eligible: [] })
    assert.equal(other.reducer.state.gone.size, 0, 'it was not lost after all')
  })

  it('CTL-2: is replaced by an eligible store once that is up', () => {
    const reducer = new Reducer().bootstrapped(2)
    reducer.create({ replicas: 2, minInSync: 2 })
    const p = numberOf(reducer.record().primary.store)
    const other = 3 - p
    reducer.change([p])
    reducer.expire([1, 2], [])
    lose(reducer, p, [])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p], eligible: [other] })
    reducer.register(other, { counter: 2 })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: other, inSync: [other], eligible: [] })
  })

  it('is one entry of the log also with 10,000 extents', () => {
    const reducer = new Reducer().bootstrapped(4)
    for (const name of ['v1', 'v2', 'v3']) reducer.create({ name, live: [1, 2, 3], extents: 4096 })
    reducer.expire([2], [1, 3, 4])
    const entries = reducer.log.length
    lose(reducer, 2, [1, 3, 4])
    assert.equal(reducer.log.length, entries + 1)
    assert.deepEqual([reducer.state.assignedCount(store(2)), reducer.state.assignedCount(store(4))], [0, 12_288])
    assert.ok(JSON.stringify(reducer.log.at(-1)).length < 300, 'and a small one')
  })

  it('leaves the map once no extent names it, like a store whose disk was replaced', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    reducer.register(9, { name: 'n3', address: address(3), live: [1, 2] })
    assert.ok(reducer.state.nodes.has(store(3)), 'its lease may still hold')
    reducer.expire([3], [1, 2, 9])
    assert.equal(reducer.state.nodes.has(store(3)), false)
    assert.equal(reducer.state.successors.size, 0)
    assert.deepEqual(numbers(reducer.record().assigned), [1, 2, 9])
    assertInvariants(reducer.state)
  })
})

describe('A2.8-4: a primary that lost committed data while no other store can serve', () => {
  const behind = (reducer: Reducer, n: number, live: number[]) =>
    reducer.apply({
      do: 'release',
      store: store(n),
      counter: reducer.record().primary.counter,
      extents: [{ extent: EXTENT, epoch: reducer.record().epoch }],
      reason: 'behind',
      live: live.map(store),
    })

  function alone() {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 1 })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.change([p])
    behind(reducer, p, [1, 2, 3])
    return { reducer, p, a, b }
  }

  it('leaves the extent without a primary, and the map has the reason', () => {
    const { reducer, p } = alone()
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: p, inSync: [p], eligible: [] })
    assert.equal(reducer.record().primary.counter, NO_INCARNATION)
    assert.match(
      explainWaiting(reducer.state, reducer.record()).reason,
      new RegExp(`n${p} lost acknowledged writes that another replica has evidence of`),
    )
    assertInvariants(reducer.state)
  })

  it('does not become primary again by a restart', () => {
    const { reducer, p, a, b } = alone()
    reducer.register(p, { counter: 2, live: [a, b] })
    assert.deepEqual([reducer.brief().epoch, reducer.record().primary.counter], [2, NO_INCARNATION])
  })

  it('waits for an operator, who may promote any replica', () => {
    const { reducer, p, a, b } = alone()
    assert.equal(force(reducer, a, [p, a, b]).code, 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: a, inSync: [a], eligible: [] })
    const other = alone()
    assert.equal(force(other.reducer, other.p, [other.p, other.a]).code, 'OK')
    assert.equal(other.reducer.record().primary.counter, 1)
  })

  it('is replaced by another member once that is live', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 3 })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.change([p])
    reducer.expire([a, b], [p])
    behind(reducer, p, [p])
    assert.equal(reducer.record().primary.counter, NO_INCARNATION)
    reducer.register(a, { counter: 2, live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: a, inSync: [a], eligible: [b] })
  })
})
