import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Ending, NodeEnd } from '@ashlar/proto'
import { Reducer, store } from './kit.ts'
import { type LeaderRig, threeStores } from './leader-rig.ts'
import { throughSnapshot } from './through-snapshot.ts'

const AT = 1_790_000_000_000
const note = (reducer: Reducer, n: number, { counter = 1, reason = 'the disk failed' } = {}) =>
  reducer.apply({ do: 'note-ending', store: store(n), counter, kind: 'store-failed', reason, at: AT })
const endedOf = (reducer: Reducer, n: number): NodeEnd | undefined => reducer.state.nodes.get(store(n))?.ended

describe('A2.23-2: why a node ended', () => {
  const three = () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    return reducer
  }

  it('is kept until the store registers another incarnation', () => {
    const reducer = three()
    note(reducer, 2)
    const ended = { counter: 1, kind: 'store-failed', reason: 'the disk failed', at: AT }
    assert.deepEqual(endedOf(reducer, 2), ended)
    reducer.expire([2], [1, 3])
    assert.deepEqual(endedOf(reducer, 2), ended, 'also while it is down')
    reducer.register(2, { counter: 1, live: [1, 3] })
    assert.deepEqual(endedOf(reducer, 2), ended, 'a late duplicate of its registration changes nothing')
    reducer.register(2, { counter: 2, live: [1, 3] })
    assert.equal(endedOf(reducer, 2), undefined)
  })

  it('changes nothing but that record (A2.23-3)', () => {
    const reducer = three()
    const [extents, node] = [[...reducer.state.extents.values()], reducer.state.nodes.get(store(2))]
    note(reducer, 2)
    assert.deepEqual([...reducer.state.extents.values()], extents)
    const { ended: _, changedAt, ...rest } = reducer.state.nodes.get(store(2)) ?? assert.fail()
    assert.deepEqual({ ...rest, changedAt: node?.changedAt }, node)
    assert.equal(changedAt, reducer.state.revision, 'so that every delta has it')
  })

  it('is not what a late report or a duplicate says, nor one of an unknown store', () => {
    const reducer = three()
    reducer.register(2, { counter: 5, live: [1, 3] })
    const { revision } = reducer.state
    note(reducer, 2, { counter: 4 })
    note(reducer, 9)
    assert.equal(reducer.state.revision, revision)
    note(reducer, 2, { counter: 5 })
    note(reducer, 2, { counter: 5, reason: 'another' })
    assert.equal(endedOf(reducer, 2)?.reason, 'the disk failed')
  })

  it('is noted of an incarnation that never registered', () => {
    const reducer = three()
    note(reducer, 2, { counter: 7 })
    assert.equal(endedOf(reducer, 2)?.counter, 7)
  })

  it('is in a snapshot of the map', () => {
    const reducer = three()
    note(reducer, 2)
    assert.deepEqual(throughSnapshot(reducer.state).nodes.get(store(2)), reducer.state.nodes.get(store(2)))
  })
})

describe('A2.23-2: the leader', () => {
  const report = (counter: number): Ending => ({
    ...{ type: 'ending', store: store(2), counter },
    ...{ kind: 'store-suspect', reason: 'too many repairs', at: AT },
  })
  const notes = (rig: LeaderRig) => rig.disk.filter(({ command }) => command.do === 'note-ending').length
  const tick = (rig: LeaderRig, ...ended: Ending[]) => rig.step(() => rig.leader.onTick(rig.ctx, ended))
  const upgraded = () => {
    const rig = threeStores()
    rig.passTold(3000, { 1: 1, 2: 1, 3: 1 })
    assert.equal(rig.leader.state.featureLevel, 1)
    return rig
  }

  it('proposes one entry for a report, however long it remembers it', () => {
    const rig = upgraded()
    rig.diskWorks = false
    for (let n = 0; n < 3; n++) tick(rig, report(1))
    rig.diskWorks = true
    rig.flushLog()
    tick(rig, report(1))
    assert.equal(notes(rig), 1)
    assert.equal(rig.leader.state.nodes.get(store(2))?.ended?.reason, 'too many repairs')
    rig.register(2, { counter: 2, level: 1 })
    tick(rig, report(1))
    assert.equal(notes(rig), 1, 'the next incarnation registered meanwhile')
  })

  it('proposes nothing that an older build would not understand', () => {
    const rig = threeStores()
    tick(rig, report(1))
    assert.equal(notes(rig), 0)
  })
})
