import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ERRORS, type ExtentRecord, leaseExpiryMs, type Message, TIMERS } from '@ashlar/proto'
import { EXTENT, numbers, only, store, VOLUME } from './kit.ts'
import { type LeaderRig, threeStores } from './leader-rig.ts'

const OK = ERRORS.OK.number

function types(messages: readonly Message[]): string[] {
  return messages.map((message) => message.type)
}

describe('changes of in-sync sets', () => {
  it('are answered with the resulting records; a repeated request adds no entry', () => {
    const rig = threeStores()
    const change = rig.change([store(rig.primary)])
    rig.diskWorks = false
    rig.changeSets(rig.primary, [change], 50)
    rig.changeSets(rig.primary, [change], 50)
    rig.flushLog()
    const sent = only(
      rig.answers(rig.primary).filter((message) => message.type === 'sets-changed'),
      'sets-changed',
    )
    assert.equal(sent.results[0]?.code, OK)
    assert.deepEqual(sent.results[0]?.record?.inSync, [store(rig.primary)])
  })

  it('are answered as committed when repeated after a lost response', () => {
    const rig = threeStores()
    const change = rig.change([store(rig.primary)])
    rig.changeSets(rig.primary, [change])
    rig.answers(rig.primary)
    const again = only(rig.changeSets(rig.primary, [change]), 'sets-changed')
    assert.equal(again.results[0]?.code, OK)
    assert.equal(rig.record().revision, 2)
  })

  it('amendment 11: a takeover without a previous primary waits 10 s before it evicts absent stores', () => {
    const rig = threeStores()
    const first = rig.primary
    rig.pass(leaseExpiryMs() + 200, [])
    rig.register(first, { counter: 2 })
    assert.equal(rig.primary, first)
    assert.equal(rig.record().epoch, 2)
    const shrink = rig.change([store(first)])
    rig.answers(first)
    rig.changeSets(first, [shrink], 60)
    rig.pass(TIMERS.unregisteredGraceMs - 1000, [first])
    assert.equal(
      rig.answers(first).some((message) => message.type === 'sets-changed'),
      false,
    )
    assert.deepEqual(numbers(rig.record().inSync), [1, 2, 3])
    rig.pass(1500, [first])
    assert.equal(
      only(
        rig.answers(first).filter((it) => it.type === 'sets-changed'),
        'sets-changed',
      ).results[0]?.code,
      OK,
    )
    assert.deepEqual(numbers(rig.record().inSync), [first])
  })

  it('amendment 11: absent stores that return in time make the shrink refused as overtaken; it can be requested again', () => {
    const rig = threeStores()
    const first = rig.primary
    rig.pass(leaseExpiryMs() + 200, [])
    rig.register(first, { counter: 2 })
    const shrink = rig.change([store(first)])
    rig.changeSets(first, [shrink], 60)
    for (const n of [1, 2, 3]) if (n !== first) rig.register(n, { counter: 2 })
    rig.answers(first)
    rig.tick()
    const answer = only(
      rig.answers(first).filter((it) => it.type === 'sets-changed'),
      'sets-changed',
    )
    assert.equal(answer.results[0]?.code, ERRORS.CONFLICT.number)
    assert.deepEqual(numbers(rig.record().inSync), [1, 2, 3])
    assert.equal(only(rig.changeSets(first, [shrink], 61), 'sets-changed').results[0]?.code, OK)
  })

  it('amendment 27: an entry names stores with every acknowledged write only if every node supports that', () => {
    const rig = threeStores()
    const { primary } = rig
    const [other, gone] = [1, 2, 3].filter((n) => n !== primary) as [number, number]
    const both = [store(primary), store(other)]
    rig.changeSets(primary, [rig.change(both)])
    rig.changeSets(primary, [{ ...rig.change([store(primary)]), complete: [store(gone)] }])
    assert.deepEqual(rig.record().eligible, [store(other)])
    rig.changeSets(primary, [rig.change(both)])
    rig.leader.state.raiseFeatureLevel(1)
    rig.changeSets(primary, [{ ...rig.change([store(primary)]), complete: [store(gone)] }])
    assert.deepEqual(rig.record().eligible, [store(other), store(gone)].sort())
  })

  it('an ordinary failover evicts absent stores at once', () => {
    const rig = threeStores()
    const first = rig.primary
    const others = [1, 2, 3].filter((n) => n !== first)
    rig.pass(leaseExpiryMs() + 200, others)
    const next = rig.primary
    assert.notEqual(next, first)
    const answer = only(rig.changeSets(next, [rig.change([store(next)])]), 'sets-changed')
    assert.equal(answer.results[0]?.code, OK)
  })
})

