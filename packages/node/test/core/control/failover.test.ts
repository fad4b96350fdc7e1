import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EXTENT, numberOf, Reducer, store } from './kit.ts'

describe('failover', () => {
  const three = (minInSync = 2) => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    return { reducer, p, a, b }
  }

  it('amendment 14: after the lease ran out a live member becomes primary', () => {
    const { reducer, p, a, b } = three()
    reducer.expire([p], [a, b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a, b], eligible: [] })
    assert.equal(reducer.state.nodes.get(store(p))?.state, 'down')
  })

  it('one entry moves all extents of a down store, spread evenly', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ extents: 30 })
    assert.equal(reducer.state.ledCount(store(1)), 10)
    const before = reducer.state.revision
    const result = reducer.expire([1], [2, 3])
    assert.equal(result.promoted?.length, 10)
    assert.equal(reducer.state.revision, before + 1)
    assert.deepEqual(
      [1, 2, 3].map((n) => reducer.state.ledCount(store(n))),
      [0, 15, 15],
    )
  })

  it('CTL-2, CTL-3: only a live in-sync member is promoted; without one the last member stays and the extent waits', () => {
    const { reducer, p, a, b } = three(1)
    reducer.change([p, a])
    reducer.expire([p], [b])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, a].sort(), eligible: [] })
    reducer.register(a, { live: [b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
  })

  it('amendment 2: a live eligible store becomes primary if no in-sync member is live', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, [a, b])
    reducer.expire([p], [b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [b], eligible: [p, a].sort() })
  })

  it('amendment 27: below minInSync the record keeps all stores with every acknowledged write, also those that left before', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p, a])
    reducer.change([p], EXTENT, { complete: [b] })
    assert.deepEqual(reducer.brief().eligible, [a, b])
    reducer.change([p, a])
    assert.deepEqual(reducer.brief().eligible, [], 'at minInSync there are none')
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, [a], 'the primary says no more of it')
  })

  it('amendment 27: control keeps no store for a primary that is suspect or not assigned', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p, a])
    reducer.register(b, { counter: 2, trust: 'suspect' })
    reducer.change([p], EXTENT, { complete: [b, 4, p] })
    assert.deepEqual(reducer.brief().eligible, [a])
    reducer.change([p, a], EXTENT, { complete: [b] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, a].sort(), eligible: [] })
  })

  it('amendment 2: an eligible store is promoted when it registers', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p])
    reducer.expire([1, 2, 3], [])
    assert.equal(reducer.brief().epoch, 1)
    reducer.register(b, { counter: 2 })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [b], eligible: [p, a].sort() })
  })

  it('amendment 14: after a release the old primary stays in sync and another live member leads', () => {
    const { reducer, p, a, b } = three()
    const release = (live: number[]) =>
      reducer.apply({
        do: 'release',
        store: store(p),
        counter: 1,
        extents: [{ extent: EXTENT, epoch: reducer.record().epoch }],
        reason: 'shutdown',
        live: live.map(store),
      })
    release([p])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [1, 2, 3], eligible: [] })
    release([p, b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [1, 2, 3], eligible: [] })
    release([p, a])
    assert.equal(reducer.brief().epoch, 2, 'it leads no more: nothing to give up')
  })

  it('amendment 18: from feature level 1 a primary released as slow leaves a set that stays at minInSync', () => {
    const slow = (level: number, minInSync: number) => {
      const { reducer, p, b } = three(minInSync)
      reducer.apply({ do: 'raise-feature-level', level })
      const { epoch, revision } = reducer.record()
      reducer.apply({
        do: 'release',
        store: store(p),
        counter: 1,
        extents: [{ extent: EXTENT, epoch, revision }],
        reason: 'slow',
        live: [p, b].map(store),
      })
      return { left: !reducer.brief().inSync.includes(p), moved: reducer.brief().primary === b }
    }
    assert.deepEqual(slow(0, 2), { left: false, moved: true }, 'an older build applies the same entry so')
    assert.deepEqual(slow(1, 2), { left: true, moved: true })
    assert.deepEqual(slow(1, 3), { left: false, moved: true }, 'nothing would commit without it')
  })

  it('amendment 38: a release as slow without effect raises the revision, and a release of an older revision has no effect', () => {
    const late = (level: number) => {
      const { reducer, p, a, b } = three(2)
      reducer.apply({ do: 'raise-feature-level', level })
      const { epoch, revision } = reducer.record()
      const release = (named: number | undefined, live: number[]) =>
        reducer.apply({
          ...{ do: 'release', store: store(p), counter: 1, reason: 'slow', live: live.map(store) },
          extents: [{ extent: EXTENT, epoch, ...(named === undefined ? {} : { revision: named }) }],
        })
      release(revision, [p])
      const movedOn = reducer.record().revision - revision
      const overtaken = [revision, undefined].map((named) => release(named, [p, a, b]).overtaken)
      const stays = reducer.brief().primary === p
      release(revision + 1, [p, a, b])
      return { movedOn, overtaken, stays, leads: reducer.brief().primary === p }
    }
    const none = [undefined, undefined]
    assert.deepEqual(late(0), { movedOn: 0, overtaken: none, stays: false, leads: false }, 'as an older build has it')
    assert.deepEqual(late(1), { movedOn: 1, overtaken: [true, true], stays: true, leads: false })
  })

  it('A2.8-4: a primary that lost committed data leaves the set and is not eligible', () => {
    const { reducer, p, a, b } = three(3)
    reducer.apply({
      do: 'release',
      store: store(p),
      counter: 1,
      extents: [{ extent: EXTENT, epoch: reducer.record().epoch }],
      reason: 'behind',
      live: [p, a, b].map(store),
    })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a, b], eligible: [] })
  })

  it('amendment 14: a new incarnation stays in sync and another live member becomes primary', () => {
    const { reducer, p, a, b } = three()
    reducer.register(p, { counter: 2, live: [a, b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [1, 2, 3], eligible: [] })
  })

  it('amendment 14: a new incarnation that is the only live member becomes primary again, in a new epoch', () => {
    const { reducer, p } = three()
    reducer.register(p, { counter: 2, live: [] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: p, inSync: [1, 2, 3], eligible: [] })
    assert.equal(reducer.record().primary.counter, 2)
  })

  it('a down store that registers again in the same incarnation continues its epoch if it was not replaced', () => {
    const { reducer, p } = three()
    reducer.expire([1, 2, 3], [])
    reducer.register(p)
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [1, 2, 3], eligible: [] })
  })

  it('an expiry of an earlier incarnation has no effect', () => {
    const { reducer, p, a, b } = three()
    reducer.register(p, { counter: 2, live: [] })
    reducer.expire([p], [a, b], 1)
    assert.equal(reducer.state.nodes.get(store(p))?.state, 'up')
    assert.equal(reducer.brief().primary, p)
  })

  it('promote is compare-and-set, and leaves a serving primary in place', () => {
    const { reducer, p, a } = three()
    const promote = (revision: number) =>
      reducer.apply({ do: 'promote', extents: [{ extent: EXTENT, revision }], live: [store(a)] })
    promote(reducer.record().revision)
    assert.equal(reducer.brief().epoch, 1)
    reducer.expire([p], [])
    promote(reducer.record().revision + 1)
    assert.equal(reducer.brief().epoch, 1)
    promote(reducer.record().revision)
    assert.equal(reducer.brief().primary, a)
    assert.equal(reducer.brief().epoch, 2)
  })

  it('control chooses the live member that leads the fewest extents, then the lowest store id', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ extents: 3 })
    reducer.expire([1], [2, 3])
    assert.deepEqual(
      [reducer.state.ledCount(store(2)), reducer.state.ledCount(store(3))],
      [2, 1],
      'a tie goes to store 2',
    )
    reducer.register(1)
    reducer.expire([2], [1, 3])
    assert.deepEqual(
      [1, 2, 3].map((n) => reducer.state.ledCount(store(n))),
      [1, 0, 2],
      'store 1 led nothing and is in sync in one of the two extents: it takes that one',
    )
  })
})
