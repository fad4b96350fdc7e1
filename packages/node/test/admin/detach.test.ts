import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SessionId } from '@ashlar/proto'
import { volumeRecord } from './fake-view.ts'
import { demo, serve } from './served.ts'

const PATH = '/v1/volumes/demo/detach'
const holders = [1, 2].map((session) => ({
  session: session as SessionId,
  mode: 'shared' as const,
  client: `c${session}`,
}))

function shared(featureLevel = 1) {
  const view = demo({ volumes: [volumeRecord(1, 'demo', { holders })] })
  view.map.featureLevel = featureLevel
  return view
}

describe('the end of sessions by a person', () => {
  it('is reported before it is done', async (t) => {
    const call = await serve(t, shared())
    const { status, body } = await call(`${PATH}?sessions=2`)
    assert.equal(status, 200)
    assert.deepEqual(body.sessions, [{ session: 2, client: 'c2', mode: 'shared' }])
    assert.equal(body.possible, true)
    assert.match(body.consequences[2], /1 other sessions continue without interruption/)
    assert.equal((await call(PATH)).body.sessions.length, 2)
  })

  it('is not done without fence', async (t) => {
    const view = shared()
    const call = await serve(t, view)
    const { status, body } = await call(PATH, { method: 'POST', body: { sessions: [1] } })
    assert.deepEqual([status, body.error.code, view.commands], [409, 'CONFLICT', []])
  })

  it('ends those that are named and no other', async (t) => {
    const view = shared()
    const call = await serve(t, view)
    const { status } = await call(PATH, { method: 'POST', body: { sessions: [2], fence: true } })
    assert.equal(status, 200)
    assert.deepEqual(view.commands, [{ do: 'detach', volume: 1, session: 2, fence: true }])
  })

  it('reaches every session that is named, also where one is gone already, and says which', async (t) => {
    const view = shared()
    const call = await serve(t, view)
    const { status, body } = await call(PATH, { method: 'POST', body: { sessions: [9, 2], fence: true } })
    assert.equal(status, 200)
    assert.deepEqual(
      view.commands,
      [9, 2].map((session) => ({ do: 'detach', volume: 1, session, fence: true })),
    )
    assert.deepEqual([body.sessions, body.alreadyEnded], [[{ session: 2, client: 'c2', mode: 'shared' }], [9]])
    assert.equal((await call(PATH, { method: 'POST', body: { sessions: [9], fence: true } })).status, 200)
    assert.equal((await call(PATH, { method: 'POST', body: { sessions: [9] } })).status, 409)
  })

  it('of a session that holds nothing is NOT_FOUND, and of none a conflict', async (t) => {
    const call = await serve(t, shared())
    assert.equal((await call(`${PATH}?sessions=9`)).status, 404)
    assert.equal((await call(`${PATH}?sessions=1,x`)).status, 400)
    const free = await serve(t, demo())
    assert.equal((await free(PATH)).body.possible, false)
  })

  it('is refused while a node may not know of it', async (t) => {
    const view = shared(0)
    const call = await serve(t, view)
    const { status, body } = await call(PATH, { method: 'POST', body: { sessions: [1], fence: true } })
    assert.deepEqual([status, view.commands], [409, []])
    assert.match(body.error.message, /upgrade every node first/)
  })
})
