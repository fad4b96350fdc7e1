import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ashlar, fakeApi } from './kit.ts'

const report = {
  ...{ volume: 'demo', possible: true, consequences: ['1 other sessions go on'] },
  sessions: [
    { session: 4711, client: 'worker on host', mode: 'shared' },
    { session: 4712, client: 'another', mode: 'shared' },
  ],
}
const path = '/v1/volumes/demo/detach'

describe('volume detach', () => {
  it('without --yes only reports what it would fence, and exits 4', async (t) => {
    const { url, requests } = await fakeApi(t, { [`GET ${path}`]: { body: report } })
    const { code, out, error } = await ashlar(['volume', 'detach', 'demo', '--all', '--server', url])
    assert.equal(code, 4)
    assert.match(out, /^Would be fenced: +worker on host, shared, session 4711$/m)
    assert.match(out, /^Consequences: +1 other sessions go on$/m)
    assert.match(error, /volume demo was not changed \(add --yes to do it\)/)
    assert.deepEqual(
      requests.map(({ method }) => method),
      ['GET'],
    )
  })

  it('with it ends those that it found, and no session that came since', async (t) => {
    const { url, requests } = await fakeApi(t, {
      [`GET ${path}`]: { body: report },
      [`POST ${path}`]: { body: report },
    })
    const { code, out } = await ashlar(['volume', 'detach', 'demo', '--all', '--yes', '--server', url])
    assert.deepEqual([code, requests[1]?.body], [0, { sessions: [4711, 4712], fence: true }])
    assert.match(out, /^Fenced: worker on host, shared, session 4711; another/)
  })

  it('names sessions that had ended already', async (t) => {
    const { url } = await fakeApi(t, {
      [`GET ${path}`]: { body: report },
      [`POST ${path}`]: { body: { ...report, sessions: report.sessions.slice(0, 1), alreadyEnded: [4712] } },
    })
    const { out } = await ashlar(['volume', 'detach', 'demo', '--all', '--yes', '--server', url])
    assert.match(
      out,
      /^Fenced: worker on host, shared, session 4711; session 4712, which had ended already\. None of their writes/,
    )
  })

  it('requires the sessions, given in one way', async () => {
    for (const flags of [[], ['--all', '--session', '1']]) {
      const { code, error } = await ashlar(['volume', 'detach', 'demo', ...flags])
      assert.deepEqual([code, error], [2, 'ashlar: no sessions were given (give either --session ID or --all)\n'])
    }
    const { code, error } = await ashlar(['volume', 'detach', 'demo', '--session', 'x'])
    assert.deepEqual([code, error], [2, 'ashlar: "x" is not a session (see `ashlar volume describe`)\n'])
  })
})
