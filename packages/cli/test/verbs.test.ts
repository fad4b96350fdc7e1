import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ashlar, fakeApi } from './kit.ts'

const CLUSTER = {
  ...{
    state: 'healthy',
    leader: 'n1',
    voters: ['n1', 'n2', 'n3'],
    nodes: 3,
    nodesUp: 3,
    volumes: 1,
    behindBlocks: 0,
    cluster: 'id',
    mapRevision: 7,
  },
  extents: { healthy: 4, recovering: 0, degraded: 0, unavailable: 0 },
  ...{ reasons: [], insecure: [], notResponding: [] },
}
const WAITS = ['n3, whose build supports level 0: upgrade it']
const DEGRADED = { ...CLUSTER, state: 'degraded', nodesUp: 2, reasons: ['node n3 is down'] }
const VOLUME = {
  ...{ name: 'demo', sizeBytes: 2 ** 30, blockSizeBytes: 4096, replicas: 3, minInSync: 2, state: 'healthy' },
  ...{ extentSizeBytes: 2 ** 28, extents: CLUSTER.extents, behindBlocks: 0, generation: 1, holders: [], reasons: [] },
  forced: [],
}
const EXTENTS = [
  {
    ...{ extent: 0, epoch: 3, primary: 'n1', state: 'recovering', reason: 'copying to n3', id: 4096 },
    replicas: [
      { node: 'n1', standing: 'in-sync', behindBlocks: 0 },
      { node: 'n2', standing: 'joining', behindBlocks: 120 },
      { node: 'n3', standing: 'out', behindBlocks: null },
    ],
  },
]

