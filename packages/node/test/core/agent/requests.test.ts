import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AdminCommand, ERRORS, type ExtentId, type SetChange, TIMERS } from '@ashlar/proto'
import { EXTENT, only } from '../control/kit.ts'

import { AgentRig, CLIENT, LEADER, OK } from './agent-rig.ts'

const CREATE: AdminCommand = {
  do: 'create-volume',
  name: 'v1',
  sizeBytes: 1 << 24,
  blockSizeBytes: 4096,
  extentSizeBytes: 1 << 24,
  replicas: 3,
  minInSync: 2,
}

describe('changes of in-sync sets', () => {
  const withVolume = () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    rig.settle()
    const { revision, epoch } = rig.leader.record()
    const change: SetChange = { extent: EXTENT, revision, epoch, inSync: [rig.leader.record().primary.store] }
    return { rig, change }
  }

  it('of one step share a message', () => {
    const { rig, change } = withVolume()
    const other = { ...change, extent: (EXTENT + 1) as ExtentId }
    const sent = rig.step(() => {
      rig.agent.requestChange(rig.ctx, change)
      rig.agent.requestChange(rig.ctx, other)
    })
    assert.equal(only(sent, 'change-sets').changes.length, 2)
  })

  it('A2.7: are repeated after a lost response, under the same number, until they are answered', () => {
    const { rig, change } = withVolume()
    const first = only(
      rig.step(() => rig.agent.requestChange(rig.ctx, change)),
      'change-sets',
    )
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'change-sets')
    assert.equal(only(again, 'change-sets').request, first.request)
    rig.link = 5
    const over = rig.step(() => rig.agent.onLinkUp(rig.ctx)).filter((message) => message.type === 'change-sets')
    assert.equal(only(over, 'change-sets').request, first.request)
    assert.deepEqual(rig.outcomes, [])
  })

  it('have an outcome once the map shows it, and not before', () => {
    const { rig, change } = withVolume()
    const { request } = only(
      rig.step(() => rig.agent.requestChange(rig.ctx, change)),
      'change-sets',
    )
    rig.leader.change([2])
    rig.leader.apply({ do: 'change-sets', store: rig.leader.record().primary.store, counter: 1, changes: [change] })
    const record = rig.leader.record()
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: OK, record }] })
    assert.deepEqual(rig.outcomes, [])
    rig.giveMap()
    assert.deepEqual(
      rig.outcomes.map(({ revisionShown }) => revisionShown),
      [record.revision],
    )
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: OK, record }] })
    assert.equal(rig.outcomes.length, 1, 'told once')
  })

  it('may be refused in part, and the rest of the request is answered later', () => {
    const { rig, change } = withVolume()
    const other = { ...change, extent: (EXTENT + 1) as ExtentId }
    const { request } = only(
      rig.step(() => {
        rig.agent.requestChange(rig.ctx, change)
        rig.agent.requestChange(rig.ctx, other)
      }),
      'change-sets',
    )
    const record = rig.leader.record()
    rig.receive({ type: 'sets-changed', request, results: [{ extent: EXTENT, code: ERRORS.CONFLICT.number, record }] })
    assert.deepEqual(
      rig.outcomes.map((outcome) => outcome.change),
      [change],
    )
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'change-sets')
    assert.deepEqual(only(again, 'change-sets').changes, [other])
  })
})

describe('releases', () => {
  it('are sent one at a time and repeated until they are answered', () => {
    const rig = new AgentRig().registered()
    const one = { extent: EXTENT, epoch: 1 as never }
    const two = { extent: (EXTENT + 1) as ExtentId, epoch: 1 as never }
    const first = only(
      rig.step(() => rig.agent.release(rig.ctx, [one], 'shutdown')),
      'release',
    )
    assert.deepEqual(
      rig.step(() => rig.agent.release(rig.ctx, [two], 'slow')),
      [],
    )
    assert.equal(rig.agent.releasing, true)
    const again = rig.pass(TIMERS.controlRetryMs).filter((message) => message.type === 'release')
    assert.equal(only(again, 'release').request, first.request)
    const next = rig.receive({ type: 'released', request: first.request, code: OK })
    assert.deepEqual(rig.releasesAnswered, [one])
    assert.equal(only(next, 'release').reason, 'slow')
    rig.receive({ type: 'released', request: only(next, 'release').request, code: OK })
    assert.equal(rig.agent.releasing, false)
  })

  it('amendment 38: name the revision of their record, and the next one once control reports it', () => {
    const rig = new AgentRig().registered()
    rig.leader.create()
    rig.giveMap()
    const { primary, epoch, revision } = rig.leader.record()
    const released = { extent: EXTENT, epoch }
    const first = only(
      rig.step(() => rig.agent.release(rig.ctx, [released], 'slow')),
      'release',
    )
    assert.deepEqual(first.extents, [{ ...released, revision }])
    const CONFLICT = ERRORS.CONFLICT.number
    const changes = [{ ...released, revision, inSync: [primary.store] }]
    rig.leader.apply({ do: 'change-sets', store: primary.store, counter: 1, changes })
    const early = rig.receive({ type: 'released', request: first.request, code: CONFLICT })
    assert.deepEqual(early, [], 'its map does not have the newer record yet')
    const second = only(
      rig.pass(TIMERS.controlRetryMs).filter(({ type }) => type === 'release'),
      'release',
    )
    assert.ok(second.request > first.request, 'no answer to the first one counts any more')
    assert.deepEqual(second.extents, first.extents)
    rig.giveMap()
    const third = only(rig.receive({ type: 'released', request: second.request, code: CONFLICT }), 'release')
    assert.deepEqual(third.extents, [{ ...released, revision: revision + 1 }])
    assert.deepEqual(rig.releasesAnswered, [])
    rig.receive({ type: 'released', request: third.request, code: OK })
    assert.deepEqual(rig.releasesAnswered, [released])
  })
})