describe('releases', () => {
  const release = (rig: LeaderRig, n: number, request: number) =>
    rig.receive(n, {
      type: 'release',
      request,
      store: store(n),
      counter: 1,
      extents: [{ extent: EXTENT, epoch: rig.record().epoch }],
      reason: 'shutdown',
    })

  it('name another live primary, and the old one stays in sync', () => {
    const rig = threeStores()
    const first = rig.primary
    assert.equal(only(release(rig, first, 1), 'released').code, OK)
    assert.notEqual(rig.primary, first)
    assert.deepEqual(numbers(rig.record().inSync), [1, 2, 3])
  })

  it('amendment 27: prefer a primary whose renewals arrive', () => {
    for (const alive of [1, 2]) {
      const rig = threeStores()
      const first = rig.primary
      const next = [1, 2, 3].filter((n) => n !== first)[alive - 1] as number
      rig.pass(600, [])
      for (const n of [first, next]) rig.renew(n)
      release(rig, first, 1)
      assert.equal(rig.primary, next)
    }
  })

  it('amendment 27: wait until a silent candidate renews or is down', () => {
    for (const comesBack of [true, false]) {
      const rig = threeStores()
      const first = rig.primary
      const other = [1, 2, 3].find((n) => n !== first) as number
      rig.pass(600, [])
      rig.renew(first)
      assert.deepEqual(answersOf(release(rig, first, 1)), [], 'it may have died')
      if (comesBack) rig.renew(other)
      else rig.pass(leaseExpiryMs(), [first])
      assert.deepEqual(answersOf(release(rig, first, 1)), [OK])
      assert.equal(rig.primary, comesBack ? other : first)
    }
  })

  const answersOf = (messages: readonly Message[]) =>
    messages.flatMap((message) => (message.type === 'released' ? [message.code] : []))

  it('amendment 3: a late duplicate of a release that was answered without effect has no effect', () => {
    const rig = threeStores()
    const first = rig.primary
    const others = [1, 2, 3].filter((n) => n !== first)
    rig.pass(leaseExpiryMs() + 200, [first])
    release(rig, first, 1)
    assert.equal(rig.primary, first, 'no other store is live: it continues')
    for (const n of others) rig.register(n)
    assert.equal(only(release(rig, first, 1), 'released').code, OK)
    assert.equal(rig.primary, first)
    release(rig, first, 2)
    assert.notEqual(rig.primary, first)
  })
})

describe('slow primaries', () => {
  const slow = (rig: LeaderRig, request: number) =>
    rig.receive(rig.primary, {
      type: 'release',
      request,
      store: store(rig.primary),
      counter: 1,
      extents: [{ extent: EXTENT, epoch: rig.record().epoch }],
      reason: 'slow',
    })

  it('amendment 18: each member is tried once, then the last one stays; a change of the record starts again', () => {
    const rig = threeStores()
    const tried = [rig.primary]
    for (let n = 1; n <= 2; n++) {
      slow(rig, n)
      tried.push(rig.primary)
    }
    assert.deepEqual([...tried].sort(), [1, 2, 3])
    assert.equal(rig.record().epoch, 3)
    slow(rig, 3)
    assert.equal(rig.record().epoch, 3, 'all were tried')
    const last = rig.primary
    rig.changeSets(last, [rig.change([store(last), store(last === 1 ? 2 : 1)])])
    slow(rig, 4)
    assert.equal(rig.record().epoch, 4)
  })

  it('amendment 38: a new leader does not apply a release that an earlier leader answered', () => {
    const rig = threeStores()
    rig.disk.push({ index: rig.disk.length + 1, term: 1, command: { do: 'raise-feature-level', level: 1 } })
    const lead = (heard: readonly number[]) => {
      rig.restart()
      for (const n of heard) rig.renew(n)
    }
    lead([])
    const first = rig.primary
    const release = (request: number, { epoch, revision }: ExtentRecord) => {
      const about = { type: 'release', request, store: store(first), counter: 1, reason: 'slow' } as const
      return only(rig.receive(first, { ...about, extents: [{ extent: EXTENT, epoch, revision }] }), 'released').code
    }
    rig.pass(leaseExpiryMs() + 200, [first])
    const before = rig.record()
    assert.equal(release(1, before), OK)
    assert.equal(rig.primary, first, 'no other store is live: it continues')
    for (const n of [1, 2, 3]) rig.register(n, { level: 1 })
    lead([1, 2, 3])
    assert.equal(release(1, before), ERRORS.CONFLICT.number)
    assert.equal(rig.primary, first)
    assert.equal(release(2, rig.record()), OK)
    assert.notEqual(rig.primary, first)
  })

  it('a slow member is tried again after a time', () => {
    const rig = threeStores()
    slow(rig, 1)
    slow(rig, 2)
    rig.pass(TIMERS.rejoinMaxMs, [1, 2, 3])
    slow(rig, 3)
    assert.equal(rig.record().epoch, 4)
  })
})

