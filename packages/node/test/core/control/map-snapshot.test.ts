import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type SessionId, Tombstones, type VolumeId } from '@ashlar/proto'
import fc from 'fast-check'
import { MapState } from '../../../src/core/control/index.ts'
import { PlainReader, PlainWriter } from '../../../src/core/control/map/binary-encoding.ts'
import { Reducer, store } from './kit.ts'
import { everything, fieldsOf, fromSnapshot, snapshotSlices, throughSnapshot } from './through-snapshot.ts'

/** A map with something in each field that there is. */
function full(): MapState {
  const reducer = new Reducer().bootstrapped(4)
  const { state } = reducer
  assert.equal(reducer.create({ name: 'v' }).code, 'OK')
  for (const [name, value] of fieldsOf(state)) fill(state, name, value)
  return state
}

/** Content of no meaning: a snapshot copies what it is given. */
function fill(state: MapState, name: string, value: unknown): void {
  if (value instanceof Set) value.add(store(9))
  if (value instanceof Map && value.size === 0) value.set(1, name === 'pastSessions' ? [7 as SessionId] : CONTENT[name])
  if (value instanceof Tombstones) {
    value.add(5 as VolumeId, 6)
    value.addRanges([{ first: 1 as VolumeId, last: 3 as VolumeId }], 4)
  }
  if (name === 'lastVolume') state.lastVolume = 12
  if (name === 'clusterGeneration') state.clusterGeneration = 3
  if (name === 'featureLevel') state.featureLevel = 1
  if (name === 'formerVoters') state.formerVoters = [{ store: store(8), address: 'n8:7000' }]
}

const CONTENT: Readonly<Record<string, unknown>> = {
  forced: { extent: 1, epoch: 2, store: store(1), acknowledged: false, changedAt: 3 },
  removedNodes: 6,
  successors: store(2),
}

describe('a snapshot of the map', () => {
  it('has every field of the map', () => {
    const state = full()
    for (const [name, value] of Object.entries(everything(state)))
      assert.ok(!Array.isArray(value) || value.length > 0, `this test leaves ${name} empty`)
    assert.deepEqual(everything(throughSnapshot(state)), everything(state))
  })

  it('stores a down node as `lost`, as the earlier build reads and writes it', () => {
    const reducer = new Reducer().bootstrapped(3)
    reducer.apply({ do: 'expire', stores: [{ store: store(2), counter: 1 }], live: [store(1), store(3)] })
    assert.equal(reducer.state.nodes.get(store(2))?.state, 'down')
    const bytes = Buffer.concat(snapshotSlices(reducer.state))
    assert.deepEqual([bytes.includes('lost'), bytes.includes('down')], [true, false])
    assert.equal(fromSnapshot(bytes).nodes.get(store(2))?.state, 'down')
  })

  it('has the state at its beginning, and every slice is short', () => {
    const reducer = new Reducer().bootstrapped(3)
    for (let volume = 1; volume <= 3; volume++)
      assert.equal(reducer.create({ name: `v${volume}`, extents: 3000 }).code, 'OK')
    const before = everything(reducer.state)
    const slices = snapshotSlices(reducer.state)
    assert.ok(slices.length > 2, `9,000 extents in ${slices.length} slices`)
    const longest = Math.max(...slices.map((slice) => slice.length))
    assert.ok(longest < 2 ** 19, `a slice of ${longest} bytes`)
    reducer.apply({ do: 'remove-volume', name: 'v2' })
    assert.deepEqual(everything(fromSnapshot(Buffer.concat(slices))), before)
  })

  it('of a map before its bootstrap is empty', () => {
    assert.deepEqual(everything(throughSnapshot(new MapState())), everything(new MapState()))
  })

  it('is refused as a whole if its format differs, or it is cut off or corrupt', () => {
    const bytes = Buffer.concat(snapshotSlices(full()))
    assert.throws(() => fromSnapshot(Uint8Array.from([3, 9, ...bytes.subarray(2)])), /format 9/)
    for (let length = 0; length < bytes.length; length += 7) {
      try {
        const { revision } = fromSnapshot(bytes.subarray(0, length))
        // A cut between two rows leaves a smaller map: the storage of the bytes checks them as a whole.
        assert.ok(revision >= 0)
      } catch (error) {
        assert.match(String(error), /InvariantError/)
      }
    }
  })
})

describe('plain values', () => {
  it('are read as they were written, in order', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.boolean(),
        fc.double({ noNaN: true }),
        fc.maxSafeNat(),
        fc.string({ unit: 'binary' }),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((name) => !name.includes(',') && name !== '__proto__'),
          tie('value'),
          { maxKeys: 5 },
        ),
      ),
    })).value
    fc.assert(
      fc.property(fc.array(plain), (values) => {
        const writer = new PlainWriter()
        for (const value of values) writer.write(value)
        const reader = new PlainReader(writer.take())
        const read: unknown[] = []
        while (!reader.atEnd) read.push(reader.read())
        assert.deepEqual(
          read,
          values.map((value) => structuredClone(value)),
        )
      }),
    )
  })

  it('omit fields without a value, and refuse other types', () => {
    const writer = new PlainWriter()
    writer.write({ a: 1, b: undefined })
    assert.deepEqual(new PlainReader(writer.take()).read(), { a: 1 })
    for (const value of [null, undefined, () => 1, 1n])
      assert.throws(() => new PlainWriter().write(value), /plain value/)
    assert.throws(() => new PlainReader(Uint8Array.from([77])).read(), /tag/)
    assert.throws(() => new PlainReader(Uint8Array.from([7, 0])).read(), /never written/)
  })
})