describe('cluster', () => {
  it('info shows health on one screen, and all of it as JSON', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: DEGRADED } })
    const { code, out } = await ashlar(['cluster', 'info', '--server', url])
    assert.equal(code, 0)
    assert.match(out, /^State: +degraded$/m)
    assert.match(out, /^Nodes: +2 of 3 up, leader of control: n1$/m)
    assert.match(out, /^Voters: +n1, n2, n3$/m)
    assert.match(out, /^Feature level: +0$/m)
    assert.match(out, /^Problem: +node n3 is down$/m)
    assert.deepEqual(JSON.parse((await ashlar(['cluster', 'info', '-o', 'json', '--server', url])).out), DEGRADED)
  })

  it('info of a node that is cut off counts who responds, and ends with what to do', async (t) => {
    const old = { voters: ['n1', 'n2', 'n3'], votersResponding: ['n3'], majority: 2, nodesUp: 1, mapIsCurrent: false }
    const extents = { healthy: 0, recovering: 0, degraded: 0, unavailable: 0, unknown: 4 }
    const todo = ['start n1 again: ashlar dev start n1 --data-dir /d', 'if n1 never comes back: ashlar node lost n1']
    const body = { ...DEGRADED, ...old, extents, state: 'unavailable', reasons: ['n3 is cut off'], leader: null, todo }
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body } })
    const { out } = await ashlar(['cluster', 'info', '--server', url])
    assert.match(
      out,
      /^State: +unavailable\nProblem: +n3 is cut off\nNodes: +1 of 3 respond, leader of control: none$/m,
    )
    assert.match(out, /^Voters: +n1, n2, n3; no response from n1, n2, and control needs 2 of 3$/m)
    assert.match(out, /^Extents: .*, 4 unknown; /m)
    assert.match(
      out,
      /^To do: +start n1 again: ashlar dev start n1 --data-dir \/d\n +if n1 never .*: ashlar node lost n1\n$/m,
    )
  })

  it('explain needs a name for all but the cluster', async (t) => {
    const body = {
      kind: 'cluster',
      name: 'c',
      state: 'degraded',
      problems: ['p'],
      because: ['b'],
      waitsFor: ['w'],
      todo: ['t'],
    }
    const { url } = await fakeApi(t, { 'GET /v1/explain/cluster': { body } })
    const { out } = await ashlar(['explain', 'cluster', '--server', url])
    assert.equal(out, 'Cluster:    c is degraded\nProblem:    p\nBecause:    b\nWaits for:  w\nTo do:      t\n')
    for (const words of [['cluster', 'c'], ['volume']]) {
      const { code } = await ashlar(['explain', ...words, '--server', url])
      assert.equal(code, 2, words.join(' '))
    }
  })

  it('info shows the feature level, and the nodes that it waits for', async (t) => {
    const raised = await fakeApi(t, { 'GET /v1/cluster': { body: { ...CLUSTER, featureLevel: 1 } } })
    assert.match((await ashlar(['cluster', 'info', '--server', raised.url])).out, /^Feature level: +1$/m)
    const mixed = { ...CLUSTER, featureLevel: 0, featureLevelWaitsFor: WAITS }
    const waits = await fakeApi(t, { 'GET /v1/cluster': { body: mixed } })
    const { out } = await ashlar(['cluster', 'info', '--server', waits.url])
    assert.match(out, /^Feature level: +0, waits for\n +n3, whose build supports level 0: upgrade it$/m)
  })

  it("membership and leader change who keeps control's log, and tell it", async (t) => {
    const about = { term: 4, lastIndex: 70, commit: 70 }
    const members = [
      { node: 'n1', store: 's1', votes: true, role: 'leader', ...about },
      { node: 'n4', store: 's4', votes: false, role: 'learner', ...about, lastIndex: null },
    ]
    const answer = { body: { leader: 'n1', members } }
    const { url, requests } = await fakeApi(t, {
      'GET /v1/control': answer,
      'POST /v1/control/members': answer,
      'POST /v1/control/leader': answer,
    })
    const shown = await ashlar(['cluster', 'leader', 'show', '--server', url])
    assert.match(shown.out, /^n1 +yes +leader +4 +70 +70\nn4 +no +learner +4 +- +70$/m)
    for (const change of ['add', 'promote', 'remove'])
      assert.equal((await ashlar(['cluster', 'membership', change, 'n4', '--server', url])).code, 0)
    assert.equal((await ashlar(['cluster', 'leader', 'transfer', 'n2', '--server', url])).code, 0)
    const changes = ['add', 'promote', 'remove'].map((change) => ({ change, node: 'n4' }))
    const asked = requests.slice(1).map(({ body }) => body)
    assert.deepEqual(asked, [...changes, { node: 'n2' }])
  })

  it('info warns of insecure listeners', async (t) => {
    const insecure = [{ node: 'n2', option: '--listen', address: '0.0.0.0:7580' }]
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: { ...CLUSTER, insecure } } })
    assert.match((await ashlar(['cluster', 'info', '--server', url])).out, /^Insecure: +n2 --listen 0\.0\.0\.0:7580$/m)
  })

  it('check exits 0 when all is well and 8 when something is not', async (t) => {
    const well = await fakeApi(t, { 'GET /v1/cluster': { body: CLUSTER } })
    assert.equal((await ashlar(['cluster', 'check', '--server', well.url])).code, 0)
    const ill = await fakeApi(t, { 'GET /v1/cluster': { body: DEGRADED } })
    const { code, out } = await ashlar(['cluster', 'check', '--server', ill.url])
    assert.equal(code, 8)
    assert.match(out, /node n3 is down/)
  })

  it('check exits 8 when a node did not respond, since its state is unknown', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: { ...CLUSTER, notResponding: ['n2'] } } })
    const { code, out } = await ashlar(['cluster', 'check', '--server', url])
    assert.deepEqual([code, /^State: +unknown$/m.test(out)], [8, true])
  })

  it('recover of a directory without a store is refused, and says which one', async () => {
    const { code, error } = await ashlar(['cluster', 'recover', '--from', '/nonexistent/n1'])
    assert.equal(code, 4)
    assert.match(error, /the sidecar file \/nonexistent\/n1\/store\/store.json cannot be read: ENOENT/)
  })

  it('replica export never writes over a file, and makes none when it is refused', async () => {
    const taken = fileURLToPath(import.meta.url)
    const refused = await ashlar(['replica', 'export', 'demo', taken, '--from', '/nonexistent/n1'])
    assert.deepEqual([refused.code, refused.error.includes(`${taken} exists`)], [4, true])
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-verbs-'))
    const { code, error } = await ashlar([
      'replica',
      'export',
      'demo',
      join(directory, 'a.img'),
      '--from',
      '/nonexistent/n1',
    ])
    assert.equal(code, 4)
    assert.match(error, /the sidecar file \/nonexistent\/n1\/store\/store.json cannot be read: ENOENT/)
    assert.deepEqual(await readdir(directory), [])
    await rm(directory, { recursive: true })
  })
})

