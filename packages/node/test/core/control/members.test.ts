import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explainWaiting, promotable } from '../../../src/core/control/leader/waiting-extents.ts'
import { address, EXTENT, numberOf, numbers, Reducer, store } from './kit.ts'

describe('in-sync sets', () => {
  const three = (minInSync = 2) => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync })
    return { reducer, p: numberOf(reducer.record().primary.store), others: others(reducer) }
  }
  const others = (reducer: Reducer) =>
    numbers(reducer.record().inSync).filter((n) => store(n) !== reducer.record().primary.store)

  it('CTL-1: a change is compare-and-set on revision and epoch, and only the primary may request it', () => {
    const { reducer, p, others } = three()
    const [a, b] = others as [number, number]
    assert.equal(reducer.change([p, a], EXTENT, { revision: 7 }), 'CONFLICT')
    assert.equal(reducer.change([p, a], EXTENT, { epoch: 2 }), 'NOT_PRIMARY')
    assert.equal(reducer.change([p, a], EXTENT, { sender: a }), 'NOT_PRIMARY')
    assert.equal(reducer.change([p, a]), 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, a].sort(), eligible: [] })
    assert.equal(reducer.record().revision, 2)
    assert.equal(reducer.change([p, a, b]), 'OK')
    assert.equal(reducer.record().revision, 3)
  })

  it('a repeated change after a lost response is accepted and has no effect', () => {
    const { reducer, p, others } = three()
    const [a] = others as [number]
    const { revision } = reducer.record()
    assert.equal(reducer.change([p, a], EXTENT, { revision }), 'OK')
    const before = reducer.state.revision
    assert.equal(reducer.change([p, a], EXTENT, { revision }), 'OK')
    assert.equal(reducer.state.revision, before)
    assert.equal(reducer.change([p], EXTENT, { revision }), 'CONFLICT', 'another change of that revision is refused')
  })

  it('CTL-3: a set is never empty, contains the primary and has only assigned stores', () => {
    const { reducer, p, others } = three()
    reducer.register(4)
    assert.equal(reducer.change([]), 'USAGE')
    assert.equal(reducer.change(others), 'USAGE')
    assert.equal(reducer.change([p, 4]), 'USAGE')
    assert.equal(reducer.change([p, p]), 'USAGE')
  })

  it('CTL-5: a shrink below minInSync keeps the removed store as eligible until the set is large enough', () => {
    const { reducer, p, others } = three()
    const [a, b] = others as [number, number]
    reducer.change([p, a])
    assert.deepEqual(reducer.brief().eligible, [], 'at minInSync no store is kept')
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, [a], 'b left before: something may have been acknowledged without it')
    reducer.change([p, b])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, b].sort(), eligible: [] })
  })

  it('CTL-5: both of two stores removed at once stay eligible', () => {
    const { reducer, p, others } = three()
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, others)
  })

  it('an earlier incarnation of the primary has no effect', () => {
    const reducer = new Reducer().bootstrapped(1)
    reducer.create({ replicas: 1, live: [1] })
    reducer.register(1, { counter: 2 })
    assert.equal(reducer.record().primary.counter, 2, 'the only member is named again')
    assert.equal(reducer.change([1], EXTENT, { counter: 1 }), 'NOT_PRIMARY')
  })
})