describe('attachments', () => {
  it('amendment 4: an attachment is complete when every primary has renewed at its revision', () => {
    const rig = threeStores(3)
    assert.deepEqual(types(rig.attach(90, 5)), [])
    const { revision } = rig.leader.state
    rig.renew(1)
    rig.renew(2, { revision: revision - 1 })
    rig.renew(3)
    assert.deepEqual(rig.answers(90), [])
    assert.deepEqual(rig.leader.waitingAttachments(), [{ volume: 'v1', client: 'client-5', waitsFor: [store(2)] }])
    rig.renew(2, { revision })
    const done = only(rig.answers(90), 'admin-done')
    assert.equal(done.code, OK)
    assert.equal(done.volume?.generation, 1)
    assert.equal(done.revision, revision)
  })

  it('amendment 4: a renewal from before the commit of the attachment does not count', () => {
    const rig = threeStores()
    const { primary } = rig
    rig.diskWorks = false
    rig.attach(90, 5)
    rig.renew(primary, { revision: rig.leader.state.revision })
    rig.flushLog()
    assert.deepEqual(rig.answers(90), [])
    rig.renew(primary)
    assert.equal(only(rig.answers(90), 'admin-done').code, OK)
  })

  it('amendment 4: an expired lease completes the attachment', () => {
    const rig = threeStores()
    rig.attach(90, 5)
    const others = [1, 2, 3].filter((n) => n !== rig.primary)
    rig.pass(leaseExpiryMs() + 200, others)
    assert.equal(only(rig.answers(90), 'admin-done').code, OK)
  })

  it('an extent without a primary does not block an attachment', () => {
    const rig = threeStores()
    rig.pass(leaseExpiryMs() + 200, [])
    assert.equal(only(rig.attach(90, 5), 'admin-done').code, OK)
  })

  it('a repeated attachment of the same session waits for the same revision and raises nothing', () => {
    const rig = threeStores()
    rig.attach(90, 5)
    rig.attach(91, 5)
    rig.renew(rig.primary)
    assert.equal(only(rig.answers(90), 'admin-done').volume?.generation, 1)
    assert.equal(only(rig.answers(91), 'admin-done').volume?.generation, 1)
  })

  it('an attachment that another one overtook ends', () => {
    const rig = threeStores()
    rig.attach(90, 5)
    rig.attach(91, 6)
    rig.renew(rig.primary)
    assert.equal(only(rig.answers(90), 'admin-done').code, ERRORS.FENCED.number)
    assert.equal(only(rig.answers(91), 'admin-done').volume?.generation, 2)
  })

  it('a read-only attachment waits for no primary', () => {
    const rig = threeStores()
    assert.equal(only(rig.attach(90, 5, 'read-only'), 'admin-done').volume?.generation, 0)
  })

  it('detach releases the volume', () => {
    const rig = threeStores()
    rig.attach(90, 5)
    rig.admin(90, { do: 'detach', volume: VOLUME, session: 5 as never })
    assert.deepEqual(rig.leader.state.volumes.get(VOLUME)?.holders, [])
  })
})

describe('the map', () => {
  it('sends watchers each committed change once a step, until their link is down', () => {
    const rig = threeStores()
    const [first] = rig.receive(70, { type: 'get-map', have: 0, watch: true })
    assert.equal(first?.type, 'map-update')
    rig.receive(71, { type: 'get-map', have: 0, watch: false })
    rig.answers(71)
    rig.register(4)
    const update = only(rig.answers(70).slice(1), 'map-update')
    assert.equal(update.delta.nodes.length, 1)
    assert.deepEqual(rig.answers(71), [])
    rig.leader.onLinkDown(70)
    rig.register(5)
    assert.deepEqual(rig.answers(70), [])
  })

  it('answers a map request also without changes', () => {
    const rig = threeStores()
    const { revision } = rig.leader.state
    const { delta } = only(rig.receive(70, { type: 'get-map', have: revision, watch: false }), 'map-update')
    assert.deepEqual([delta.from, delta.to, delta.nodes.length], [revision, revision, 0])
  })

  it('is equal after a restart over the same log', () => {
    const rig = threeStores(5)
    rig.attach(90, 5)
    rig.pass(leaseExpiryMs() + 200, [2, 3])
    const before = rig.leader.state.deltaSince(0)
    rig.restart()
    assert.deepEqual(rig.leader.state.deltaSince(0), before)
  })
})
