import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS, type VolumeId } from '@ashlar/proto'
import { address, EXTENT, found, numberOf, numbers, Reducer, store, VOLUME } from './kit.ts'

describe('founding', () => {
  it('is the first command; every other one is refused before it', () => {
    const reducer = new Reducer()
    assert.equal(reducer.register(1).code, 'CONFLICT')
    assert.equal(reducer.state.revision, 0)
    assert.equal(reducer.apply(found()).code, 'OK')
    assert.equal(reducer.state.revision, 1)
    assert.equal(reducer.apply(found()).code, 'OK', 'the same founding again changes nothing')
    assert.equal(reducer.state.revision, 1)
  })
})

describe('volumes', () => {
  it('creates every extent with epoch 1, all assigned stores in sync, nobody eligible', () => {
    const reducer = new Reducer().founded(3)
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

  it('spreads primaries and replicas evenly over more stores than replicas', () => {
    const reducer = new Reducer().founded(5)
    reducer.create({ extents: 50 })
    const led = [1, 2, 3, 4, 5].map((n) => reducer.state.ledCount(store(n)))
    const held = [1, 2, 3, 4, 5].map((n) => reducer.state.assignedCount(store(n)))
    assert.deepEqual(held, [30, 30, 30, 30, 30])
    assert.ok(Math.max(...led) - Math.min(...led) <= 2, `primaries are even: ${led.join()}`)
    const partners = new Set([...reducer.state.extents.values()].map(({ assigned }) => numbers(assigned).join()))
    assert.ok(partners.size >= 6, `partners vary, so that many sources take part in a rebuild: ${partners.size}`)
  })

  it('refuses more replicas than live nodes, and says how many there are', () => {
    const reducer = new Reducer().founded(3)
    const result = reducer.create({ replicas: 3, live: [1, 2] })
    assert.equal(result.code, 'TOO_FEW_NODES')
    assert.match(result.message, /3 replicas need 3 nodes that are up, and there are 2/)
    assert.equal(reducer.state.volumes.size, 0)
  })

  it('refuses bad names, sizes, replicas and minInSync with a sentence, and changes nothing', () => {
    const reducer = new Reducer().founded(3)
    const before = reducer.state.revision
    assert.equal(reducer.create({ name: 'No Name' }).code, 'USAGE')
    assert.match(reducer.create({ replicas: 6 }).message, /replicas must be a whole number from 1 to 5, not 6/)
    assert.match(reducer.create({ minInSync: 4 }).message, /min-in-sync must be a whole number from 1 to the 3/)
    assert.match(reducer.create({ minInSync: 0 }).message, /min-in-sync/)
    assert.match(reducer.create({ extents: 5000 }).message, /at most 4096 extents/)
    assert.equal(reducer.state.revision, before)
  })

  it('refuses a name in use; numbers rise and are never used again', () => {
    const reducer = new Reducer().founded(3)
    reducer.create()
    assert.equal(reducer.create().code, 'EXISTS')
    assert.equal(reducer.apply({ do: 'remove-volume', name: 'v1' }).code, 'OK')
    assert.equal(reducer.state.extents.size, 0)
    assert.deepEqual([...reducer.state.removedVolumes.keys()], [VOLUME])
    assert.equal(reducer.create().volume?.id, 2)
  })

  it('refuses more extents than the map of one cluster may have', () => {
    const reducer = new Reducer().founded(1)
    const each = 4096
    for (let n = 0; n < LIMITS.mapExtents / each; n++)
      assert.equal(reducer.create({ name: `v${n}`, replicas: 1, extents: each }).code, 'OK')
    const result = reducer.create({ name: 'more', replicas: 1 })
    assert.equal(result.code, 'CONFLICT')
    assert.match(result.message, /needs 1 extents, and the cluster can have 0 more/)
  })

  it('refuses to remove a volume that somebody holds, naming the holder; after detach it goes', () => {
    const reducer = new Reducer().founded(3)
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
    const reducer = new Reducer().founded(3)
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

  it('the same session again is answered as before and raises nothing', () => {
    const reducer = attached()
    const before = reducer.state.revision
    assert.equal(reducer.attach(1).volume?.generation, 1)
    assert.equal(reducer.state.revision, before)
  })

  it('a late duplicate of an ended session fences nobody', () => {
    const reducer = attached()
    reducer.attach(2)
    assert.equal(reducer.attach(1).code, 'FENCED')
    reducer.apply({ do: 'detach', volume: VOLUME, session: 2 as never })
    assert.equal(reducer.attach(2).code, 'FENCED')
    assert.equal(reducer.state.volumes.get(VOLUME)?.generation, 2)
  })

  it('ifFree is refused while somebody holds the volume, naming the holder', () => {
    const reducer = attached()
    const refusal = reducer.attach(2, { ifFree: true })
    assert.equal(refusal.code, 'ATTACHED')
    assert.match(refusal.message, /client-1/)
    reducer.apply({ do: 'detach', volume: VOLUME, session: 1 as never })
    assert.equal(reducer.attach(3, { ifFree: true }).volume?.generation, 2)
  })

  it('shared joins a shared generation, up to the limit, and takes over an exclusive one', () => {
    const reducer = attached()
    assert.equal(reducer.attach(2, { mode: 'shared' }).volume?.generation, 2)
    assert.equal(reducer.attach(3, { mode: 'shared', ifFree: true }).volume?.generation, 2)
    for (let n = 3; n <= LIMITS.holders; n++) reducer.attach(100 + n, { mode: 'shared' })
    assert.equal(reducer.attach(999, { mode: 'shared' }).code, 'BUSY')
    assert.equal(reducer.attach(4).volume?.generation, 3)
  })

  it('read-only changes nothing; an unknown volume is not found', () => {
    const reducer = attached()
    const before = reducer.state.revision
    assert.equal(reducer.attach(9, { mode: 'read-only' }).code, 'OK')
    assert.equal(reducer.attach(9, { name: 'nothing' }).code, 'NOT_FOUND')
    assert.equal(reducer.state.revision, before)
  })

  it('detach takes only its own session', () => {
    const reducer = attached()
    assert.equal(reducer.apply({ do: 'detach', volume: VOLUME, session: 5 as never }).code, 'OK')
    assert.equal(reducer.state.volumes.get(VOLUME)?.holders.length, 1)
    assert.equal(reducer.apply({ do: 'detach', volume: 9 as VolumeId, session: 5 as never }).code, 'NOT_FOUND')
  })
})

describe('in-sync sets', () => {
  const three = (minInSync = 2) => {
    const reducer = new Reducer().founded(3)
    reducer.create({ minInSync })
    return { reducer, p: numberOf(reducer.record().primary.store), others: others(reducer) }
  }
  const others = (reducer: Reducer) =>
    numbers(reducer.record().inSync).filter((n) => store(n) !== reducer.record().primary.store)

  it('CTL-1: a change is compare-and-set on revision and epoch, and comes from the primary', () => {
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

  it('a repetition of a change whose answer was lost is no refusal, and changes nothing', () => {
    const { reducer, p, others } = three()
    const [a] = others as [number]
    const { revision } = reducer.record()
    assert.equal(reducer.change([p, a], EXTENT, { revision }), 'OK')
    const before = reducer.state.revision
    assert.equal(reducer.change([p, a], EXTENT, { revision }), 'OK')
    assert.equal(reducer.state.revision, before)
    assert.equal(reducer.change([p], EXTENT, { revision }), 'CONFLICT', 'another change of that revision is refused')
  })

  it('CTL-3: a set is never emptied, always holds the primary, and has only assigned members', () => {
    const { reducer, p, others } = three()
    reducer.register(4)
    assert.equal(reducer.change([]), 'USAGE')
    assert.equal(reducer.change(others), 'USAGE')
    assert.equal(reducer.change([p, 4]), 'USAGE')
    assert.equal(reducer.change([p, p]), 'USAGE')
  })

  it('CTL-5: a shrink below minInSync keeps the removed as eligible until the set is large enough again', () => {
    const { reducer, p, others } = three()
    const [a, b] = others as [number, number]
    reducer.change([p, a])
    assert.deepEqual(reducer.brief().eligible, [], 'at minInSync nobody is kept')
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, [a], 'b left before: something may have been acknowledged without it')
    reducer.change([p, b])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, b].sort(), eligible: [] })
  })

  it('CTL-5: both of two removed at once are kept', () => {
    const { reducer, p, others } = three()
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, others)
  })

  it('an earlier incarnation of the primary changes nothing any more', () => {
    const reducer = new Reducer().founded(1)
    reducer.create({ replicas: 1, live: [1] })
    reducer.register(1, { counter: 2, trust: 'suspect' })
    assert.equal(reducer.record().primary.counter, 1, 'a suspect store is not named again')
    assert.equal(reducer.change([1]), 'NOT_PRIMARY')
  })
})

describe('registration', () => {
  it('the same incarnation again changes nothing', () => {
    const reducer = new Reducer().founded(3)
    reducer.create()
    const before = { revision: reducer.state.revision, record: reducer.record() }
    assert.equal(reducer.register(1, { live: [1, 2, 3] }).code, 'OK')
    assert.equal(reducer.state.revision, before.revision)
    assert.equal(reducer.record(), before.record)
  })

  it('a counter that is not above the last one seen is a copied directory', () => {
    const reducer = new Reducer().founded(1)
    reducer.register(1, { counter: 5 })
    assert.equal(reducer.register(1, { counter: 4 }).code, 'CONFLICT')
    const copy = reducer.register(1, { counter: 5, boot: 'another' })
    assert.equal(copy.code, 'CONFLICT')
    assert.match(copy.message, /start counter 5, but start 5 was seen before/)
    assert.equal(reducer.register(1, { counter: 6 }).code, 'OK')
  })

  it('a live node at another address keeps its name', () => {
    const reducer = new Reducer().founded(2)
    const refusal = reducer.register(3, { name: 'n1', address: 'elsewhere:1', live: [1, 2] })
    assert.equal(refusal.code, 'CONFLICT')
    assert.match(refusal.message, /already named n1/)
    assert.equal(reducer.register(3, { name: 'n1', address: 'elsewhere:1', live: [2] }).code, 'OK')
  })

  it('CTL-4, amendment 15: another store at the address takes the place of the old one, in one entry', () => {
    const reducer = new Reducer().founded(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const live = [1, 2, 3].filter((n) => n !== p)
    reducer.register(9, { name: `n${p}`, address: address(p), live })
    assert.equal(reducer.state.nodes.get(store(p))?.address, '')
    const { epoch, primary, inSync, eligible } = reducer.brief()
    assert.equal(epoch, 2)
    assert.ok(live.includes(primary))
    assert.deepEqual(inSync, live)
    assert.deepEqual(eligible, [], 'a store that is gone for good is not kept')
    assert.deepEqual(numbers(reducer.record().assigned), [...live, 9])
    assert.equal(reducer.state.revision, 6, 'one entry, one revision')
  })

  it('amendment 3 and 15: a primary whose lease may hold is replaced only when it ran out', () => {
    const reducer = new Reducer().founded(3)
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

  it('amendment 15: where the old store is the last that counts, it stays and the extent waits for it', () => {
    const reducer = new Reducer().founded(2)
    reducer.create({ replicas: 2, minInSync: 1 })
    const p = numberOf(reducer.record().primary.store)
    const other = 3 - p
    reducer.change([p])
    reducer.register(9, { name: `n${p}`, address: address(p), live: [other] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p], eligible: [] })
    assert.ok(reducer.record().assigned.includes(store(p)))
    // The old disk comes back elsewhere and brings the other one up to date: only then does its place go to the new store.
    reducer.register(p, { counter: 2, name: 'moved', address: 'moved:1', live: [other, 9] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: p, inSync: [p], eligible: [] })
  })

  it('amendment 11: a suspect store leaves every set that has another trusted member, and never leads', () => {
    const reducer = new Reducer().founded(3)
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

  it('amendment 11: a suspect member that does not lead is taken out without a new epoch', () => {
    const reducer = new Reducer().founded(3)
    reducer.create()
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    reducer.register(a, { counter: 2, trust: 'suspect', live: [p, b] })
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, b].sort(), eligible: [] })
  })

  it('amendment 11: with only suspect stores left the extent waits; one that is trusted is named though it is away', () => {
    const reducer = new Reducer().founded(2)
    reducer.create({ replicas: 2, minInSync: 1 })
    const p = numberOf(reducer.record().primary.store)
    const other = 3 - p
    reducer.expire([1, 2], [])
    reducer.register(p, { counter: 2, trust: 'suspect' })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: other, inSync: [other], eligible: [] })
    reducer.register(other, { counter: 2, trust: 'suspect', live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: other, inSync: [other], eligible: [] })
    reducer.register(other, { counter: 3, trust: 'trusted', live: [p] })
    assert.deepEqual(reducer.brief(), { epoch: 3, primary: other, inSync: [other], eligible: [] })
    assert.equal(reducer.record().primary.counter, 3)
  })
})

