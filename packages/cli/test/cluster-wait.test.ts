import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Grace } from '../src/stuck.ts'
import { ashlar, fakeApi } from './kit.ts'

const CLUSTER = {
  state: 'healthy',
  reasons: [],
  notResponding: [],
  cluster: 'id',
  voters: ['n1', 'n2', 'n3'],
  todo: [],
}
const DEGRADED = {
  ...CLUSTER,
  state: 'degraded',
  reasons: ['node n3 is down'],
  todo: ['start n3 again: ashlar dev start n3'],
}
const NODE = { id: 'n1', state: 'up', api: '127.0.0.1:2', space: { level: 'free', freeBytes: 2 ** 30 } }
const N3 = { ...NODE, id: 'n3', state: 'down', space: null }

interface Seen {
  readonly cluster?: object
  readonly nodes?: readonly object[]
  /** What n1 last saw of n3. */
  readonly saw?: string
  readonly volumes?: readonly object[]
}

/** Time for several looks, where no cause ends the wait. */
const SHORT = ['--timeout', '900ms']

/** The command over a cluster that stays as it is, with a short grace. */
async function waiting(
  t: TestContext,
  { cluster = DEGRADED, nodes = [NODE], saw, volumes = [] }: Seen,
  ...args: string[]
) {
  const seenBy = saw === undefined ? [] : [{ by: 'n1', saw: { state: saw } }]
  const whyDown = { because: ['no process listens there', 'its last link ended'], todo: [] }
  const { url } = await fakeApi(t, {
    'GET /v1/cluster': { body: cluster },
    'GET /v1/nodes': { body: nodes },
    'GET /v1/nodes/n3': { body: { ...N3, whyDown, seenBy } },
    'GET /v1/volumes': { body: volumes },
  })
  return await ashlar(['cluster', 'wait', '--grace', '1ms', '--timeout', '60s', ...args, '--server', url])
}