describe('commands of clients', () => {
  it('go to the leader, and the responses to their clients', () => {
    const rig = new AgentRig().registered()
    const sent = only(rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT), 'admin')
    assert.deepEqual(sent.command, CREATE)
    rig.receive({ type: 'admin-done', request: sent.request, code: OK, message: '', hint: '', revision: 9 })
    const done = only(rig.sentTo(CLIENT), 'admin-done')
    assert.deepEqual([done.request, done.code, done.revision], [41, OK, 9])
  })

  it('of the HTTP API are answered by their token', () => {
    const rig = new AgentRig().registered()
    const sent = only(
      rig.step(() => rig.agent.onAdmin(rig.ctx, 77, CREATE)),
      'admin',
    )
    rig.receive({ type: 'admin-done', request: sent.request, code: OK, message: '', hint: '', revision: 9 })
    const done = rig.elsewhere().find((effect) => effect.type === 'admin-done')
    assert.equal(done?.type === 'admin-done' && done.token, 77)
  })

  it('without a leader fail at once and name the voter that does not respond', () => {
    const rig = new AgentRig()
    rig.link = undefined
    rig.begin()
    rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT)
    const done = only(rig.sentTo(CLIENT), 'admin-done')
    assert.equal(done.code, ERRORS.NO_CONTROL.number)
    assert.match(done.hint, /n1:7580 does not answer/)
  })

  it('are sent over the next link after the link to the leader is lost, and a response that may be their own has a note', () => {
    const rig = new AgentRig().registered()
    const first = only(rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT), 'admin')
    rig.link = undefined
    rig.step(() => rig.agent.onLinkDown(rig.ctx, LEADER))
    rig.link = 5
    const again = only(
      rig.step(() => rig.agent.onLinkUp(rig.ctx)).filter((message) => message.type === 'admin'),
      'admin',
    )
    assert.equal(again.request, first.request)
    rig.receive(
      {
        type: 'admin-done',
        request: again.request,
        code: ERRORS.EXISTS.number,
        message: 'v1 exists',
        hint: '',
        revision: 9,
      },
      5,
    )
    assert.match(only(rig.sentTo(CLIENT), 'admin-done').hint, /may have taken effect/)
  })

  it('that no voter accepts return to the client, which has other nodes; those of the HTTP API continue', () => {
    const rig = new AgentRig().registered()
    const asked = rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT)
    asked.push(...rig.step(() => rig.agent.onAdmin(rig.ctx, 77, CREATE)))
    const code = ERRORS.NO_CONTROL.number
    const refuse = () => {
      for (const message of asked.splice(0))
        if (message.type === 'admin')
          asked.push(...rig.receive({ ...message, type: 'admin-done', code, message: '', hint: '', revision: 0 }))
    }
    const since = rig.ctx.now
    for (refuse(); rig.ctx.now - since < TIMERS.controlRetryMs - 100; refuse()) asked.push(...rig.pass(100))
    assert.deepEqual(rig.sentTo(CLIENT), [], 'a leader is elected meanwhile, mostly')
    asked.push(...rig.pass(100))
    refuse()
    const effects = rig.elsewhere()
    assert.deepEqual(
      effects.map((effect) => (effect.type === 'send' ? [effect.link, effect.message.type] : effect.type)),
      [[CLIENT, 'admin-done']],
    )
    assert.equal([...asked, ...rig.pass(100)].filter(({ type }) => type === 'admin').length, 1, 'it is sent again')
  })

  it('that control never answers time out', () => {
    const rig = new AgentRig().registered()
    rig.receive({ type: 'admin', request: 41, command: CREATE }, CLIENT)
    rig.pass(16_000)
    assert.equal(only(rig.sentTo(CLIENT), 'admin-done').code, ERRORS.TIMEOUT.number)
  })

  it('are limited in number', () => {
    const rig = new AgentRig().registered()
    for (let n = 0; n < 1025; n++) rig.receive({ type: 'admin', request: n, command: CREATE }, CLIENT)
    const [done] = rig.sentTo(CLIENT)
    assert.equal(done?.type === 'admin-done' && done.code, ERRORS.BUSY.number)
  })
})