describe('failover', () => {
  const three = (minInSync = 2) => {
    const reducer = new Reducer().founded(3)
    reducer.create({ minInSync })
    const p = numberOf(reducer.record().primary.store)
    const [a, b] = [1, 2, 3].filter((n) => n !== p) as [number, number]
    return { reducer, p, a, b }
  }

  it('amendment 14: when the lease ran out a live member leads, without the old one', () => {
    const { reducer, p, a, b } = three()
    reducer.expire([p], [a, b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a, b], eligible: [] })
    assert.equal(reducer.state.nodes.get(store(p))?.state, 'lost')
  })

  it('one entry moves every extent of a lost store, evenly', () => {
    const reducer = new Reducer().founded(3)
    reducer.create({ extents: 30 })
    assert.equal(reducer.state.ledCount(store(1)), 10)
    const before = reducer.state.revision
    const result = reducer.expire([1], [2, 3])
    assert.equal(result.promoted?.length, 10)
    assert.equal(reducer.state.revision, before + 1)
    assert.deepEqual(
      [1, 2, 3].map((n) => reducer.state.ledCount(store(n))),
      [0, 15, 15],
    )
  })

  it('CTL-2, CTL-3: only a live member in sync is promoted; with none the last stays and the extent waits', () => {
    const { reducer, p, a, b } = three(1)
    reducer.change([p, a])
    reducer.expire([p], [b])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [p, a].sort(), eligible: [] })
    reducer.register(a, { live: [b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a], eligible: [] })
  })

  it('amendment 2: with no live member in sync a live eligible store leads, and the rest is kept', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p])
    assert.deepEqual(reducer.brief().eligible, [a, b])
    reducer.expire([p], [b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [b], eligible: [p, a].sort() })
  })

  it('amendment 2: an eligible store that comes later is promoted when it registers', () => {
    const { reducer, p, a, b } = three()
    reducer.change([p])
    reducer.expire([1, 2, 3], [])
    assert.equal(reducer.brief().epoch, 1)
    reducer.register(b, { counter: 2 })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [b], eligible: [p, a].sort() })
  })

  it('amendment 14: released, the old primary stays in sync and another live member leads', () => {
    const { reducer, p, a, b } = three()
    const release = (live: number[]) =>
      reducer.apply({
        do: 'release',
        store: store(p),
        counter: 1,
        extents: [{ extent: EXTENT, epoch: reducer.record().epoch }],
        reason: 'shutdown',
        live: live.map(store),
      })
    release([p])
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [1, 2, 3], eligible: [] })
    release([p, b])
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: b, inSync: [1, 2, 3], eligible: [] })
    release([p, a])
    assert.equal(reducer.brief().epoch, 2, 'it leads no more: nothing to give up')
  })

  it('A2.8-4: a primary that lost committed data leaves the set and is not kept', () => {
    const { reducer, p, a, b } = three(3)
    reducer.apply({
      do: 'release',
      store: store(p),
      counter: 1,
      extents: [{ extent: EXTENT, epoch: reducer.record().epoch }],
      reason: 'behind',
      live: [p, a, b].map(store),
    })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [a, b], eligible: [] })
  })

  it('amendment 14: a new incarnation stays in sync and another live member leads', () => {
    const { reducer, p, a, b } = three()
    reducer.register(p, { counter: 2, live: [a, b] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: a, inSync: [1, 2, 3], eligible: [] })
  })

  it('amendment 14: a new incarnation that is the only live member is named again, in a new epoch', () => {
    const { reducer, p } = three()
    reducer.register(p, { counter: 2, live: [] })
    assert.deepEqual(reducer.brief(), { epoch: 2, primary: p, inSync: [1, 2, 3], eligible: [] })
    assert.equal(reducer.record().primary.counter, 2)
  })

  it('a lost store that registers in the same life goes on in its epoch where nobody replaced it', () => {
    const { reducer, p } = three()
    reducer.expire([1, 2, 3], [])
    reducer.register(p)
    assert.deepEqual(reducer.brief(), { epoch: 1, primary: p, inSync: [1, 2, 3], eligible: [] })
  })

  it('an expiry of an earlier incarnation does nothing', () => {
    const { reducer, p, a, b } = three()
    reducer.register(p, { counter: 2, live: [] })
    reducer.expire([p], [a, b], 1)
    assert.equal(reducer.state.nodes.get(store(p))?.state, 'up')
    assert.equal(reducer.brief().primary, p)
  })

  it('promote is compare-and-set and leaves a primary alone that stands', () => {
    const { reducer, p, a } = three()
    const promote = (revision: number) =>
      reducer.apply({ do: 'promote', extents: [{ extent: EXTENT, revision }], live: [store(a)] })
    promote(reducer.record().revision)
    assert.equal(reducer.brief().epoch, 1)
    reducer.expire([p], [])
    promote(reducer.record().revision + 1)
    assert.equal(reducer.brief().epoch, 1)
    promote(reducer.record().revision)
    assert.equal(reducer.brief().primary, a)
    assert.equal(reducer.brief().epoch, 2)
  })

  it('choosing: the live member that leads the fewest extents, ties by store', () => {
    const reducer = new Reducer().founded(3)
    reducer.create({ extents: 3 })
    reducer.expire([1], [2, 3])
    assert.deepEqual(
      [reducer.state.ledCount(store(2)), reducer.state.ledCount(store(3))],
      [2, 1],
      'a tie goes to store 2',
    )
    reducer.register(1)
    reducer.expire([2], [1, 3])
    assert.deepEqual(
      [1, 2, 3].map((n) => reducer.state.ledCount(store(n))),
      [1, 0, 2],
      'store 1 led nothing and is in sync in one of the two extents: it takes that one',
    )
  })
})
