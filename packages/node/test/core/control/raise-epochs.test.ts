import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Epoch } from '@ashlar/proto'
import { primaryStands } from '../../../src/core/control/commands/epochs.ts'
import { EXTENT, Reducer, store } from './kit.ts'
import { threeStores } from './leader-rig.ts'

const promise = (epoch: number, promised: number) => ({
  extent: EXTENT,
  epoch: epoch as Epoch,
  promised: promised as Epoch,
})

describe('amendment 35: promised epochs that control has lost', () => {
  it('are raised above the promise, with the same primary and sets', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const { epoch, primary, inSync, revision } = reducer.record()
    const result = reducer.apply({ do: 'raise-epochs', extents: [promise(epoch, 7)] })
    assert.deepEqual([result.code, result.promoted], ['OK', [EXTENT]])
    const after = reducer.record()
    assert.deepEqual([after.epoch, after.primary, after.inSync], [8, primary, inSync])
    assert.ok(after.revision > revision)
  })

  it('keep the record of a forced primary: a reconciliation continues and an acknowledgement stays', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    for (const n of [1, 2, 3]) reducer.register(n, { counter: 2, trust: 'suspect', live: [1, 2, 3] })
    const { epoch, primary } = reducer.record()
    const mark = reducer.state.forced.get(EXTENT)
    assert.deepEqual([mark?.epoch, mark?.merged], [epoch, true])
    reducer.apply({ do: 'raise-epochs', extents: [promise(epoch, epoch + 5)] })
    const { changedAt, ...raised } = reducer.state.forced.get(EXTENT) ?? assert.fail('no mark')
    const expected = { extent: EXTENT, epoch: epoch + 6, store: primary.store, acknowledged: false, merged: true }
    assert.deepEqual(raised, expected)
    assert.equal(changedAt, reducer.state.revision)
    assert.ok(primaryStands(reducer.state, reducer.record()))

    reducer.apply({ do: 'acknowledge-loss', name: 'v1' })
    reducer.apply({ do: 'raise-epochs', extents: [promise(epoch + 6, epoch + 9)] })
    assert.equal(reducer.state.forced.get(EXTENT)?.acknowledged, true)
  })

  it('leave a record of an older epoch unchanged', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const { epoch } = reducer.record()
    reducer.state.putForced({ extent: EXTENT, epoch: (epoch - 1) as Epoch, store: store(1), acknowledged: false })
    reducer.apply({ do: 'raise-epochs', extents: [promise(epoch, 7)] })
    assert.equal(reducer.state.forced.get(EXTENT)?.epoch, epoch - 1)
  })

  it('are left alone if the map has advanced, no promise is above it, or no primary serves', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    const before = reducer.record()
    for (const extents of [[promise(before.epoch + 1, 9)], [promise(before.epoch, before.epoch)]])
      reducer.apply({ do: 'raise-epochs', extents })
    reducer.expire([1, 2, 3], [])
    reducer.apply({ do: 'raise-epochs', extents: [promise(before.epoch, 9)] })
    assert.equal(reducer.record().epoch, before.epoch)
  })

  it('are reported to the leader, which logs them, and requests nothing if its log is only behind', () => {
    const rig = threeStores()
    rig.passTold(3000, { 1: 1, 2: 1, 3: 1 })
    assert.equal(rig.leader.state.featureLevel, 1)
    const { epoch } = rig.record()
    const report = (named: number, promised: number) =>
      rig.step(() => {
        const extents = [promise(named, promised)]
        rig.leader.onMessage(rig.ctx, 2, { type: 'promises', store: store(2), counter: 1, extents })
      })
    assert.deepEqual(report(epoch - 1, 9), [])
    const effects = report(epoch, 9)
    assert.ok(effects.some((effect) => effect.type === 'event' && effect.event.what === 'control-went-back'))
    rig.pass(200, [1, 2, 3])
    assert.equal(rig.record().epoch, 10)
    assert.deepEqual(report(epoch, 9), [], 'it was reported before')
  })
})