describe('volumes', () => {
  it('are listed as columns, names, JSON or YAML', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/volumes': { body: [VOLUME] } })
    const table = (await ashlar(['volume', 'ls', '--server', url])).out
    assert.equal(table, 'NAME  SIZE  REPLICAS  STATE    ATTACHED\ndemo  1Gi   3         healthy  -\n')
    assert.match((await ashlar(['volume', 'ls', '-o', 'wide', '--server', url])).out, /MIN-IN-SYNC/)
    assert.equal((await ashlar(['volume', 'ls', '-o', 'name', '--server', url])).out, 'demo\n')
    assert.equal((await ashlar(['volume', 'ls', '-o', 'json', '--server', url])).out, `${JSON.stringify([VOLUME])}\n`)
    assert.match((await ashlar(['volume', 'ls', '-o', 'yaml', '--server', url])).out, /^- name: demo$/m)
  })

  it('that do not exist yet are an empty list for programs and a hint for people', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/volumes': { body: [] } })
    assert.equal((await ashlar(['volume', 'ls', '-o', 'json', '--server', url])).out, '[]\n')
    const { out, error } = await ashlar(['volume', 'ls', '--server', url])
    assert.equal(out, '')
    assert.match(error, /ashlar volume create/)
  })

  it('are created with what was given and nothing else', async (t) => {
    const { url, requests } = await fakeApi(t, { 'POST /v1/volumes': { status: 201, body: VOLUME } })
    const args = ['volume', 'create', 'demo', '--size', '1Gi', '--server', url]
    assert.equal((await ashlar(args)).code, 0)
    assert.equal((await ashlar([...args, '--replicas', '2', '--block-size', '64Ki', '--min-in-sync', '1'])).code, 0)
    assert.deepEqual(
      requests.map(({ body }) => body),
      [
        { name: 'demo', sizeBytes: 2 ** 30 },
        { name: 'demo', sizeBytes: 2 ** 30, blockSizeBytes: 65_536, replicas: 2, minInSync: 1 },
      ],
    )
  })

  it('are removed by name', async (t) => {
    const { url, requests } = await fakeApi(t, { 'DELETE /v1/volumes/demo': { status: 204 } })
    assert.equal((await ashlar(['volume', 'rm', 'demo', '--server', url])).code, 0)
    assert.deepEqual(requests, [{ method: 'DELETE', path: '/v1/volumes/demo', body: undefined }])
  })
})

describe('volumes of a node that is cut off', () => {
  it('are listed as unknown, with the reason beside the list', async (t) => {
    const extents = { ...CLUSTER.extents, healthy: 0, unknown: 4 }
    const old = { ...VOLUME, state: 'unknown', extents, reasons: ['n3 is cut off from control'] }
    const { url } = await fakeApi(t, { 'GET /v1/volumes': { body: [old] } })
    const { out, error } = await ashlar(['volume', 'ls', '--server', url])
    assert.match(out, /^demo .* unknown \(4\/4 extents\) /m)
    assert.equal(error, 'n3 is cut off from control\nsee what to do: ashlar explain cluster\n')
  })
})

