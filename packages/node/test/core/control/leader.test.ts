import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { ERRORS, leaseExpiryMs, type Message, TIMERS } from '@ashlar/proto'
import {
  type Command,
  ControlLeader,
  type ControlLog,
  type ControlLogListener,
  type ReadId,
} from '../../../src/core/control/index.ts'
import type { Context } from '../../../src/core/machine.ts'
import { found, only, Script, store } from './kit.ts'
import { LeaderRig, threeStores } from './leader-rig.ts'

const OK = ERRORS.OK.number

function types(messages: readonly Message[]): string[] {
  return messages.map((message) => message.type)
}

describe('registration with the leader', () => {
  it('is answered once its entry is durable', () => {
    const rig = new LeaderRig()
    rig.diskWorks = false
    assert.deepEqual(rig.register(1), [])
    assert.equal(rig.state(1), undefined)
    rig.flushLog()
    assert.equal(only(rig.answers(1), 'registered').code, OK)
    assert.equal(rig.state(1), 'up')
  })

  it('becomes one entry with one response, to the latest request, if it is repeated while pending', () => {
    const rig = new LeaderRig()
    rig.diskWorks = false
    rig.register(1, { request: 7, link: 1 })
    rig.register(1, { request: 8, link: 11 })
    rig.flushLog()
    assert.equal(rig.disk.length, 2)
    assert.deepEqual(rig.answers(1), [])
    assert.equal(only(rig.answers(11), 'registered').request, 8)
  })

  it('adds no entry for repetitions of a refused request', () => {
    const rig = threeStores()
    rig.register(1, { counter: 5 })
    rig.register(1, { counter: 4 })
    const entries = rig.disk.length
    const [refusal] = rig.register(1, { counter: 4 })
    assert.ok(refusal?.type === 'registered' && refusal.code === ERRORS.CONFLICT.number)
    assert.match(refusal.message, /start counter 4, but start 5 was seen before/)
    assert.equal(rig.disk.length, entries)
  })

  it('refuses a store of another cluster', () => {
    const rig = new LeaderRig()
    const answer = rig.receive(5, {
      type: 'register',
      request: 1,
      cluster: 'another' as never,
      store: store(5),
      name: 'n5' as never,
      address: 'n5:1',
      api: '',
      incarnation: { bootId: 'b', counter: 1 },
      trust: 'trusted',
    })
    assert.equal(only(answer, 'registered').code, ERRORS.HANDSHAKE.number)
  })
})

describe('renewals', () => {
  it('amendment 3: are answered with the map revision, after the changes up to it', () => {
    const rig = threeStores()
    rig.receive(2, { type: 'get-map', have: 0, watch: true })
    rig.answers(2)
    rig.diskWorks = false
    rig.register(4)
    rig.leader.onMessage(rig.ctx, 2, renewOf(2, 99))
    const sent = rig
      .flushLog()
      .flatMap((effect) => (effect.type === 'send' && effect.link === 2 ? [effect.message] : []))
    assert.deepEqual(types(sent), ['map-update', 'renewed'])
    assert.equal(only(sent, 'renewed').revision, rig.leader.state.revision)
    assert.equal(only(sent, 'map-update').delta.to, rig.leader.state.revision)
  })

  it('are refused for a store that is unknown, down or of another incarnation', () => {
    const rig = threeStores()
    assert.equal(only(rig.renew(9), 'renewed').code, ERRORS.NOT_FOUND.number)
    assert.equal(only(rig.renew(2, { counter: 2 }), 'renewed').code, ERRORS.NOT_FOUND.number)
    rig.pass(leaseExpiryMs() + 100, [1, 3])
    assert.equal(rig.state(2), 'down')
    assert.equal(only(rig.renew(2), 'renewed').code, ERRORS.NOT_FOUND.number)
    assert.equal(only(rig.register(2), 'registered').code, OK)
    assert.equal(only(rig.renew(2), 'renewed').code, OK)
  })

  it('are not answered while the expiry of their store is pending', () => {
    const rig = threeStores()
    rig.pass(leaseExpiryMs() - 100, [1, 3])
    rig.diskWorks = false
    rig.pass(200, [1, 3])
    assert.equal(rig.state(2), 'up', 'the expiry is not durable yet')
    assert.deepEqual(types(rig.renew(2)), [])
    rig.answers(2)
    rig.flushLog()
    const answer = only(rig.answers(2), 'renewed')
    assert.equal(answer.code, ERRORS.NOT_FOUND.number)
    assert.equal(rig.state(2), 'down')
  })
})

