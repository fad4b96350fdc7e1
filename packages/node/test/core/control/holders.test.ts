import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ERRORS, LIMITS, type SessionId, TIMERS } from '@ashlar/proto'
import { only, VOLUME } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'

const OK = ERRORS.OK.number
const BUSY = ERRORS.BUSY.number
const ALL = [1, 2, 3]

/** A leader with three stores and a volume, at this feature level. */
function rigAt(level: number): LeaderRig {
  const rig = new LeaderRig()
  for (const n of ALL) rig.register(n, { level })
  rig.passTold(3000, { 1: level, 2: level, 3: level })
  assert.equal(rig.leader.state.featureLevel, level)
  rig.create()
  return rig
}

function share(rig: LeaderRig, session: number, renews = true): number {
  rig.admin(90, {
    ...{
      do: 'attach',
      name: 'v1',
      session: session as SessionId,
      mode: 'shared',
      ifFree: false,
      client: `c${session}`,
    },
    ...(renews ? { renews } : {}),
  })
  rig.pass(TIMERS.tickMs, ALL)
  return holders(rig).includes(session) ? OK : BUSY
}

function holders(rig: LeaderRig): number[] {
  return rig.leader.state.volumes.get(VOLUME)?.holders.map(({ session }) => session) ?? []
}

function isThere(rig: LeaderRig, session: number): number {
  const command = { do: 'renew-attachment', volume: VOLUME, session: session as SessionId } as const
  return only(rig.admin(90, command), 'admin-done').code
}

describe('silent holders (amendment 31)', () => {
  it('end after the silence limit; holders that renew, or never renewed, stay', () => {
    const rig = rigAt(1)
    for (const session of [1, 2]) assert.equal(share(rig, session), OK)
    assert.equal(share(rig, 3, false), OK)
    for (let ms = 0; ms < TIMERS.holderSilentMs - 3000; ms += 3000) {
      assert.equal(isThere(rig, 2), OK)
      rig.pass(3000, ALL)
    }
    assert.deepEqual(holders(rig), [1, 2, 3])
    rig.pass(6000, ALL)
    assert.deepEqual(holders(rig), [2, 3])
    assert.equal(isThere(rig, 1), ERRORS.FENCED.number)
  })

  it('do not end by a pause of the leader, which counts silence from the end of the pause', () => {
    const rig = rigAt(1)
    for (const session of [1, 2]) assert.equal(share(rig, session), OK)
    rig.ctx.now += 2 * TIMERS.holderSilentMs
    rig.tick()
    rig.pass(2000, ALL)
    assert.deepEqual(holders(rig), [1, 2])
    assert.equal(isThere(rig, 2), OK)
    rig.pass(TIMERS.holderSilentMs - 1000, ALL)
    assert.deepEqual(holders(rig), [2])
  })

  it('free their slots: a thousand killed holders do not fill a volume permanently', () => {
    const rig = rigAt(1)
    let busy = 0
    for (let session = 1; session <= 1000; session++) {
      while (share(rig, session) === BUSY) {
        busy++
        rig.pass(TIMERS.holderYieldMs, ALL)
      }
    }
    assert.ok(holders(rig).length <= LIMITS.holders)
    assert.ok(busy > 0 && busy < 1000 / LIMITS.holders + 5, `${busy} waits`)
  })

  it('stay while they renew, also if other sessions want to share the volume', () => {
    const rig = rigAt(1)
    for (let session = 1; session <= LIMITS.holders; session++) assert.equal(share(rig, session), OK)
    for (let ms = 0; ms < 2 * TIMERS.holderYieldMs; ms += TIMERS.holderRenewMs) {
      for (let session = 1; session <= LIMITS.holders; session++) assert.equal(isThere(rig, session), OK)
      rig.pass(TIMERS.holderRenewMs, ALL)
    }
    assert.equal(share(rig, 999), BUSY)
  })
})

describe('a session that an operator ends (amendment 31)', () => {
  const end = (rig: LeaderRig, session: number) =>
    rig.admin(90, { do: 'detach', volume: VOLUME, session: session as SessionId, fence: true })

  it('gets a response once every primary has the change; other sessions keep their generation', () => {
    const rig = rigAt(1)
    for (const session of [1, 2]) share(rig, session)
    const { generation } = rig.leader.state.volumes.get(VOLUME) as { generation: number }
    const before = rig.leader.state.revision
    rig.pass(1000, ALL)
    rig.answers(90)
    assert.deepEqual(end(rig, 1), [])
    rig.renew(rig.primary, { revision: before })
    assert.deepEqual(rig.answers(90), [], 'its map still names the session')
    rig.renew(rig.primary)
    assert.equal(only(rig.answers(90), 'admin-done').code, OK)
    assert.deepEqual(holders(rig), [2])
    assert.equal(rig.leader.state.volumes.get(VOLUME)?.generation, generation)
  })

  it('does not end while a node may still write for it', () => {
    const rig = rigAt(0)
    share(rig, 1, false)
    assert.equal(only(end(rig, 1), 'admin-done').code, ERRORS.CONFLICT.number)
    assert.deepEqual(holders(rig), [1])
  })

  it('ends during its attachment, which is answered as over', () => {
    const rig = rigAt(1)
    share(rig, 1)
    const attach = { do: 'attach', name: 'v1', session: 2 as SessionId, mode: 'shared', ifFree: false } as const
    assert.deepEqual(rig.admin(91, { ...attach, client: 'c2' }), [])
    end(rig, 2)
    rig.renew(rig.primary)
    assert.equal(only(rig.answers(91), 'admin-done').code, ERRORS.FENCED.number)
  })
})
