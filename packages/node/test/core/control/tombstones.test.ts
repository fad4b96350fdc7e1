import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS, MapCopy, type VolumeId, WIRE_VERSION } from '@ashlar/proto'
import { encodeFrame } from '@ashlar/proto/codec'
import { Reducer } from './kit.ts'
import { everything, throughSnapshot } from './through-snapshot.ts'

/** Makes and removes volumes, one at a time. */
function churn(reducer: Reducer, volumes: number): void {
  for (let at = 0; at < volumes; at++) {
    assert.equal(reducer.create({ name: 'short', replicas: 1, live: [1] }).code, 'OK')
    assert.equal(reducer.apply({ do: 'remove-volume', name: 'short' }).code, 'OK')
  }
}

function raise(reducer: Reducer): void {
  assert.equal(reducer.apply({ do: 'raise-feature-level', level: 1 }).code, 'OK')
}

describe('tombstones', () => {
  it('of 300,000 removed volumes fit in a frame, and each volume is still known as removed', () => {
    const reducer = new Reducer().bootstrapped(1)
    raise(reducer)
    assert.equal(reducer.create({ name: 'lives', replicas: 1 }).code, 'OK')
    churn(reducer, 300_000)
    const { state } = reducer
    assert.equal(state.removedVolumes.size, 300_000)
    assert.equal(state.removedVolumes.latest.size, LIMITS.tombstones)
    assert.ok(state.removedVolumes.ranges.length <= 2)
    const frame = encodeFrame([{ type: 'map-update', delta: state.deltaSince(0) }], WIRE_VERSION)
    assert.ok(frame.length < 10_000, `${frame.length} bytes`)
    const copy = new MapCopy()
    copy.apply(state.deltaSince(0))
    assert.ok([2, 3, 150_000, 300_001].every((volume) => copy.removedVolumes.has(volume as VolumeId)))
    assert.ok([1, 300_002].every((volume) => !copy.removedVolumes.has(volume as VolumeId)))
    assert.deepEqual(everything(throughSnapshot(state)), everything(state))
  })

  it('report every removed volume to a copy that was disconnected', () => {
    const reducer = new Reducer().bootstrapped(1)
    raise(reducer)
    const copy = new MapCopy()
    assert.equal(reducer.create({ name: 'held', replicas: 1 }).code, 'OK')
    copy.apply(reducer.state.deltaSince(0))
    reducer.apply({ do: 'remove-volume', name: 'held' })
    churn(reducer, LIMITS.tombstones + 10)
    const change = copy.apply(reducer.state.deltaSince(copy.revision))
    assert.ok(change?.removedVolumes.includes(1 as VolumeId))
    assert.equal(change?.removedExtents.length, 1)
    assert.equal(copy.volumes.size, 0)
  })

  it('are kept one by one until every node supports ranges', () => {
    const reducer = new Reducer().bootstrapped(1)
    churn(reducer, LIMITS.tombstones + 10)
    assert.equal(reducer.state.removedVolumes.latest.size, LIMITS.tombstones + 10)
    raise(reducer)
    churn(reducer, 1)
    assert.equal(reducer.state.removedVolumes.latest.size, LIMITS.tombstones)
  })
})
