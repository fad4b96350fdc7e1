import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SessionId } from '@ashlar/proto'
import { storeOf, volumeRecord } from './fake-view.ts'
import { demo, serve } from './served.ts'

const SINCE = Date.UTC(2026, 10, 30, 15, 4, 5)
const session = 7 as SessionId
const holder = { session, mode: 'exclusive' as const, client: 'gateway a on host pid 3', since: SINCE }
const HEARD = { session, owner: 'gateway a', heardMsAgo: 2000.4, through: storeOf(3) }
const ROW = {
  ...{ volume: 'demo', session: 7, client: 'gateway a on host pid 3', mode: 'exclusive', owner: 'gateway a' },
  ...{ since: '2026-11-30T15:04:05Z', lastHeardMs: 2000, through: 'n3' },
}
const UNKNOWN = { ...ROW, owner: null, lastHeardMs: null, through: null }

function held() {
  return demo({ volumes: [volumeRecord(1, 'demo', { holders: [holder] }), volumeRecord(2, 'free')] })
}

describe('holders of volumes', () => {
  it('are listed with what this node heard of them when it leads control', async (t) => {
    const view = held()
    view.held = [HEARD]
    const call = await serve(t, view)
    assert.deepEqual((await call('/v1/holders')).body, [ROW])
    assert.deepEqual((await call('/v1/cluster')).body.holders, [ROW])
    const { volume, ...rest } = ROW
    assert.deepEqual((await call(`/v1/volumes/${volume}`)).body.holders, [rest])
    assert.ok(
      (await call('/v1/explain/volume/demo')).body.because.includes(
        'open by gateway a on host pid 3 (exclusive) since 2026-11-30T15:04:05Z, last heard of 2 s ago through n3',
      ),
    )
  })

  it('are completed by the leader where another node leads', async (t) => {
    const view = held()
    view.leader = storeOf(2)
    const asked: string[] = []
    const call = await serve(t, view, async (api, path) => {
      if (path === '/v1/local/holders') asked.push(api)
      return path === '/v1/local/holders' ? [{ ...HEARD, heardMsAgo: 2000 }] : []
    })
    assert.deepEqual((await call('/v1/holders')).body, [ROW])
    assert.deepEqual(asked, ['127.0.0.1:7482'])
  })

  it('are those of the map where the leader does not respond, or reports something else', async (t) => {
    for (const answer of [() => Promise.reject(new Error('status 404')), async () => [{ session: 'x' }]]) {
      const view = held()
      view.leader = storeOf(2)
      const call = await serve(t, view, answer)
      assert.deepEqual((await call('/v1/holders')).body, [UNKNOWN])
    }
  })
})
