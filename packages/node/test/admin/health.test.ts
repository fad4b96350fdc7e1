import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Epoch, StoreId } from '@ashlar/proto'
import { type Progress, volumeHealth, worst } from '../../src/admin/health.ts'
import { extentRecord, mapOf, nodeRecord, storeOf, volumeRecord } from './fake-view.ts'

const volume = volumeRecord(1, 'demo')
const without3 = { inSync: [storeOf(1), storeOf(2)] }

function health(
  parts: Parameters<typeof mapOf>[0],
  progress: ReadonlyMap<StoreId, Progress> = new Map(),
): ReturnType<typeof volumeHealth> {
  return volumeHealth(mapOf({ volumes: [volume], ...parts }), volume, () => progress)
}

describe('a volume', () => {
  it('is healthy when every extent has all its replicas in sync', () => {
    const found = health({ extents: [extentRecord(1, 0)] })
    assert.deepEqual(found, {
      state: 'healthy',
      extents: { healthy: 1, recovering: 0, degraded: 0, unavailable: 0, unknown: 0 },
      reasons: [],
      causes: [],
      firstUnavailable: undefined,
      fewestInSync: 3,
    })
  })

  it('is degraded when a missing replica is not being filled', () => {
    const found = health({ extents: [extentRecord(1, 0), extentRecord(1, 1, without3)] })
    assert.equal(found.state, 'degraded')
    assert.deepEqual(found.extents, { healthy: 1, recovering: 0, degraded: 1, unavailable: 0, unknown: 0 })
    assert.deepEqual(found.reasons, ['n3 is not in sync'])
    assert.equal(found.fewestInSync, 2)
  })

  it('is recovering when every missing replica is being copied', () => {
    const progress = new Map([[storeOf(3), { joining: true, behindBlocks: 12 }]])
    const found = health({ extents: [extentRecord(1, 0, without3)] }, progress)
    assert.equal(found.state, 'recovering')
    assert.deepEqual(found.reasons, ['copying to n3'])
  })

  it('says so when the copy is throttled because clients are served', () => {
    const progress = new Map([[storeOf(3), { joining: true, behindBlocks: 12, throttled: true }]])
    const found = health({ extents: [extentRecord(1, 0, without3)] }, progress)
    assert.deepEqual(found.reasons, ['copying to n3, throttled while clients are served'])
  })

  it('is degraded when one replica is being copied and another one is not', () => {
    const progress = new Map([[storeOf(3), { joining: true, behindBlocks: 12 }]])
    const wide = volumeRecord(1, 'demo', { minInSync: 1 })
    const map = mapOf({ volumes: [wide], extents: [extentRecord(1, 0, { inSync: [storeOf(1)] })] })
    assert.equal(volumeHealth(map, wide, () => progress).state, 'degraded')
  })

  it('is unavailable below minInSync, saying both numbers', () => {
    const found = health({ extents: [extentRecord(1, 0, { inSync: [storeOf(1)] })] })
    assert.equal(found.state, 'unavailable')
    assert.deepEqual(found.reasons, ['1 of 3 replicas in sync, and writes need 2'])
  })

  it('is unavailable while its primary is down, saying what it waits for', () => {
    const nodes = [nodeRecord(1, { state: 'down' }), nodeRecord(2), nodeRecord(3)]
    assert.deepEqual(health({ nodes, extents: [extentRecord(1, 0)] }).reasons, [
      'its primary n1 is down, and control is naming another one',
    ])
    const alone = health({ nodes, extents: [extentRecord(1, 0, { inSync: [storeOf(1)] })] })
    assert.match(alone.reasons[0] ?? '', /it waits for n1$/)
  })

  it('is unavailable while its primary is one of an earlier life of its store', () => {
    const nodes = [nodeRecord(1, { incarnation: { bootId: 'boot', counter: 2 } }), nodeRecord(2), nodeRecord(3)]
    const found = health({ nodes, extents: [extentRecord(1, 0)] })
    assert.deepEqual(
      [found.state, found.reasons],
      ['unavailable', ['its primary n1 has restarted, and control is naming the next one']],
    )
  })

  describe('of which only suspect stores are left', () => {
    const suspects = [2, 3].map((number) => nodeRecord(number, { trust: 'suspect' }))
    const of1 = (state: 'up' | 'down') =>
      nodeRecord(1, { trust: 'suspect', state, incarnation: { bootId: 'boot', counter: 2 } })
    const alone = extentRecord(1, 0, { epoch: 4 as Epoch, inSync: [storeOf(1)] })
    const left = 'only suspect stores of it are left, and the contents of n1, n2, n3 must be reconciled'

    it('is unavailable while one of them is down, and names the one that it waits for', () => {
      const { state, reasons } = health({ nodes: [of1('down'), ...suspects], extents: [alone] })
      assert.deepEqual([state, reasons], ['unavailable', [`${left}: it waits for n1`]])
    })

    it('is unavailable until control has named the store that reconciles them', () => {
      const { reasons } = health({ nodes: [of1('up'), ...suspects], extents: [alone] })
      assert.deepEqual(reasons, [`${left}: control is naming the store that reconciles them`])
    })

    it('waits for a store that is believed as before, also for one that is down', () => {
      const nodes = [nodeRecord(1, { state: 'down' }), ...suspects]
      assert.match(health({ nodes, extents: [alone] }).reasons[0] ?? '', /: it waits for n1$/)
    })

    it('is unavailable while they are reconciled, also with enough in sync, and names those that it waits for', () => {
      const extent = extentRecord(1, 0, { epoch: 5 as Epoch, primary: { store: storeOf(1), counter: 2 } })
      const map = mapOf({ volumes: [volume], nodes: [of1('up'), ...suspects], extents: [extent] })
      const mark = { extent: extent.id, epoch: extent.epoch, store: storeOf(1), acknowledged: true, changedAt: 7 }
      map.forced.set(extent.id, { ...mark, merged: true })
      const reconciling = (...phases: NonNullable<Progress['reconciling']>[]) =>
        volumeHealth(map, volume, () => {
          const progress = phases.map((phase) => ({ joining: false, behindBlocks: undefined, reconciling: phase }))
          return new Map(progress.map((of, at) => [storeOf(at + 1), of]))
        })
      const going = 'only suspect stores of it are left, and n1 reconciles the contents of n1, n2, n3'
      const { state, reasons } = reconciling('ready', 'closed', 'reading')
      assert.equal(state, 'unavailable')
      assert.deepEqual(reasons, [
        `${going}: it waits for n2, to which n1 has no connection, and for n3, which reads and verifies everything it holds`,
      ])
      assert.deepEqual(reconciling('ready', 'ready', 'ready').reasons, [`${going}: it compares them block by block`])
      assert.equal(volumeHealth(map, volume, () => new Map()).state, 'healthy', 'once it is over')
    })
  })

  it('is not called well before its extents are known', () => {
    assert.equal(health({}).state, 'unavailable')
  })
})

describe('a cluster', () => {
  it('is as its worst part', () => {
    assert.equal(worst([]), 'healthy')
    assert.equal(worst(['healthy', 'degraded', 'recovering']), 'degraded')
    assert.equal(worst(['recovering', 'unavailable', 'degraded']), 'unavailable')
  })
})
