import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ERRORS, type Message, TIMERS } from '@ashlar/proto'
import { LOOPBACK_LINK } from '../../../src/core/links.ts'
import { address, CLUSTER, EXTENT, only, store } from '../control/kit.ts'

import { AgentRig, CLIENT, LEADER, OK } from './agent-rig.ts'

describe('registration', () => {
  it('begins when the cluster is known, is repeated until it is answered, and is followed by a map request', () => {
    const rig = new AgentRig()
    assert.deepEqual(rig.pass(50), [])
    const { request } = only(rig.begin(), 'register')
    assert.deepEqual(rig.pass(TIMERS.controlRetryMs - 100), [])
    assert.equal(only(rig.pass(200), 'register').request, request)
    const sent = rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 })
    assert.equal(only(sent, 'get-map').watch, true)
    assert.equal(only(sent, 'renew').revision, 0)
  })

  it('is sent at once over a new link to the leader', () => {
    const rig = new AgentRig()
    rig.begin()
    rig.link = undefined
    assert.deepEqual(
      rig.step(() => rig.agent.onLinkDown(rig.ctx, LEADER)),
      [],
    )
    assert.match(rig.agent.view(rig.ctx.now).waitsFor, /control's voter at n1:7580 does not answer/)
    rig.link = 5
    only(
      rig.step(() => rig.agent.onLinkUp(rig.ctx)),
      'register',
    )
  })

  it('goes to this process if it is the voter', () => {
    const rig = new AgentRig()
    rig.step(() => rig.agent.begin(rig.ctx, CLUSTER, [{ store: store(2), address: address(2) }]))
    only(rig.sentTo(LOOPBACK_LINK), 'register')
  })

  it('is repeated after a refusal, which is logged once and kept for operators', () => {
    const rig = new AgentRig()
    const { request } = only(rig.begin(), 'register')
    const refusal: Message = {
      type: 'registered',
      request,
      code: ERRORS.CONFLICT.number,
      message: 'a copy',
      revision: 0,
    }
    rig.receive(refusal)
    rig.pass(TIMERS.controlRetryMs)
    rig.receive(refusal)
    const events = rig.elsewhere().filter((effect) => effect.type === 'event')
    assert.equal(events.length, 1)
    assert.equal(rig.agent.view(rig.ctx.now).waitsFor, 'a copy')
    only(rig.pass(TIMERS.controlRetryMs), 'register')
  })

  it('does not go to another store at the address of the voter', () => {
    const rig = new AgentRig()
    rig.answeringStore = store(7)
    assert.deepEqual(rig.begin(), [])
    assert.match(rig.agent.view(rig.ctx.now).waitsFor, /another store .* answers at n1:7580/)
  })
})