describe('extents', () => {
  it('show the standing of each replica and how far it is behind, where that is known', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/volumes/demo/extents': { body: EXTENTS } })
    const { out } = await ashlar(['extent', 'ls', 'demo', '--server', url])
    assert.match(out, /^0 +recovering +n1 +3 +n1:in-sync n2:joining\(-120\) n3:out$/m)
    assert.deepEqual(JSON.parse((await ashlar(['extent', 'ls', 'demo', '-o', 'json', '--server', url])).out), EXTENTS)
    assert.equal((await ashlar(['extent', 'ls', 'demo', '-o', 'name', '--server', url])).out, 'demo/0\n')
  })

  it('are explained by volume and number', async (t) => {
    const body = { kind: 'extent', name: 'demo/0', state: 'healthy', because: ['a', 'b'], waitsFor: [], todo: [] }
    const { url } = await fakeApi(t, { 'GET /v1/explain/extent/demo/0': { body } })
    const { out } = await ashlar(['explain', 'extent', 'demo/0', '--server', url])
    assert.equal(out, 'Extent:   demo/0 is healthy\nBecause:  a\n          b\nTo do:    nothing\n')
  })
})

describe('extent force-primary', () => {
  const held = (node: string, lastSeq: number | null) => {
    const state = lastSeq === null ? 'down' : 'up'
    return { node, state, lastEpoch: lastSeq === null ? null : 3, lastSeq, commitSeq: lastSeq }
  }
  const report = {
    ...{ extent: 'demo/0', possible: true, because: ['it has no primary'], mayBeLost: ['all after seq 7'] },
    ...{ replica: held('n1', 7), others: [held('n2', null)] },
  }
  const path = '/v1/volumes/demo/extents/0/force-primary'
  const args = ['extent', 'force-primary', 'demo/0', '--node', 'n1']

  it('without --accept-data-loss only says what may be lost, and exits 4', async (t) => {
    const { url, requests } = await fakeApi(t, { [`GET ${path}/n1`]: { body: report } })
    const { code, out, error } = await ashlar([...args, '--server', url])
    assert.equal(code, 4)
    assert.match(out, /^May be lost: +all after seq 7$/m)
    assert.match(
      out,
      /^Would be primary: +n1 \(up\): last write epoch 3, seq 7; acknowledged up to seq 7, as far as it knows$/m,
    )
    assert.match(out, /^Others: +n2 \(down\): did not respond$/m)
    assert.match(error, /extent demo\/0 was not changed \(add --accept-data-loss to do it\)/)
    assert.deepEqual(
      requests.map(({ method }) => method),
      ['GET'],
    )
  })

  it('with it names the primary and says until when the volume is marked', async (t) => {
    const { url, requests } = await fakeApi(t, { [`POST ${path}`]: { body: EXTENTS[0] } })
    const { code, out } = await ashlar([...args, '--accept-data-loss', '--server', url])
    assert.deepEqual([code, requests[0]?.body], [0, { node: 'n1', acceptDataLoss: true }])
    assert.match(out, /n1 is primary of extent demo\/0 in epoch 3\..*ashlar volume acknowledge-loss demo/)
  })

  it('of something that is no extent is a usage error', async () => {
    const { code, error } = await ashlar(['extent', 'force-primary', 'demo', '--node', 'n1'])
    assert.deepEqual([code, error], [2, 'ashlar: "demo" is not an extent (write VOLUME/NUMBER, such as demo/0)\n'])
  })

  it('leaves a mark that volume describe shows and acknowledge-loss ends', async (t) => {
    const forced = [{ extent: 3, node: 'n1', epoch: 5, acknowledged: false }]
    const { url } = await fakeApi(t, {
      'GET /v1/volumes/demo': { body: { ...VOLUME, forced } },
      'POST /v1/volumes/demo/acknowledge-loss': { body: { ...VOLUME, forced } },
    })
    assert.match(
      (await ashlar(['volume', 'describe', 'demo', '--server', url])).out,
      /^Forced: +extent 3: n1 was made primary by force in epoch 5, not acknowledged yet$/m,
    )
    assert.equal((await ashlar(['volume', 'acknowledge-loss', 'demo', '--server', url])).code, 0)
  })
})

