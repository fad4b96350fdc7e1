import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS, type VolumeId } from '@ashlar/proto'
import { found, numbers, Reducer, store, VOLUME } from './kit.ts'

describe('bootstrap of the map', () => {
  it('is the first command, and other commands are refused before it', () => {
    const reducer = new Reducer()
    assert.equal(reducer.register(1).code, 'CONFLICT')
    assert.equal(reducer.state.revision, 0)
    assert.equal(reducer.apply(found()).code, 'OK')
    assert.equal(reducer.state.revision, 1)
    assert.equal(reducer.apply(found()).code, 'OK', 'the same bootstrap again changes nothing')
    assert.equal(reducer.state.revision, 1)
  })
})

describe('volumes', () => {
  it('start every extent at epoch 1 with all assigned stores in sync and none eligible', () => {
    const reducer = new Reducer().bootstrapped(3)
    const result = reducer.create({ extents: 4 })
    assert.equal(result.code, 'OK')
    assert.equal(result.volume?.id, 1)
    assert.equal(reducer.state.extents.size, 4)
    for (const record of reducer.state.extents.values()) {
      assert.equal(record.epoch, 1)
      assert.equal(record.revision, 1)
      assert.deepEqual(numbers(record.inSync), [1, 2, 3])
      assert.deepEqual(record.inSync, record.assigned)
      assert.deepEqual(record.eligible, [])
    }
  })

  it('spread primaries and replicas evenly over more stores than replicas', () => {
    const reducer = new Reducer().bootstrapped(5)
    reducer.create({ extents: 50 })
    const led = [1, 2, 3, 4, 5].map((n) => reducer.state.ledCount(store(n)))
    const held = [1, 2, 3, 4, 5].map((n) => reducer.state.assignedCount(store(n)))
    assert.deepEqual(held, [30, 30, 30, 30, 30])
    assert.ok(Math.max(...led) - Math.min(...led) <= 2, `primaries are even: ${led.join()}`)
    const partners = new Set([...reducer.state.extents.values()].map(({ assigned }) => numbers(assigned).join()))
    assert.ok(partners.size >= 6, `partners vary, so that many sources take part in a rebuild: ${partners.size}`)
  })

  it('with more replicas than live nodes are refused, with the number of nodes', () => {
    const reducer = new Reducer().bootstrapped(3)
    const result = reducer.create({ replicas: 3, live: [1, 2] })
    assert.equal(result.code, 'TOO_FEW_NODES')
    assert.match(result.message, /3 replicas need 3 nodes that are up, and there are 2/)
    assert.equal(reducer.state.volumes.size, 0)
  })

  it('with bad names, sizes, replicas or minInSync are refused and change nothing', () => {
    const reducer = new Reducer().bootstrapped(3)
    const before = reducer.state.revision
    assert.equal(reducer.create({ name: 'No Name' }).code, 'USAGE')
    assert.match(reducer.create({ replicas: 6 }).message, /replicas must be a whole number from 1 to 5, not 6/)
    assert.match(reducer.create({ minInSync: 4 }).message, /minInSync must be a whole number from 1 to the 3/)
    assert.match(reducer.create({ minInSync: 0 }).message, /minInSync/)
    assert.match(reducer.create({ extents: 5000 }).message, /at most 4096 extents/)
    assert.equal(reducer.state.revision, before)
  })

  it('with a used name are refused; numbers rise and are not reused', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    assert.equal(reducer.create().code, 'EXISTS')
    assert.equal(reducer.apply({ do: 'remove-volume', name: 'v1' }).code, 'OK')
    assert.equal(reducer.state.extents.size, 0)
    assert.deepEqual([...reducer.state.removedVolumes.keys()], [VOLUME])
    assert.equal(reducer.create().volume?.id, 2)
  })

  it('with more extents than the map may have are refused', () => {
    const reducer = new Reducer().bootstrapped(1)
    const each = 4096
    for (let made = 0; made < LIMITS.mapExtents; made += each) {
      const extents = Math.min(each, LIMITS.mapExtents - made)
      assert.equal(reducer.create({ name: `v${made}`, replicas: 1, extents }).code, 'OK')
    }
    const result = reducer.create({ name: 'more', replicas: 1 })
    assert.equal(result.code, 'CONFLICT')
    assert.match(result.message, /needs 1 extents, and the cluster can have 0 more/)
  })

  it('are not removed while a session holds them, and the error names the holder', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    reducer.attach(7)
    const refusal = reducer.apply({ do: 'remove-volume', name: 'v1' })
    assert.equal(refusal.code, 'CONFLICT')
    assert.match(refusal.message, /attached by client-7/)
    reducer.apply({ do: 'detach', volume: VOLUME, session: 7 as never })
    assert.equal(reducer.apply({ do: 'remove-volume', name: 'v1' }).code, 'OK')
  })
})