describe('the lease', () => {
  it('A2.3: counts from the sending of the renewal that was answered', () => {
    const rig = new AgentRig().registered()
    const { token } = only(rig.pass(TIMERS.renewMs), 'renew')
    const sentAt = rig.ctx.now
    rig.ctx.now += 400
    rig.answer(token)
    rig.ctx.now = sentAt + TIMERS.leaseMs - 1
    assert.equal(rig.held, true)
    rig.ctx.now = sentAt + TIMERS.leaseMs
    assert.equal(rig.held, false)
  })

  it('amendment 3: counts only once the map revision of the response is applied', () => {
    const rig = new AgentRig()
    const { request } = only(rig.begin(), 'register')
    const { token } = only(rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 }), 'renew')
    rig.answer(token)
    assert.equal(rig.held, false)
    rig.giveMap()
    assert.equal(rig.held, true)
  })

  it('amendment 35: a response below the revision of its renewal ends the incarnation, since the map is ahead of control', () => {
    const rig = new AgentRig().registered()
    const known = rig.agent.map.revision
    const { token, revision } = only(rig.pass(TIMERS.renewMs), 'renew')
    assert.equal(revision, known)
    rig.receive({ type: 'renewed', token, code: OK, revision: known - 1 })
    const effects = rig.elsewhere()
    assert.ok(effects.some((effect) => effect.type === 'event' && effect.event.what === 'map-ahead-of-control'))
    const reasons = effects.flatMap((effect) => (effect.type === 'fatal' ? [effect.reason] : []))
    assert.match(reasons.join(), new RegExp(`went back to revision ${known - 1} .* knows revision ${known}`))
  })

  it('amendment 35: a response that was in flight while the map advanced proves nothing', () => {
    const rig = new AgentRig().registered()
    const { token, revision } = only(rig.pass(TIMERS.renewMs), 'renew')
    rig.leader.state.putCluster(CLUSTER, rig.leader.state.voters)
    rig.giveMap()
    assert.ok(rig.agent.map.revision > revision)
    rig.receive({ type: 'renewed', token, code: OK, revision })
    assert.deepEqual(
      rig.elsewhere().filter((effect) => effect.type === 'fatal'),
      [],
    )
  })

  it('amendment 3: the listener has seen the map before the lease counts', () => {
    const rig = new AgentRig()
    let heldWhileTold: boolean | undefined
    rig.agent.listen({
      onMapChanged: (ctx) => {
        heldWhileTold = rig.agent.leaseHeld(ctx)
      },
      holdsWhatCounts: () => true,
      onReleased: () => {},
      onSetChanged: () => {},
    })
    const { request } = only(rig.begin(), 'register')
    const { token } = only(rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 }), 'renew')
    rig.answer(token)
    rig.giveMap()
    assert.equal(heldWhileTold, false)
    assert.equal(rig.held, true)
  })

  it('is renewed every renewMs, each time with another token; an unknown or repeated response does not count', () => {
    const rig = new AgentRig().registered()
    const first = only(rig.pass(TIMERS.renewMs), 'renew')
    assert.deepEqual(rig.pass(50), [])
    const second = only(rig.pass(TIMERS.renewMs), 'renew')
    assert.notEqual(first.token, second.token)
    rig.ctx.now += TIMERS.leaseMs
    assert.equal(rig.held, false)
    rig.answer(9999)
    rig.answer(first.token)
    rig.answer(second.token)
    assert.equal(rig.held, false, 'an answer this late is older than the lease')
  })

  it('ends when control requests a registration, and earlier renewals no longer count', () => {
    const rig = new AgentRig().registered()
    const early = only(rig.pass(TIMERS.renewMs), 'renew')
    const late = only(rig.pass(TIMERS.renewMs), 'renew')
    const sent = rig.answer(early.token, 0, ERRORS.NOT_FOUND.number)
    assert.equal(rig.held, false)
    const { request } = only(sent, 'register')
    rig.receive({ type: 'registered', request, code: OK, message: '', revision: 4 })
    rig.answer(late.token)
    assert.equal(rig.held, false)
  })

  it('is reported once when it runs out', () => {
    const rig = new AgentRig().registered()
    for (let n = 0; n < 10; n++) rig.pass(TIMERS.renewMs)
    const lost = rig.elsewhere().filter((effect) => effect.type === 'event' && effect.event.what === 'lease-lost')
    assert.equal(lost.length, 1)
    assert.equal(rig.agent.view(rig.ctx.now).leaseRemainingMs, 0)
  })

  it('a node renews at once after an attachment changed a volume, with its applied revision', () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    rig.leader.attach(5)
    const renewal = only(rig.giveMap(), 'renew')
    assert.equal(renewal.revision, rig.leader.state.revision)
  })
})

describe('the map', () => {
  it('reaches the listener with the extents that changed', () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    assert.deepEqual(rig.changed.at(-1), [EXTENT])
  })

  it('with a gap is requested again and not applied', () => {
    const rig = new AgentRig().registered()
    const { revision } = rig.agent.map
    rig.leader.create()
    rig.leader.attach(5)
    const late = rig.leader.state.deltaSince(revision + 1)
    rig.pass(TIMERS.controlRetryMs)
    const sent = rig.receive({ type: 'map-update', delta: late })
    assert.equal(only(sent, 'get-map').have, revision)
    assert.equal(rig.agent.map.revision, revision)
  })

  it('of another cluster is not applied', () => {
    const rig = new AgentRig().registered()
    const delta = { ...rig.delta(), cluster: 'another' as never, to: 1000 }
    rig.receive({ type: 'map-update', delta })
    assert.notEqual(rig.agent.map.revision, 1000)
  })

  it('is served to clients from the copy, with every change for watchers', () => {
    const rig = new AgentRig().registered()
    rig.receive({ type: 'get-map', have: 0, watch: true }, CLIENT)
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta.to, rig.leader.state.revision)
    rig.leader.create()
    const delta = rig.delta()
    rig.receive({ type: 'map-update', delta })
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta, delta, 'passed on as it came')
    rig.step(() => rig.agent.onLinkDown(rig.ctx, CLIENT))
    rig.leader.attach(5)
    rig.giveMap()
    assert.deepEqual(rig.sentTo(CLIENT), [])
  })

  it('is sent once it is there if it was requested before', () => {
    const rig = new AgentRig()
    rig.begin()
    rig.receive({ type: 'get-map', have: 0, watch: false }, CLIENT)
    assert.deepEqual(rig.sentTo(CLIENT), [])
    rig.giveMap()
    assert.equal(only(rig.sentTo(CLIENT), 'map-update').delta.from, 0)
    rig.leader.create()
    rig.giveMap()
    assert.deepEqual(rig.sentTo(CLIENT), [])
  })
})
