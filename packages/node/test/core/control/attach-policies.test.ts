import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AttachMode, type AttachPolicy, ERRORS, type SessionId, TIMERS } from '@ashlar/proto'
import { VOLUME } from './kit.ts'
import { LeaderRig } from './leader-rig.ts'

const ALL = [1, 2, 3]
const NOON = Date.UTC(2026, 10, 30, 12)

interface Asked {
  readonly mode?: AttachMode
  readonly policy?: AttachPolicy
  readonly owner?: string
  readonly renews?: boolean
}

/** A leader with three stores and a volume, at this feature level. */
function rigAt(level: number): LeaderRig {
  const rig = new LeaderRig()
  for (const n of ALL) rig.register(n, { level })
  rig.passTold(3000, { 1: level, 2: level, 3: level })
  rig.create()
  return rig
}

/** Sends an attach; its response comes once every primary renewed. */
function request(rig: LeaderRig, session: number, { mode = 'exclusive', renews = true, ...asked }: Asked): void {
  const fixed = {
    do: 'attach',
    name: 'v1',
    session: session as SessionId,
    mode,
    ifFree: asked.policy === 'free',
  } as const
  rig.admin(90, { ...fixed, client: `c${session}`, since: NOON, ...(renews ? { renews } : {}), ...asked })
}

/** The code and the message of the response. */
function attach(rig: LeaderRig, session: number, asked: Asked): { code: number; message: string } {
  rig.answers(90)
  request(rig, session, asked)
  rig.pass(1000, ALL)
  const answer = rig.answers(90).find(({ type }) => type === 'admin-done')
  assert.ok(answer?.type === 'admin-done')
  return { code: answer.code, message: answer.message }
}

function holders(rig: LeaderRig): number[] {
  return rig.leader.state.volumes.get(VOLUME)?.holders.map(({ session }) => session) ?? []
}

function generation(rig: LeaderRig): number {
  return rig.leader.state.volumes.get(VOLUME)?.generation ?? 0
}

/** Time passes; these sessions renew their attachment. */
function pass(rig: LeaderRig, ms: number, renewing: readonly number[] = []): void {
  for (let left = ms; left > 0; left -= TIMERS.holderRenewMs) {
    for (const session of renewing)
      rig.admin(90, { do: 'renew-attachment', volume: VOLUME, session: session as SessionId })
    rig.pass(Math.min(left, TIMERS.holderRenewMs), ALL)
  }
}