describe('node lost', () => {
  const report = {
    ...{ node: 'n3', store: 'id', possible: true, because: ['nothing was heard of it'] },
    ...{ costs: ['only it holds demo/0'], replicas: 4, onlyHere: ['demo/0'] },
  }

  it('without --yes only says what it costs, and exits 4', async (t) => {
    const { url, requests } = await fakeApi(t, { 'GET /v1/nodes/n3/lost': { body: report } })
    const { code, out, error } = await ashlar(['node', 'lost', 'n3', '--server', url])
    assert.equal(code, 4)
    assert.match(out, /^It costs: +only it holds demo\/0$/m)
    assert.match(error, /n3 was not changed \(add --yes to do it\)/)
    assert.deepEqual(
      requests.map(({ method }) => method),
      ['GET'],
    )
  })

  it('with --yes is one request, and reports the result', async (t) => {
    const { url, requests } = await fakeApi(t, { 'POST /v1/nodes/n3/lost': { body: report } })
    const { code, out } = await ashlar(['node', 'lost', 'n3', '--yes', '--server', url])
    assert.deepEqual([code, requests[0]?.body], [0, { acceptDataLoss: true }])
    assert.equal(out, 'n3 is declared lost: 4 replicas are assigned to other nodes, 1 extent has no other full copy.\n')
  })
})

describe('a failure', () => {
  const refusals: readonly [string, number, number][] = [
    ['USAGE', 400, 2],
    ['NOT_FOUND', 404, 3],
    ['CONFLICT', 409, 4],
    ['NO_CONTROL', 503, 5],
    ['TIMEOUT', 504, 6],
    ['READ_ONLY', 403, 7],
    ['INTERNAL', 500, 1],
  ]
  for (const [code, status, exit] of refusals) {
    it(`${code} of the API exits ${exit}, in one line with its hint`, async (t) => {
      const body = { error: { code, message: 'it cannot\nbe done', hint: 'do this' } }
      const { url } = await fakeApi(t, { 'GET /v1/volumes': { status, body } })
      const result = await ashlar(['volume', 'ls', '-o', 'json', '--server', url])
      assert.deepEqual(result, { code: exit, out: '', error: 'ashlar: it cannot be done (do this)\n' })
    })
  }

  it('to reach any node exits 5, names what was tried, and never advises to start a cluster where a node was named', async () => {
    const { code, error } = await ashlar(['volume', 'ls', '--server', 'http://127.0.0.1:2'])
    assert.deepEqual(
      [code, error],
      [
        5,
        'ashlar: no node responds: http://127.0.0.1:2 (no process listens there) (check the address, name other nodes of ' +
          'the cluster: --server URL,URL, or the --data-dir of ashlar dev)\n',
      ],
    )
  })

  it('to reach one node is none while another one answers', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/volumes': { body: [VOLUME] } })
    const environment = { ASHLAR_SERVER: `127.0.0.1:2,${url}` }
    assert.equal((await ashlar(['volume', 'ls', '-o', 'name'], environment)).out, 'demo\n')
  })

  it('of a server that is not Ashlar is reported as such', async (t) => {
    const { url } = await fakeApi(t, { 'GET /v1/volumes': { status: 404, body: 'nginx' } })
    const { code, error } = await ashlar(['volume', 'ls', '--server', url])
    assert.equal(code, 1)
    assert.match(error, /a body that is not of the Ashlar API/)
  })

  it('to find the image of an import is reported before the cluster is contacted', async () => {
    const { code, error } = await ashlar(['volume', 'import', '/nonexistent/x.img', 'demo', '--server', '127.0.0.1:2'])
    assert.deepEqual([code, error], [3, 'ashlar: /nonexistent/x.img does not exist\n'])
  })
})