describe('cluster wait', () => {
  it('wait returns as soon as the state is reached', async (t) => {
    let asked = 0
    const { url } = await fakeApi(t, { 'GET /v1/cluster': () => ({ body: ++asked < 3 ? DEGRADED : CLUSTER }) })
    const { code, out } = await ashlar(['cluster', 'wait', '--for', 'healthy', '--timeout', '20s', '--server', url])
    assert.deepEqual([code, out, asked], [0, 'healthy\n', 3])
  })

  it('wait is content with a better state than the one it waits for', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: CLUSTER } })
    assert.equal((await ashlar(['cluster', 'wait', '--for', 'degraded', '--server', url])).code, 0)
  })

  it('wait exits 6 after its timeout and says what was in the way', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: DEGRADED } })
    const { code, error } = await ashlar(['cluster', 'wait', '--timeout', '1ms', '--server', url])
    assert.equal(code, 6)
    assert.match(error, /not healthy within 0\.001 s: it is degraded; node n3 is down/)
  })

  it('prints what it waits for when that changes, and only then', async (t) => {
    let asked = 0
    const states = [DEGRADED, DEGRADED, { ...DEGRADED, reasons: [] }, { ...CLUSTER, notResponding: ['n2'] }, CLUSTER]
    const { url } = await fakeApi(t, { 'GET /v1/cluster': () => ({ body: states[asked++] ?? CLUSTER }) })
    const { code, error } = await ashlar(['cluster', 'wait', '--timeout', '20s', '--server', url])
    assert.deepEqual(
      [code, error],
      [
        0,
        'waits for the cluster to be healthy: it is degraded; node n3 is down\n' +
          'waits for the cluster to be healthy: it is degraded\n' +
          'waits for the cluster to be healthy: it is healthy; n2 does not respond\n',
      ],
    )
  })

  it('exits 5 with what to do where a node is down and its process does not respond', async (t) => {
    for (const saw of ['refused', 'silent', 'unreachable', 'handshake-refused']) {
      const { code, error } = await waiting(t, { nodes: [NODE, N3], saw })
      assert.equal(code, 5)
      assert.ok(
        error.endsWith(
          'To do:\n  start n3 again: ashlar dev start n3\nashlar: the cluster does not become healthy without an operator: ' +
            'n3 is down: no process listens there\n',
        ),
        error,
      )
    }
  })

  it('exits 5 where no node responds any more, and waits for nodes that have not responded yet', async (t) => {
    let asked = 0
    const { url } = await fakeApi(t, {
      'GET /v1/cluster': () => {
        if (asked++ > 0) throw new Error('the process ended')
        return { body: DEGRADED }
      },
    })
    const ended = await ashlar(['cluster', 'wait', '--grace', '1ms', '--server', url])
    assert.equal(ended.code, 5)
    assert.match(ended.error, /without an operator: the connection to \S+ failed: /)
    const never = await ashlar(['cluster', 'wait', '--grace', '1ms', ...SHORT, '--server', 'http://127.0.0.1:2'])
    assert.equal(never.code, 6)
    assert.match(never.error, /^waits for the cluster to be healthy: no node responds: .*\nashlar: /)
  })

  it('waits for a node that responds and is catching up, or that starts', async (t) => {
    assert.equal((await waiting(t, { cluster: { ...DEGRADED, state: 'recovering' } }, ...SHORT)).code, 6)
    for (const saw of ['connected', 'connecting'])
      assert.equal((await waiting(t, { nodes: [N3], saw }, ...SHORT)).code, 6)
  })

  it('exits 5 where control has no majority, and waits while it elects a leader', async (t) => {
    const lost = { ...DEGRADED, state: 'unavailable', mapIsCurrent: false, majority: 2, votersResponding: ['n1'] }
    const { code, error } = await waiting(t, { cluster: lost })
    assert.equal(code, 5)
    assert.match(error, /without an operator: control has no majority: 1 of 3 voters responds, and 2 are needed\n$/)
    assert.equal((await waiting(t, { cluster: { ...lost, votersResponding: ['n1', 'n2'] } }, ...SHORT)).code, 6)
    assert.equal((await waiting(t, { cluster: { ...lost, cluster: null } }, ...SHORT)).code, 6)
  })

  it('exits 5 where a disk is full or a loss is not acknowledged, unless degraded is good enough', async (t) => {
    const full = { nodes: [{ ...NODE, space: { level: 'full', freeBytes: 5 } }] }
    const lossy = { volumes: [{ name: 'demo', forced: [{ acknowledged: false }] }] }
    assert.match((await waiting(t, full)).error, /: the disk of n1 is full\n$/)
    assert.match(
      (await waiting(t, lossy)).error,
      /: volume demo may have lost acknowledged writes, which an operator has/,
    )
    const cluster = { ...DEGRADED, state: 'unavailable' }
    for (const seen of [full, lossy]) {
      assert.equal((await waiting(t, { ...seen, cluster }, ...SHORT, '--for', 'degraded')).code, 6)
    }
  })

  it('asks another node where the one that responded has lost contact with control', async (t) => {
    const well = await fakeApi(t, { 'GET /v1/cluster': { body: CLUSTER }, 'GET /readyz': { body: 'ok' } })
    const cutOff = { ...DEGRADED, mapIsCurrent: false, majority: 2, votersResponding: ['n3'] }
    const { url } = await fakeApi(t, {
      'GET /v1/cluster': { body: cutOff },
      'GET /v1/nodes': { body: [{ ...NODE, api: well.url.replace('http://', '') }] },
    })
    const { code, out } = await ashlar(['cluster', 'wait', '--timeout', '20s', '--server', url])
    assert.deepEqual([code, out], [0, 'healthy\n'])
  })
})

describe('the grace of a cause', () => {
  const [down, full] = [
    { key: 'down', text: 'n3 is down' },
    { key: 'full', text: 'the disk is full' },
  ] as const

  it('begins anew when the cause was gone, and not when another one comes', () => {
    const grace = new Grace(100)
    assert.deepEqual(grace.lasting([down], 0), [])
    assert.deepEqual(grace.lasting([down, full], 60), [])
    assert.deepEqual(grace.lasting([down, full], 100), [down])
    assert.deepEqual(grace.lasting([full], 120), [])
    assert.deepEqual(grace.lasting([down, full], 160), [full])
  })
})
