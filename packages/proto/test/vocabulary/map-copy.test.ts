import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ClusterId,
  type ExtentRecord,
  extentId,
  InvariantError,
  MapCopy,
  type MapDelta,
  type NodeRecord,
  type VolumeId,
  type VolumeRecord,
} from '@ashlar/proto'
import fc from 'fast-check'
import { CLUSTER, EXTENT_RECORD, NAME, STORES, VOLUME_RECORD } from '../support/sample-messages.ts'

function volume(id: number, name = `v${id}`, changedAt = 1): VolumeRecord {
  return { ...VOLUME_RECORD, id: id as VolumeId, name, changedAt }
}

function extent(volumeId: number, index: number, revision = 1): ExtentRecord {
  return { ...EXTENT_RECORD, id: extentId(volumeId as VolumeId, index), revision }
}

function delta(from: number, to: number, changes: Partial<MapDelta> = {}): MapDelta {
  return {
    cluster: CLUSTER,
    clusterGeneration: 1,
    from,
    to,
    voters: [],
    nodes: [],
    volumes: [],
    extents: [],
    removedVolumes: [],
    ...changes,
  }
}

const node: NodeRecord = {
  store: STORES[0],
  name: NAME,
  address: '10.0.0.1:7580',
  api: '10.0.0.1:7480',
  incarnation: { bootId: 'b', counter: 1 },
  trust: 'trusted',
  state: 'up',
  changedAt: 1,
}

test('a delta brings a copy up to its revision and says what changed', () => {
  const copy = new MapCopy()
  const voters = [{ store: STORES[0], address: '10.0.0.1:7580' }]
  const change = copy.apply(
    delta(0, 5, { voters, nodes: [node], volumes: [volume(1)], extents: [extent(1, 0), extent(1, 1)] }),
  )
  assert.deepEqual(change, {
    extents: [extentId(1 as VolumeId, 0), extentId(1 as VolumeId, 1)],
    removedExtents: [],
    volumes: [1],
    removedVolumes: [],
    nodes: [STORES[0]],
  })
  assert.equal(copy.revision, 5)
  assert.equal(copy.cluster, CLUSTER)
  assert.deepEqual(copy.voters, voters)
  assert.deepEqual(copy.nodes.get(STORES[0]), node)
})

test('an older delta, and the same one again, change nothing', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 5, { volumes: [volume(1, 'new')] }))
  assert.equal(copy.apply(delta(0, 5, { volumes: [volume(1, 'again')] })), undefined)
  assert.equal(copy.apply(delta(0, 4, { volumes: [volume(1, 'old')] })), undefined)
  assert.equal(copy.volumes.get(1 as VolumeId)?.name, 'new')
  assert.equal(copy.revision, 5)
})

test('a delta that starts behind the copy is a gap and changes nothing', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 5))
  const later = delta(6, 9, { volumes: [volume(1)] })
  assert.equal(copy.gap(later), true)
  assert.equal(copy.apply(later), undefined)
  assert.equal(copy.revision, 5)
  assert.equal(copy.gap(delta(5, 9)), false)
})

test('a delta that overlaps the copy is applied', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 5, { extents: [extent(1, 0, 3)] }))
  copy.apply(delta(2, 9, { extents: [extent(1, 0, 4)] }))
  assert.equal(copy.extents.get(extentId(1 as VolumeId, 0))?.revision, 4)
})

test('a removed volume goes with its extents, once, and others stay', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 1, { volumes: [volume(1), volume(2)], extents: [extent(1, 0), extent(1, 1), extent(2, 0)] }))
  const change = copy.apply(delta(1, 2, { removedVolumes: [1 as VolumeId] }))
  assert.deepEqual(change?.removedVolumes, [1])
  assert.deepEqual(change?.removedExtents, [extentId(1 as VolumeId, 0), extentId(1 as VolumeId, 1)])
  assert.deepEqual([...copy.extents.keys()], [extentId(2 as VolumeId, 0)])
  assert.equal(copy.volumeNamed('v1'), undefined)
  assert.ok(copy.removedVolumes.has(1 as VolumeId))
  assert.deepEqual(copy.apply(delta(0, 3, { removedVolumes: [1 as VolumeId] }))?.removedVolumes, [])
})

test('a map of another cluster is a bug', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 1))
  const foreign = '00000000-0000-4000-8000-00000000000f' as ClusterId
  assert.throws(() => copy.apply({ ...delta(1, 2), cluster: foreign }), InvariantError)
})

test('volumes are found by name and extents by volume, in order', () => {
  const copy = new MapCopy()
  copy.apply(delta(0, 1, { volumes: [volume(3, 'data')], extents: [extent(3, 2), extent(3, 0), extent(3, 1)] }))
  assert.equal(copy.volumeNamed('data')?.id, 3)
  assert.equal(copy.volumeNamed('other'), undefined)
  const ids = copy.extentsOf(3 as VolumeId).map((record) => record.id)
  assert.deepEqual(
    ids,
    [0, 1, 2].map((index) => extentId(3 as VolumeId, index)),
  )
  assert.deepEqual(copy.locate(extentId(3 as VolumeId, 2)), { volume: volume(3, 'data'), index: 2 })
  assert.equal(copy.locate(extentId(4 as VolumeId, 0)), undefined)
})

test('whatever order deltas come in, revisions only rise and the newest record wins', () => {
  // The whole history of one volume's name: revision r gives it the name r.
  const cut = fc
    .tuple(fc.nat(20), fc.integer({ min: 1, max: 20 }))
    .map(([from, length]) => [from, from + length] as const)
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 30 }), (cuts) => {
      const copy = new MapCopy()
      for (const [from, to] of cuts) {
        const before = copy.revision
        const changed = copy.apply(delta(from, to, { volumes: [volume(1, `r${to}`, to)] })) !== undefined
        assert.equal(changed, to > before && from <= before)
        assert.equal(copy.revision, changed ? to : before)
        if (copy.revision > 0) assert.equal(copy.volumes.get(1 as VolumeId)?.changedAt, copy.revision)
      }
    }),
  )
})