describe('cluster check --deep', () => {
  const block = { epoch: 1, seq: 2, kind: 'data', checksum: 10, intact: true }
  const volumeApi = (nodes: readonly string[], urls: readonly string[]) => ({
    'GET /v1/cluster': { body: CLUSTER },
    'GET /v1/nodes': { body: nodes.map((id, at) => ({ id, api: (urls[at] ?? '').replace('http://', '') })) },
    'GET /v1/volumes': { body: [VOLUME] },
    'GET /v1/volumes/demo/extents': {
      body: [{ ...EXTENTS[0], replicas: nodes.map((node) => ({ node, standing: 'in-sync', behindBlocks: 0 })) }],
    },
  })
  const page = (blocks: readonly unknown[], nextBlock: number | null = null) => ({
    body: { extent: 4096, blocks, nextBlock },
  })
  const first = 'GET /v1/local/extents/4096/versions?firstBlock=0'

  it('reads every page of every replica and finds them equal', async (t) => {
    const second = 'GET /v1/local/extents/4096/versions?firstBlock=4096'
    const pages = { [first]: page([{ block: 1, ...block }], 4096), [second]: page([{ block: 4100, ...block }]) }
    const replicas = [await fakeApi(t, pages), await fakeApi(t, pages)]
    const api = await fakeApi(
      t,
      volumeApi(
        ['n1', 'n2'],
        replicas.map(({ url }) => url),
      ),
    )
    const { code, out } = await ashlar(['cluster', 'check', '--deep', '-o', 'json', '--server', api.url])
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(out).deep, {
      ...{
        extents: 1,
        replicas: 2,
        blocks: 4,
        distinctBlocks: 2,
        changing: 0,
        outOfSync: 0,
        findings: [],
        problems: [],
      },
      verdict: 'equal',
    })
  })

  it('reports blocks that stay different, and those that do not match their checksum', async (t) => {
    const replicas = [
      await fakeApi(t, { [first]: page([{ block: 1, ...block }]) }),
      await fakeApi(t, {
        [first]: page([
          { block: 1, ...block, checksum: 11 },
          { block: 2, ...block, intact: false },
        ]),
      }),
    ]
    const api = await fakeApi(
      t,
      volumeApi(
        ['n1', 'n2'],
        replicas.map(({ url }) => url),
      ),
    )
    const { code, out } = await ashlar(['cluster', 'check', '--deep', '-o', 'json', '--server', api.url])
    assert.equal(code, 8)
    assert.deepEqual(JSON.parse(out).problems, [
      '1 damaged block on n2, found by this check and not repaired: demo/0 block 2',
      'demo/0: block 1 differs: n1 has data 1.2 with checksum 0000000a, n2 has data 1.2 with checksum 0000000b',
      'demo/0: block 2 differs: n1 has nothing, n2 has data 1.2 with checksum 0000000a',
    ])
  })

  it('looks again at what is being written, and is content once it is equal', async (t) => {
    let looks = 0
    const late = () => page([{ block: 1, ...block, seq: ++looks < 3 ? 1 : 2 }])
    const replicas = [
      await fakeApi(t, { [first]: page([{ block: 1, ...block }]) }),
      await fakeApi(t, { [first]: late }),
    ]
    const api = await fakeApi(
      t,
      volumeApi(
        ['n1', 'n2'],
        replicas.map(({ url }) => url),
      ),
    )
    const { code, out } = await ashlar(['cluster', 'check', '--deep', '-o', 'json', '--server', api.url])
    assert.deepEqual([code, JSON.parse(out).problems, looks], [0, [], 3])
  })

  it('reports a replica that cannot be read, and compares the others', async (t) => {
    const one = await fakeApi(t, { [first]: page([{ block: 1, ...block }]) })
    const api = await fakeApi(t, volumeApi(['n1', 'n2'], [one.url, 'http://127.0.0.1:2']))
    const { code, out } = await ashlar(['cluster', 'check', '--deep', '-o', 'json', '--server', api.url])
    assert.equal(code, 8)
    assert.match(
      JSON.parse(out).problems[0],
      /^1 replica on n2 could not be read, and was not compared further: demo\/0: /,
    )
  })
})
