import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { ApiClient } from '../src/api-client.ts'
import { planDev } from '../src/dev/plan.ts'
import { serversOf } from '../src/dev/servers.ts'
import { writeState } from '../src/dev/state.ts'
import { type Server, Servers } from '../src/servers.ts'
import { ashlar, fakeApi } from './kit.ts'

const DEAD = 'http://127.0.0.1:2'
const NOT_READY = { status: 503, body: { error: { code: 'UNHEALTHY', message: '', hint: '' } } }

/** A node whose cluster report names it. */
async function node(t: TestContext, leader: string, ready = true) {
  const answers = { 'GET /v1/cluster': { body: { leader } }, 'GET /readyz': ready ? { body: 'ok' } : NOT_READY }
  return await fakeApi(t, answers)
}

/** A listener that accepts connections and never responds, as a process does that was stopped. */
async function silent(t: TestContext): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function client(...groups: (readonly Server[])[]): ApiClient {
  return new ApiClient(new Servers({ groups: async () => groups, advice: async () => '' }))
}

async function leaderSeenBy(api: ApiClient): Promise<string | null> {
  return (await api.cluster()).leader
}

describe('the servers of a command', () => {
  it('of a list: the first one that is ready responds, else the first one that responds', async (t) => {
    const [first, second] = [await node(t, 'n1', false), await node(t, 'n2')]
    assert.equal(await leaderSeenBy(client([{ url: DEAD }, { url: first.url }, { url: second.url }])), 'n2')
    assert.equal(await leaderSeenBy(client([{ url: DEAD }, { url: first.url }])), 'n1')
  })

  it('of a later group are not used while one of the first responds, ready or not', async (t) => {
    const [named, other] = [await node(t, 'n1', false), await node(t, 'n2')]
    assert.equal(await leaderSeenBy(client([{ url: DEAD }, { url: named.url }], [{ url: other.url }])), 'n1')
    assert.equal(await leaderSeenBy(client([{ url: named.url }], [{ url: other.url }])), 'n1')
    assert.equal(await leaderSeenBy(client([{ url: DEAD }], [{ url: other.url }])), 'n2')
  })

  it('that were named by one of them serve later calls when it ended, and nothing is read from one that is silent', async (t) => {
    const other = await node(t, 'n2')
    const hung = await silent(t)
    const first = await fakeApi(t, {
      'GET /v1/nodes': {
        body: [
          { id: 'n1', state: 'up', api: '127.0.0.1:2' },
          { id: 'n3', state: 'down', api: 'not-asked:1' },
          { id: 'n2', state: 'up', api: other.url.replace('http://', '') },
        ],
      },
    })
    const servers = Servers.of([{ url: first.url }])
    await new ApiClient(servers).nodes()
    assert.deepEqual(
      (await servers.inOrder()).map((server) => server.node),
      [undefined, 'n1', 'n2'],
    )
    const left = Servers.of([{ url: hung }])
    await left.remember([{ node: 'n2', url: other.url }])
    assert.equal((await new ApiClient(left).cluster(300)).leader, 'n2')
  })
})

describe('the nodes of a development cluster', () => {
  const directoryOf = async (t: TestContext, apis: readonly string[]): Promise<string> => {
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-servers-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const options = { nodes: apis.length, dataDir: directory, apiPort: 7480, nbd: '127.0.0.1:10809' }
    const plan = planDev({ ...options, ...{ volume: 'demo', sizeBytes: 1, replicas: 1, restart: false } }, ['/node'])
    await writeState(directory, {
      // No process has these numbers.
      ...{ pid: 2 ** 22 + 1, apiPort: 7480, gateway: undefined },
      nodes: plan.nodes.map((each, at) => ({ ...each, pid: 2 ** 22 + 2 + at, api: apis[at] ?? '' })),
    })
    return directory
  }

  it('are found by --data-dir, also beside one that --server names and that does not respond', async (t) => {
    const other = await node(t, 'n2')
    const directory = await directoryOf(t, [DEAD, other.url])
    const args = ['cluster', 'info', '--data-dir', directory, '-o', 'json']
    assert.equal(JSON.parse((await ashlar(args)).out).leader, 'n2')
    assert.equal(JSON.parse((await ashlar([...args, '--server', DEAD])).out).leader, 'n2')
    const missing = await ashlar(['cluster', 'info', '--data-dir', join(directory, 'none')])
    assert.deepEqual([missing.code, missing.error.includes('there is no development cluster in')], [3, true])
  })

  it('are all named when none responds, with the command that starts them', async (t) => {
    const directory = await directoryOf(t, [DEAD, 'http://127.0.0.1:4'])
    const { code, error } = await ashlar(['cluster', 'info', '--data-dir', directory])
    assert.equal(code, 5)
    assert.equal(
      error,
      `ashlar: no node responds: n1 at ${DEAD} (no process listens there), n2 at http://127.0.0.1:4 (no process listens ` +
        `there) (start the cluster again with: ashlar dev --data-dir ${directory})\n`,
    )
  })

  it('do not add to a server that is not one of them', async (t) => {
    const directory = await directoryOf(t, ['http://127.0.0.1:4'])
    const before = process.cwd()
    t.after(() => process.chdir(before))
    process.chdir(directory)
    assert.deepEqual(await serversOf([DEAD], undefined).groups(), [[{ url: DEAD }]])
    const advice = await serversOf([], undefined).advice([])
    assert.match(advice, /^start a cluster with "ashlar dev"/)
  })
})