test('an expiry is reported once it is proposed: a leader that cannot propose does not report it at every tick', () => {
  const ctx = new Script()
  const expired = (log: HandLog, leader: ControlLeader) => {
    log.commit(ctx, found())
    log.commit(ctx, registration(1))
    log.listener.onLeadership(ctx, true)
    ctx.take()
    for (const end = ctx.now + 2 * leaseExpiryMs(); ctx.now < end; ctx.now += TIMERS.tickMs) leader.onTick(ctx)
    return ctx.take().filter((effect) => effect.type === 'event' && effect.event.what === 'store-expired').length
  }
  const withLog = (proposal: number | undefined) => {
    let log!: HandLog
    const leader = new ControlLeader((listener) => {
      log = new HandLog(listener, proposal)
      return log
    })
    return expired(log, leader)
  }
  assert.equal(withLog(undefined), 0)
  assert.equal(withLog(1), 1)
})

describe('read-index rounds', () => {
  const begin = () => {
    const ctx = new Script()
    let log!: HandLog
    const leader = new ControlLeader((listener) => {
      log = new HandLog(listener)
      return log
    })
    log.commit(ctx, found())
    for (const n of [1, 2]) log.commit(ctx, registration(n))
    log.listener.onLeadership(ctx, true)
    const renew = (n: number, token: number) => leader.onMessage(ctx, n, renewOf(n, token))
    const endStep = () => {
      leader.endStep(ctx)
      return ctx.sent().filter((message) => message.type === 'renewed')
    }
    return { ctx, log, leader, renew, endStep }
  }

  it('amendment 3: a renewal waits for a round that began after it arrived, and rounds are shared', () => {
    const { ctx, log, renew, endStep } = begin()
    renew(1, 11)
    renew(2, 12)
    assert.deepEqual(endStep(), [])
    assert.equal(log.rounds.length, 1, 'one round for both')
    renew(1, 13)
    assert.deepEqual(endStep(), [])
    assert.equal(log.rounds.length, 2, 'the later one needs a later round')
    log.listener.onReadIndex(ctx, 1, true)
    assert.deepEqual(
      endStep().map((message) => message.type === 'renewed' && message.token),
      [11, 12],
    )
    log.listener.onReadIndex(ctx, 2, true)
    assert.deepEqual(
      endStep().map((message) => message.type === 'renewed' && message.token),
      [13],
    )
  })

  it('amendment 3: a deposed leader answers no pending renewal and refuses new ones', () => {
    const { ctx, log, renew, endStep } = begin()
    renew(1, 11)
    endStep()
    log.leads = false
    log.listener.onLeadership(ctx, false)
    log.listener.onReadIndex(ctx, 1, false)
    assert.deepEqual(endStep(), [])
    renew(1, 12)
    const [answer] = endStep()
    assert.equal(answer?.type === 'renewed' && answer.code, ERRORS.NO_CONTROL.number)
  })
})