describe('attachments', () => {
  const attached = () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.create()
    assert.equal(reducer.attach(1).volume?.generation, 1)
    return reducer
  }

  it('amendment 23: an exclusive attach raises the generation and takes over', () => {
    const reducer = attached()
    const { volume } = reducer.attach(2)
    assert.equal(volume?.generation, 2)
    assert.deepEqual(
      volume?.holders.map((holder) => holder.session),
      [2],
    )
  })

  it('a repeated attach of the same session gets the same response and raises nothing', () => {
    const reducer = attached()
    const before = reducer.state.revision
    assert.equal(reducer.attach(1).volume?.generation, 1)
    assert.equal(reducer.state.revision, before)
  })

  it('a late duplicate of an ended session fences no other session', () => {
    const reducer = attached()
    reducer.attach(2)
    assert.equal(reducer.attach(1).code, 'FENCED')
    reducer.apply({ do: 'detach', volume: VOLUME, session: 2 as never })
    assert.equal(reducer.attach(2).code, 'FENCED')
    assert.equal(reducer.state.volumes.get(VOLUME)?.generation, 2)
  })

  it('ifFree is refused while another session holds the volume, and the error names the holder', () => {
    const reducer = attached()
    const refusal = reducer.attach(2, { ifFree: true })
    assert.equal(refusal.code, 'ATTACHED')
    assert.match(refusal.message, /client-1/)
    reducer.apply({ do: 'detach', volume: VOLUME, session: 1 as never })
    assert.equal(reducer.attach(3, { ifFree: true }).volume?.generation, 2)
  })

  it('a shared attach joins a shared generation up to the limit, and takes over an exclusive one', () => {
    const reducer = attached()
    assert.equal(reducer.attach(2, { mode: 'shared' }).volume?.generation, 2)
    assert.equal(reducer.attach(3, { mode: 'shared', ifFree: true }).volume?.generation, 2)
    for (let n = 3; n <= LIMITS.holders; n++) reducer.attach(100 + n, { mode: 'shared' })
    assert.equal(reducer.attach(999, { mode: 'shared' }).code, 'BUSY')
    assert.equal(reducer.attach(4).volume?.generation, 3)
  })

  it('a read-only attach changes nothing; an unknown volume is not found', () => {
    const reducer = attached()
    const before = reducer.state.revision
    assert.equal(reducer.attach(9, { mode: 'read-only' }).code, 'OK')
    assert.equal(reducer.attach(9, { name: 'nothing' }).code, 'NOT_FOUND')
    assert.equal(reducer.state.revision, before)
  })

  it('detach ends only its own session', () => {
    const reducer = attached()
    assert.equal(reducer.apply({ do: 'detach', volume: VOLUME, session: 5 as never }).code, 'OK')
    assert.equal(reducer.state.volumes.get(VOLUME)?.holders.length, 1)
    assert.equal(reducer.apply({ do: 'detach', volume: 9 as VolumeId, session: 5 as never }).code, 'NOT_FOUND')
  })
})
