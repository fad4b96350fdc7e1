import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ExtentId, MapCopy } from '@ashlar/proto'
import { assertInvariants, contents, EXTENT, numberOf, numbers, Reducer, store } from './kit.ts'

/** A volume on three stores whose in-sync set shrank to its primary, which was then lost: nobody can serve. */
function stuck() {
  const reducer = new Reducer().founded(3)
  reducer.create({ minInSync: 1 })
  const p = numberOf(reducer.record().primary.store)
  const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
  reducer.change([p])
  reducer.expire([p], [a, b])
  assert.equal(numberOf(reducer.record().primary.store), p, 'the last member stays although it is dead')
  return { reducer, p, a, b }
}

function force(reducer: Reducer, n: number, live: number[], extent: ExtentId = EXTENT) {
  return reducer.apply({ do: 'force-primary', extent, store: store(n), live: live.map(store) })
}

describe('A2.10: a primary by force', () => {
  it('is alone in sync in a new epoch, and the map keeps that its history begins there', () => {
    const { reducer, a, b } = stuck()
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    const { changedAt, ...forced } = reducer.state.forced.get(EXTENT) ?? assert.fail('nothing was kept')
    assert.deepEqual(forced, { extent: EXTENT, epoch: 2, store: store(a), acknowledged: false })
    assert.equal(changedAt, reducer.record().changedAt, 'both are learned together')
    assertInvariants(reducer.state)
  })

  it('is refused while somebody serves, while somebody better is here, and for a store that is away or holds nothing', () => {
    const healthy = new Reducer().founded(4)
    healthy.create({ live: [1, 2, 3] })
    const served = force(healthy, 1, [1, 2, 3, 4])
    assert.equal(served.code, 'CONFLICT')
    assert.match(served.message, /serves extent 0 of v1/)

    const { reducer, p, a, b } = stuck()
    reducer.register(4)
    const before = reducer.state.revision
    assert.match(force(reducer, 4, [a, b, 4]).message, /holds no replica of extent 0 of v1/)
    assert.match(force(reducer, a, [b]).message, new RegExp(`n${a} is not up`))
    assert.match(force(reducer, p, [a, b]).message, new RegExp(`n${p} is not up`))
    assert.equal(force(reducer, a, [a], 4097 as ExtentId).code, 'NOT_FOUND')
    assert.equal(reducer.state.revision, before, 'a refusal changes nothing')

    const waiting = new Reducer().founded(3)
    waiting.create()
    const lost = numberOf(waiting.record().primary.store)
    const [x, y] = [1, 2, 3].filter((n) => n !== lost) as [number, number]
    waiting.expire([1, 2, 3], [])
    const better = force(waiting, x, [x, y])
    assert.equal(better.code, 'CONFLICT', 'control names an in-sync member by itself')
  })

  it('that comes twice, because its answer was lost, is done once', () => {
    const { reducer, a, b } = stuck()
    force(reducer, a, [a, b])
    const { revision } = reducer.state
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.equal(reducer.state.revision, revision)
  })

  it('may be a suspect store, which is named in no other way', () => {
    const { reducer, a, b } = stuck()
    reducer.register(a, { counter: 2, trust: 'suspect', live: [b] })
    assert.equal(force(reducer, a, [a, b]).code, 'OK')
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    reducer.register(b, { counter: 2, live: [a] })
    assert.equal(reducer.brief().primary, a, 'it stands for as long as this life of it')
  })

  it('leaves the old members out: when they come back they join like any other', () => {
    const { reducer, p, a, b } = stuck()
    force(reducer, a, [a, b])
    reducer.register(p, { counter: 2, live: [a, b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
    assert.equal(reducer.change([1, 2, 3]), 'OK')
  })

  it('is a warning until a person acknowledges it, reaches copies of the map, and goes with its volume', () => {
    const { reducer, a, b } = stuck()
    const copy = new MapCopy()
    copy.apply(reducer.state.deltaSince(0))
    force(reducer, a, [a, b])
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.equal(copy.forced.get(EXTENT)?.acknowledged, false)
    assert.equal(reducer.apply({ do: 'acknowledge-loss', name: 'v1' }).code, 'OK')
    assert.equal(reducer.apply({ do: 'acknowledge-loss', name: 'v2' }).code, 'NOT_FOUND')
    copy.apply(reducer.state.deltaSince(copy.revision))
    assert.equal(copy.forced.get(EXTENT)?.acknowledged, true)
    assert.deepEqual(contents(copy), contents(reducer.state))
    const whole = new MapCopy()
    whole.apply(reducer.state.deltaSince(0))
    assert.deepEqual([...whole.forced], [...reducer.state.forced])
    reducer.apply({ do: 'remove-volume', name: 'v1' })
    whole.apply(reducer.state.deltaSince(whole.revision))
    assert.equal(whole.forced.size + reducer.state.forced.size, 0)
  })

  it('can be named again by force, and each time counts', () => {
    const { reducer, a, b } = stuck()
    force(reducer, a, [a, b])
    reducer.apply({ do: 'acknowledge-loss', name: 'v1' })
    reducer.expire([a], [b])
    assert.equal(force(reducer, b, [b]).code, 'OK')
    assert.deepEqual(numbers(reducer.record().inSync), [b])
    assert.equal(reducer.state.forced.get(EXTENT)?.epoch, 3)
    assert.equal(reducer.state.forced.get(EXTENT)?.acknowledged, false)
  })
})