describe('leases', () => {
  it('expire one drift margin after the last renewal arrived, and not earlier', () => {
    const rig = threeStores()
    rig.renew(2)
    rig.pass(leaseExpiryMs() - 60, [1, 3])
    assert.equal(rig.state(2), 'up')
    rig.pass(100, [1, 3])
    assert.equal(rig.state(2), 'down')
    assert.equal(rig.state(1), 'up')
  })

  it('that expire together are one entry, which moves all extents to live stores', () => {
    const rig = threeStores(9)
    const entries = rig.disk.length
    rig.pass(leaseExpiryMs() + 200, [3])
    assert.equal(rig.disk.length, entries + 1)
    assert.equal(rig.leader.state.ledCount(store(3)), 9)
  })

  it('CTL-7: a new leader waits a whole lease before it marks a store as down', () => {
    const rig = threeStores()
    rig.pass(leaseExpiryMs() - 200, [1])
    rig.restart()
    rig.pass(leaseExpiryMs() - 100, [1])
    assert.equal(rig.state(2), 'up')
    rig.pass(200, [1])
    assert.equal(rig.state(2), 'down')
    assert.equal(rig.primary, 1)
  })

  it('CTL-7: a new leader does not promote a store that it has not heard', () => {
    const rig = threeStores(3)
    rig.restart()
    rig.register(1, { counter: 2 })
    assert.equal(rig.leader.state.ledCount(store(1)), 1, 'named again: no other store was heard')
    rig.renew(2)
    rig.register(1, { counter: 3 })
    assert.equal(rig.leader.state.ledCount(store(2)), 2, 'now the other store, which was heard, takes over')
  })

  it('do not expire by a pause of this process', () => {
    const rig = threeStores()
    rig.pass(500, [1, 2, 3])
    rig.ctx.now += 60_000
    rig.tick()
    assert.deepEqual([rig.state(1), rig.state(2), rig.state(3)], ['up', 'up', 'up'])
    rig.pass(leaseExpiryMs() + 200, [2, 3])
    assert.equal(rig.state(1), 'down')
  })

  it('of a store heard between a pause and the next tick are as long as those of others', () => {
    const rig = threeStores()
    rig.pass(500, [1, 2, 3])
    rig.ctx.now += 60_000
    rig.renew(1)
    rig.tick()
    rig.pass(leaseExpiryMs() + 200, [2, 3])
    assert.equal(rig.state(1), 'down')
  })

  it('that are not renewed leave the extent waiting, with the reason; a store that registers becomes primary', () => {
    const rig = threeStores()
    const { primary } = rig
    rig.pass(leaseExpiryMs() + 200, [])
    assert.equal(rig.leader.waitingExtents().length, 1)
    assert.match(rig.leader.waitingExtents()[0]?.reason ?? '', /waits for one of n1, n2, n3/)
    const other = [1, 2, 3].find((n) => n !== primary) as number
    rig.register(other)
    assert.equal(rig.primary, other)
    assert.deepEqual(rig.leader.waitingExtents(), [])
  })

  it('of a store heard after a restart of control make it a candidate at the next tick', () => {
    const rig = threeStores()
    const { primary } = rig
    const others = [1, 2, 3].filter((n) => n !== primary)
    rig.pass(leaseExpiryMs() - 500, others)
    rig.diskWorks = false
    rig.pass(600, [])
    // The expiry is pending while no store is live; the others renew before it is committed.
    rig.diskWorks = true
    rig.flushLog()
    for (const n of others) rig.register(n)
    rig.tick()
    assert.ok(others.includes(rig.primary))
  })
})

/** A log under the test's hand: entries commit and rounds end when the test says so. */
class HandLog implements ControlLog {
  leads = true
  rounds: ReadId[] = []
  readonly listener: ControlLogListener
  #index = 0

  readonly #proposal: number | undefined

  /** `proposal`: what a proposal is called, which is never committed; undefined: none is taken. */
  constructor(listener: ControlLogListener, proposal?: number) {
    this.listener = listener
    this.#proposal = proposal
  }
  commit(ctx: Context, command: Command): void {
    this.listener.onCommitted(ctx, { index: ++this.#index, term: 1, command }, undefined)
  }
  propose(): number | undefined {
    return this.#proposal
  }
  readIndex(): ReadId {
    this.rounds.push(this.rounds.length + 1)
    return this.rounds.length
  }
  endStep(): void {}
  readonly members = { voters: [], learners: [] }
  readonly leader = undefined
  readonly transferring = false
  changeMembers(): { refused: string } {
    return { refused: 'this log has fixed members' }
  }
  transferLeadership(): string {
    return 'this log has no other leader'
  }
}

function registration(n: number): Command {
  return {
    do: 'register',
    store: store(n),
    name: `n${n}` as never,
    address: `n${n}:1`,
    api: '',
    incarnation: { bootId: 'b', counter: 1 },
    trust: 'trusted',
    live: [],
  }
}

function renewOf(n: number, token: number) {
  return { type: 'renew', token, store: store(n), counter: 1, revision: 1, freeBytes: 0 } as const
}
