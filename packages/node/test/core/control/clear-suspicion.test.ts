import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Trust } from '@ashlar/proto'
import { EXTENT, Reducer, store } from './kit.ts'
import { type LeaderRig, threeStores } from './leader-rig.ts'

const clear = (reducer: Reducer, n: number, { counter = 2, live = [1, 2, 3] } = {}) =>
  reducer.apply({ do: 'clear-suspicion', store: store(n), counter, live: live.map(store) })
const trustOf = (reducer: Reducer, n: number): Trust | undefined => reducer.state.nodes.get(store(n))?.trust

describe('A2.17-4: a compared suspect store', () => {
  /** Every store of the extent registered as suspect, and they are in sync again after a reconciliation. */
  const reconciled = () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    for (const n of [1, 2, 3]) reducer.register(n, { counter: 2, trust: 'suspect', live: [1, 2, 3] })
    assert.equal(reducer.change([1, 2, 3]), 'OK')
    return reducer
  }

  it('can become primary in the incarnation that began as suspect', () => {
    const reducer = reconciled()
    const before = reducer.brief()
    const other = before.primary === 1 ? 2 : 1
    assert.equal(clear(reducer, other).code, 'OK')
    assert.equal(trustOf(reducer, other), 'trusted')
    assert.deepEqual(reducer.brief(), before, 'who leads goes on')
    reducer.expire(
      [before.primary],
      [1, 2, 3].filter((n) => n !== before.primary),
      2,
    )
    assert.equal(reducer.brief().primary, other)
  })

  it('serves extents that wait for it, also as their last primary', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 1 })
    const { primary } = reducer.brief()
    const others = [1, 2, 3].filter((n) => n !== primary)
    reducer.change([primary])
    reducer.expire(others, [primary])
    reducer.expire([primary], [])
    reducer.register(others[0] as number, { counter: 2, trust: 'suspect' })
    reducer.expire([others[0] as number], [], 2)
    reducer.register(primary, { counter: 2, trust: 'suspect', live: [primary] })
    assert.equal(reducer.record().primary.counter, 1, 'it waits to be reconciled with the other one')
    const result = clear(reducer, primary, { live: [primary] })
    assert.deepEqual(result.promoted, [EXTENT])
    assert.deepEqual(reducer.record().primary, { store: store(primary), counter: 2 })
  })

  it('stays suspect after an entry that is a duplicate, or names another incarnation or a removed store', () => {
    const reducer = reconciled()
    const { revision } = reducer.state
    for (const counter of [1, 3]) clear(reducer, 1, { counter })
    assert.equal(reducer.state.revision, revision, 'nothing changed')
    assert.equal(trustOf(reducer, 1), 'suspect')
    clear(reducer, 1)
    const known = reducer.state.nodes.get(store(1))
    clear(reducer, 1)
    assert.equal(reducer.state.nodes.get(store(1)), known)
    reducer.expire([2], [1, 3], 2)
    clear(reducer, 2)
    assert.equal(trustOf(reducer, 2), 'suspect')
  })

  it('stays trusted when the same incarnation registers again, and its next incarnation has the trust that it reports', () => {
    const reducer = reconciled()
    clear(reducer, 1)
    reducer.register(1, { counter: 2, trust: 'suspect', live: [1, 2, 3] })
    assert.equal(trustOf(reducer, 1), 'trusted')
    reducer.register(1, { counter: 3, trust: 'suspect', live: [1, 2, 3] })
    assert.equal(trustOf(reducer, 1), 'suspect')
  })

  it('stays suspect while one of its extents has it out of the in-sync set', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create({ minInSync: 1 })
    const { primary } = reducer.brief()
    const other = primary === 1 ? 2 : 1
    reducer.register(other, { counter: 2, trust: 'suspect', live: [1, 2, 3] })
    assert.ok(!reducer.brief().inSync.includes(other))
    clear(reducer, other)
    assert.equal(trustOf(reducer, other), 'suspect')
    assert.equal(reducer.change([1, 2, 3]), 'OK')
    clear(reducer, other)
    assert.equal(trustOf(reducer, other), 'trusted')
  })

  it('stays suspect if its directory was copied', () => {
    const reducer = new Reducer().bootstrapped(1)
    reducer.create({ replicas: 1 })
    reducer.register(1, { counter: 1, boot: 'another', live: [1] })
    reducer.register(1, { counter: 2, trust: 'suspect', live: [1] })
    assert.ok(reducer.state.copied.has(store(1)))
    clear(reducer, 1)
    assert.equal(trustOf(reducer, 1), 'suspect')
  })
})

describe('A2.17-4: the leader and cleared suspicions', () => {
  const entries = (rig: LeaderRig) => rig.disk.filter(({ command }) => command.do === 'clear-suspicion').length
  const withSuspect = () => {
    const rig = threeStores()
    rig.passTold(3000, { 1: 1, 2: 1, 3: 1 })
    rig.register(2, { counter: 2, level: 1, trust: 'suspect' })
    const primary = [1, 3].find((n) => store(n) === rig.record().primary.store) as number
    rig.changeSets(primary, [rig.change([1, 2, 3].map(store))])
    return rig
  }

  it('proposes one entry for repeated reports', () => {
    const rig = withSuspect()
    rig.diskWorks = false
    for (let n = 0; n < 3; n++) {
      rig.ctx.now += 200
      rig.renew(2, { level: 1, cleared: true })
    }
    rig.diskWorks = true
    rig.flushLog()
    rig.step(() => {})
    assert.equal(rig.leader.state.nodes.get(store(2))?.trust, 'trusted')
    rig.renew(2, { level: 1, cleared: true })
    assert.equal(entries(rig), 1)
  })

  it('proposes nothing without a report, or for an earlier incarnation', () => {
    const rig = withSuspect()
    rig.renew(2, { level: 1 })
    rig.renew(2, { level: 1, cleared: true, counter: 1 })
    rig.renew(1, { level: 1, cleared: true })
    assert.equal(entries(rig), 0)
  })

  it('proposes nothing that an older build does not understand', () => {
    const rig = threeStores()
    rig.register(2, { counter: 2, trust: 'suspect' })
    assert.equal(rig.leader.state.featureLevel, 0)
    rig.renew(2, { cleared: true })
    assert.equal(entries(rig), 0)
  })
})