describe('registration', () => {
  it('a repeated registration of an incarnation has no effect', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const before = { revision: reducer.state.revision, record: reducer.record() }
    assert.equal(reducer.register(1, { live: [1, 2, 3] }).code, 'OK')
    assert.equal(reducer.state.revision, before.revision)
    assert.equal(reducer.record(), before.record)
  })

  it('a counter that is not above the last one means a copied directory', () => {
    const reducer = new Reducer().bootstrapped(1)
    reducer.register(1, { counter: 5 })
    assert.equal(reducer.register(1, { counter: 4 }).code, 'CONFLICT')
    const copy = reducer.register(1, { counter: 5, boot: 'another' })
    assert.equal(copy.code, 'CONFLICT')
    assert.match(copy.message, /start counter 5, but start 5 was seen before/)
    assert.equal(reducer.register(1, { counter: 6 }).code, 'OK')
  })

  it('amendment 11: a restored directory that reaches a high enough counter is suspect once', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const others = [1, 2, 3].filter((n) => n !== p)
    reducer.register(p, { counter: 9, live: [1, 2, 3] })
    // Restored from a backup that was made after start 7, and started again and again.
    for (const counter of [8, 9])
      assert.equal(reducer.register(p, { counter, boot: 'b', live: others }).code, 'CONFLICT')
    assert.equal(reducer.state.nodes.get(store(p))?.trust, 'trusted', 'the one that was there before goes on')
    reducer.register(p, { counter: 10, boot: 'b', live: others })
    assert.equal(reducer.state.nodes.get(store(p))?.trust, 'suspect')
    assert.deepEqual(reducer.brief().inSync, others)
    reducer.change([1, 2, 3])
    reducer.register(p, { counter: 11, boot: 'b', live: others })
    assert.deepEqual(reducer.brief().inSync, [1, 2, 3], 'it was compared when it came back')
    assert.equal(reducer.state.nodes.get(store(p))?.trust, 'trusted')
  })

  it('a live node at another address keeps its name', () => {
    const reducer = new Reducer().bootstrapped(2)
    const refusal = reducer.register(3, { name: 'n1', address: 'elsewhere:1', live: [1, 2] })
    assert.equal(refusal.code, 'CONFLICT')
    assert.match(refusal.message, /already named n1/)
    assert.equal(reducer.register(3, { name: 'n1', address: 'elsewhere:1', live: [2] }).code, 'OK')
  })

  it('CTL-4, amendment 15: another store at the address becomes the successor of the old one, in one entry', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const live = [1, 2, 3].filter((n) => n !== p)
    reducer.register(9, { name: `n${p}`, address: address(p), live })
    assert.equal(reducer.state.nodes.get(store(p))?.address, '')
    const { epoch, primary, inSync, eligible } = reducer.brief()
    assert.equal(epoch, 2)
    assert.ok(live.includes(primary))
    assert.deepEqual(inSync, live)
    assert.deepEqual(eligible, [], 'a removed store is not kept')
    assert.deepEqual(numbers(reducer.record().assigned), [...live, 9])
    assert.equal(reducer.state.revision, 6, 'one entry, one revision')
  })

  it('amendment 3 and 15: a primary with a possibly valid lease is replaced only after the lease ended', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const others = [1, 2, 3].filter((n) => n !== p)
    reducer.register(9, { name: `n${p}`, address: address(p), live: [1, 2, 3] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [1, 2, 3], eligible: [] })
    reducer.expire([p], [...others, 9])
    assert.equal(reducer.brief().epoch, 2)
    assert.deepEqual(reducer.brief().inSync, others)
    assert.deepEqual(numbers(reducer.record().assigned), [...others, 9])
  })

  it('amendment 15: an old store that is the last with every acknowledged write stays, and the extent waits for it', () => {
    const reducer = new Reducer().bootstrapped(2)
    reducer.create({ replicas: 2, minInSync: 1 })
    const p = numberOf(reducer.record().primary.store)
    const other = 3 - p
    reducer.change([p])
    reducer.register(9, { name: `n${p}`, address: address(p), live: [other] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p], eligible: [] })
    assert.ok(reducer.record().assigned.includes(store(p)))
    assert.match(
      explainWaiting(reducer.state, reducer.record()).reason,
      new RegExp(`waits for one of ${store(p)} \\(n${p} before another store took its place\\)`),
    )
    // The old disk comes back elsewhere and brings the other one up to date: only then does its place go to the new store.
    reducer.register(p, { counter: 2, name: 'moved', address: 'moved:1', live: [other, 9] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: p, inSync: [p], eligible: [] })
  })

  it('amendment 11: a suspect store leaves every set with another trusted member, and does not become primary', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const others = [1, 2, 3].filter((n) => n !== p)
    reducer.register(p, { counter: 2, trust: 'suspect', live: others })
    assert.equal(reducer.brief().epoch, 2)
    assert.deepEqual(reducer.brief().inSync, others)
    const revision = reducer.record().revision
    reducer.register(p, { counter: 2, trust: 'suspect', live: others })
    assert.equal(reducer.record().revision, revision, 'the same registration again takes nothing away')
  })

  it('amendment 11: a suspect member that is no primary leaves the set without a new epoch', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.register(a, { counter: 2, trust: 'suspect', live: [p, b] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, b].sort(), eligible: [] })
  })

  it('amendments 2 and 11: a suspect primary alone in sync is replaced by an eligible store, also while that is down', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 2 })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.change([p])
    reducer.expire([1, 2, 3], [])
    reducer.register(p, { counter: 2, trust: 'suspect' })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [b] })
    reducer.register(b, { counter: 2, live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: b, inSync: [b], eligible: [a] }, 'whichever comes first')
  })

  /** Stores 1 and 2 hold an extent, and both are down. */
  const bothDown = () => {
    const reducer = new Reducer().bootstrapped(2)
    reducer.create({ replicas: 2, minInSync: 1 })
    reducer.expire([1, 2], [])
    const p = numberOf(reducer.record().primary.store)
    return { reducer, p, other: 3 - p }
  }
  const markOf = (reducer: Reducer) => {
    const { changedAt, ...mark } = reducer.state.forced.get(EXTENT) ?? assert.fail('it was not marked')
    return mark
  }

  it('amendment 11: a suspect store is replaced by a trusted one, also while that is down; alone it waits for the other suspect store', () => {
    const { reducer, p, other } = bothDown()
    reducer.register(p, { counter: 2, trust: 'suspect' })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: other, inSync: [other], eligible: [] })
    reducer.expire([p], [], 2)
    reducer.register(other, { counter: 2, trust: 'suspect', live: [] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: other, inSync: [other], eligible: [] })
    const waiting = explainWaiting(reducer.state, reducer.record())
    assert.deepEqual(
      [waiting.all, numbers(waiting.waitsFor)],
      [true, [1, 2]],
      'what was taken out may hold what is missing',
    )
    reducer.register(other, { counter: 3, trust: 'trusted' })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: other, inSync: [other], eligible: [] })
    assert.equal(reducer.record().primary.counter, 3)
    assert.equal(reducer.state.forced.size, 0)
  })

  it('amendment 11: once all of only suspect stores are present, a member is named to reconcile them, and the map records it', () => {
    const { reducer, p, other } = bothDown()
    reducer.register(p, { counter: 2, trust: 'suspect' })
    reducer.register(other, { counter: 2, trust: 'suspect', live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: other, inSync: [other], eligible: [] })
    assert.deepEqual(markOf(reducer), {
      extent: EXTENT,
      epoch: 3,
      store: store(other),
      acknowledged: false,
      merged: true,
    })
    const { revision } = reducer.record()
    reducer.register(p, { counter: 3, live: [other] })
    assert.equal(reducer.record().revision, revision, 'it serves for this incarnation')
    reducer.register(other, { counter: 3, live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 4, primary: other, inSync: [other], eligible: [] })
    assert.equal(markOf(reducer).epoch, 3, 'its next incarnation is trusted: nothing is reconciled again')
  })

  it('amendment 11: a reconciliation starts again with the next incarnation of its primary', () => {
    const { reducer, p, other } = bothDown()
    reducer.register(p, { counter: 2, trust: 'suspect' })
    reducer.register(other, { counter: 2, trust: 'suspect', live: [p] })
    reducer.register(other, { counter: 3, trust: 'suspect', live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 4, primary: other, inSync: [other], eligible: [] })
    assert.deepEqual([markOf(reducer).epoch, markOf(reducer).merged], [4, true])
  })

  it('amendment 11: a suspect eligible store is reconciled too, and a store that only joined is not awaited', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 2 })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.change([p, a])
    reducer.change([p])
    reducer.expire([1, 2, 3], [])
    reducer.register(a, { counter: 2, trust: 'suspect' })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p], eligible: [] }, 'p is believed, and away')
    reducer.register(p, { counter: 2, trust: 'suspect', live: [a] })
    assert.deepEqual(
      reducer.brief(),
      { epoch: 2, primary: p, inSync: [p], eligible: [] },
      'b was out, and is not suspect',
    )
    assert.equal(markOf(reducer).merged, true)
    assert.equal(reducer.state.nodes.get(store(b))?.state, 'down')
  })

  it('amendment 11: a new leader names the store that reconciles once it has heard all suspect stores', () => {
    const { reducer, p, other } = bothDown()
    reducer.register(p, { counter: 2, trust: 'suspect' })
    reducer.register(other, { counter: 2, trust: 'suspect', live: [] })
    assert.equal(reducer.brief().epoch, 2)
    assert.deepEqual(promotable(reducer.state, new Set([store(other)])).extents, [])
    const { extents } = promotable(reducer.state, new Set([store(other), store(p)]))
    assert.equal(extents.length, 1)
    reducer.apply({ do: 'promote', extents, live: [store(1), store(2)] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: other, inSync: [other], eligible: [] })
  })

  it('amendments 11 and 15: removed stores are excluded, and the others are reconciled without them', () => {
    const { reducer, p, other } = bothDown()
    reducer.register(p, { counter: 2, trust: 'suspect' })
    reducer.expire([p], [], 2)
    reducer.register(other, { counter: 2, trust: 'suspect' })
    assert.equal(reducer.brief().epoch, 2)
    reducer.apply({ do: 'lose-store', store: store(p), live: [store(other)] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: other, inSync: [other], eligible: [] })
    assert.equal(markOf(reducer).merged, true)
  })
})