describe('an attach that would end the session of another (A2.11-11)', () => {
  it('with policy silent is refused while the holder is heard of, and the refusal names it', () => {
    const rig = rigAt(1)
    assert.equal(attach(rig, 1, {}).code, ERRORS.OK.number)
    pass(rig, 60_000, [1])
    const { code, message } = attach(rig, 2, { policy: 'silent' })
    assert.equal(code, ERRORS.ATTACHED.number)
    assert.equal(message, 'volume v1 is attached by c1 (exclusive, since 2026-11-30T12:00:00Z), last heard of 3 s ago')
    assert.deepEqual(holders(rig), [1])
  })

  it('with policy silent ends it once the holder was not heard of for so long, in a new generation', () => {
    const rig = rigAt(1)
    attach(rig, 1, {})
    pass(rig, TIMERS.holderHeardMs - 3000)
    assert.equal(attach(rig, 2, { policy: 'silent' }).code, ERRORS.ATTACHED.number)
    pass(rig, 3000)
    const before = generation(rig)
    assert.equal(attach(rig, 2, { policy: 'silent' }).code, ERRORS.OK.number)
    assert.deepEqual([holders(rig), generation(rig)], [[2], before + 1])
  })

  it('counts from the beginning of a new leader, which has heard of no session', () => {
    const rig = rigAt(1)
    attach(rig, 1, {})
    pass(rig, 60_000)
    rig.restart()
    for (const n of ALL) rig.register(n, { level: 1 })
    assert.equal(attach(rig, 2, { policy: 'silent' }).code, ERRORS.ATTACHED.number)
    pass(rig, TIMERS.holderHeardMs)
    assert.equal(attach(rig, 2, { policy: 'silent' }).code, ERRORS.OK.number)
  })

  it('ends no session that attached after the leader decided: of two at once one is refused', () => {
    const rig = rigAt(1)
    attach(rig, 1, {})
    pass(rig, TIMERS.holderHeardMs)
    rig.diskWorks = false
    request(rig, 2, { policy: 'silent' })
    request(rig, 3, { policy: 'silent' })
    rig.diskWorks = true
    rig.flushLog()
    rig.pass(1000, ALL)
    const codes = rig.answers(90).flatMap((answer) => (answer.type === 'admin-done' ? [answer.code] : []))
    assert.deepEqual(codes.slice(-2).sort(), [ERRORS.OK.number, ERRORS.ATTACHED.number].sort())
    assert.deepEqual(holders(rig), [2])
  })

  it('with policy free ends none, however silent, and with policy take each', () => {
    const rig = rigAt(1)
    attach(rig, 1, { owner: 'a' })
    pass(rig, 60_000)
    assert.equal(attach(rig, 2, { policy: 'free', owner: 'a' }).code, ERRORS.ATTACHED.number)
    assert.equal(attach(rig, 2, { policy: 'take' }).code, ERRORS.OK.number)
    assert.deepEqual(holders(rig), [2])
  })

  it('ends sharers only if all of them may end, and joins them without a question', () => {
    const rig = rigAt(1)
    attach(rig, 1, { mode: 'shared' })
    attach(rig, 2, { mode: 'shared', policy: 'silent' })
    assert.deepEqual(holders(rig), [1, 2])
    pass(rig, TIMERS.holderHeardMs, [2])
    assert.equal(attach(rig, 3, { policy: 'silent' }).code, ERRORS.ATTACHED.number)
    assert.match(attach(rig, 3, { policy: 'silent' }).message, /attached by c2 /)
    pass(rig, TIMERS.holderHeardMs)
    assert.equal(attach(rig, 3, { policy: 'silent' }).code, ERRORS.OK.number)
    assert.deepEqual(holders(rig), [3])
  })

  it('takes as before below the feature level', () => {
    const rig = rigAt(0)
    attach(rig, 1, { renews: false })
    assert.equal(attach(rig, 2, { policy: 'silent', owner: 'a', renews: false }).code, ERRORS.OK.number)
    const [holder] = rig.leader.state.volumes.get(VOLUME)?.holders ?? []
    assert.deepEqual(holder, { session: 2, mode: 'exclusive', client: 'c2' })
  })
})

describe('an owner that starts again (A2.11-13)', () => {
  it('gets its own volume back at once, in a new generation', () => {
    const rig = rigAt(1)
    attach(rig, 1, { owner: 'a' })
    const before = generation(rig)
    assert.equal(attach(rig, 2, { policy: 'silent', owner: 'a' }).code, ERRORS.OK.number)
    assert.deepEqual([holders(rig), generation(rig)], [[2], before + 1])
    assert.equal(attach(rig, 3, { policy: 'silent', owner: 'b' }).code, ERRORS.ATTACHED.number)
    assert.equal(attach(rig, 3, { policy: 'silent' }).code, ERRORS.ATTACHED.number)
  })

  it('resumes what it holds and nothing else: neither what another holds nor what is free', () => {
    const rig = rigAt(1)
    assert.equal(attach(rig, 1, { policy: 'resume', owner: 'a' }).code, ERRORS.FENCED.number)
    attach(rig, 1, { owner: 'a' })
    assert.equal(attach(rig, 2, { policy: 'resume', owner: 'a' }).code, ERRORS.OK.number)
    assert.deepEqual(holders(rig), [2])
    pass(rig, 60_000)
    const { code, message } = attach(rig, 3, { policy: 'resume', owner: 'b' })
    assert.equal(code, ERRORS.FENCED.number)
    assert.match(message, /attached by c2 /)
    assert.deepEqual(holders(rig), [2])
  })
})

describe('an exclusive holder that is silent (A2.11-12)', () => {
  it('keeps the volume as long as no other session wants it', () => {
    const rig = rigAt(1)
    attach(rig, 1, {})
    pass(rig, 10 * TIMERS.holderSilentMs)
    assert.deepEqual(holders(rig), [1])
    const [view] = rig.leader.holders(rig.ctx.now)
    assert.ok((view?.heardMsAgo ?? 0) >= 10 * TIMERS.holderSilentMs)
  })
})
