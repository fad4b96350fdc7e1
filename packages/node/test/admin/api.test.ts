import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AshlarError } from '@ashlar/proto'
import {
  CLUSTER,
  extentRecord,
  FakeView,
  mapOf,
  nodeRecord,
  primaryStatus,
  storeOf,
  volumeRecord,
} from './fake-view.ts'
import { demo, FIRST, quietPeers, serve } from './served.ts'

describe('probes', () => {
  it('healthz answers whatever the cluster does', async (t) => {
    const view = demo()
    view.readiness = { ready: false, reason: 'waits for n2' }
    view.leaseHeld = false
    const call = await serve(t, view)
    assert.equal((await call('/healthz')).status, 200)
  })

  it('readyz is 503 with the reason until the node can serve', async (t) => {
    const view = demo()
    view.readiness = { ready: false, reason: 'waits for n2' }
    const call = await serve(t, view)
    const before = await call('/readyz')
    assert.equal(before.status, 503)
    assert.deepEqual(before.body, { error: { code: 'UNHEALTHY', message: 'waits for n2', hint: '' } })
    view.readiness = { ready: true }
    assert.equal((await call('/readyz')).status, 200)
  })

  it('metrics come as Prometheus reads them', async (t) => {
    const call = await serve(t, demo())
    const { headers, body } = await call('/metrics')
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
    assert.equal(body, 'ashlar_x 1\n')
  })
})

describe('the cluster', () => {
  it('is reported on one screen', async (t) => {
    const view = demo()
    view.mapAgeMs = undefined
    const call = await serve(t, view)
    const { status, body } = await call('/v1/cluster')
    assert.equal(status, 200)
    assert.deepEqual(body, {
      state: 'healthy',
      leader: 'n1',
      voters: ['n1', 'n2', 'n3'],
      votersResponding: ['n1', 'n2', 'n3'],
      majority: 2,
      nodes: 3,
      nodesUp: 3,
      volumes: 1,
      extents: { healthy: 1, recovering: 0, degraded: 0, unavailable: 0, unknown: 0 },
      behindBlocks: 0,
      cluster: CLUSTER,
      mapRevision: 7,
      mapIsCurrent: true,
      mapAsOf: null,
      mapAgeMs: null,
      featureLevel: 0,
      featureLevelWaitsFor: [2, 3].map((n) => `n${n}, whose build supports level 0: upgrade it`),
      reasons: [],
      holders: [],
      insecure: [],
      notResponding: [],
      todo: [2, 3].map((n) => `upgrade n${n}, whose build supports feature level 0 only`),
    })
  })

  it('names the nodes that the feature level waits for, and none once it is raised', async (t) => {
    const view = new FakeView(mapOf({ nodes: [nodeRecord(1), nodeRecord(2, { state: 'down' })] }))
    const call = await serve(t, view)
    assert.deepEqual((await call('/v1/cluster')).body.featureLevelWaitsFor, [
      'n2, which does not respond: start it, or declare it lost (`ashlar node lost n2`)',
    ])
    view.map.featureLevel = 1
    const { body } = await call('/v1/cluster')
    assert.deepEqual([body.featureLevel, body.featureLevelWaitsFor], [1, []])
  })

  it('is degraded while a node is down, even when no volume is', async (t) => {
    const call = await serve(t, new FakeView(mapOf({ nodes: [nodeRecord(1), nodeRecord(2, { state: 'down' })] })))
    const { body } = await call('/v1/cluster')
    assert.deepEqual([body.state, body.nodesUp, body.reasons], ['degraded', 1, ['node n2 is down']])
  })

  it('is unavailable without control, and says who leads it', async (t) => {
    const view = demo()
    view.leaseHeld = false
    view.leader = undefined
    const call = await serve(t, view)
    const { body } = await call('/v1/cluster')
    assert.equal(body.state, 'unavailable')
    assert.equal(body.leader, null)
    assert.match(
      body.reasons.join(),
      /^n1 knows no leader of control, although 3 of 3 voters respond \(n1, n2, n3\); its map is/,
    )
  })

  it('expects no response of a store that another one replaced', async (t) => {
    const view = new FakeView(mapOf({ nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { address: '' })] }))
    view.silent.add(storeOf(3))
    const call = await serve(t, view)
    assert.deepEqual((await call('/v1/cluster')).body.notResponding, [])
  })

  it('names the nodes that did not respond, and continues without them', async (t) => {
    const call = await serve(t, demo(), async (api, path) => {
      if (api.endsWith('7482')) throw new Error('connection refused')
      return await quietPeers(api, path)
    })
    const { status, body } = await call('/v1/cluster')
    assert.deepEqual([status, body.notResponding], [200, ['n2']])
  })

  it('warns of listeners that --insecure opened, on any node', async (t) => {
    const view = demo()
    view.insecure = [{ option: '--api', address: '10.0.0.1:7480' }]
    const call = await serve(t, view, async (api, path) => {
      const answer = await quietPeers(api, path)
      const insecure = api.endsWith('7483') ? [{ option: '--listen', address: '10.0.0.3:7580' }] : []
      return Array.isArray(answer) ? answer : { ...(answer as object), insecure }
    })
    const { body } = await call('/v1/cluster')
    assert.deepEqual(body.insecure, [
      { node: 'n1', option: '--api', address: '10.0.0.1:7480' },
      { node: 'n3', option: '--listen', address: '10.0.0.3:7580' },
    ])
  })

  it('lists nodes with the fields that scripts rely on', async (t) => {
    const nodes = [nodeRecord(1), nodeRecord(2, { state: 'down' }), nodeRecord(10, {})]
    const call = await serve(t, demo({ nodes }))
    const { body } = await call('/v1/nodes')
    assert.deepEqual(
      body.map(({ id, state, primaries, replicas, inSync }: Record<string, unknown>) => [
        id,
        state,
        primaries,
        replicas,
        inSync,
      ]),
      [
        ['n1', 'up', 1, 1, 1],
        ['n2', 'down', 0, 1, 1],
        ['n10', 'up', 0, 0, 0],
      ],
    )
  })

  it('does not ask a node of which nothing is heard, and shows what it would say as not known', async (t) => {
    const view = demo()
    view.silent.add(storeOf(2))
    const asked = new Set<string>()
    const space = { level: 'free', freeBytes: 1, since: '', reserves: { placement: 3, writes: 2, last: 1 } }
    const call = await serve(t, view, async (api, path) => {
      asked.add(api)
      const answer = await quietPeers(api, path)
      return Array.isArray(answer) ? answer : { ...(answer as object), space }
    })
    const nodes = (await call('/v1/nodes')).body
    assert.deepEqual(
      nodes.map(({ id, state, space }: Record<string, unknown>) => [id, state, space === null]),
      [
        ['n1', 'up', false],
        ['n2', 'up', true],
        ['n3', 'up', false],
      ],
    )
    const { ready, reason } = (await call('/v1/nodes/n2')).body
    assert.deepEqual([ready, reason], [null, 'no request was sent: this node receives nothing from it'])
    assert.deepEqual((await call('/v1/cluster')).body.notResponding, ['n2'])
    assert.deepEqual([...asked], ['127.0.0.1:7483'])
  })

  it('does not wait for an answer of a node any longer once nothing is heard of it', async (t) => {
    const view = demo()
    const call = await serve(t, view, (api, path) => {
      if (!api.endsWith('7482')) return quietPeers(api, path)
      view.silent.add(storeOf(2))
      return new Promise(() => undefined)
    })
    const { status, body } = await call('/v1/cluster')
    assert.deepEqual([status, body.notResponding], [200, ['n2']])
    view.silent.clear()
    const { reason } = (await call('/v1/nodes/n2')).body
    assert.match(reason, /7482 did not respond: this node receives nothing from it any more$/)
  })

  it('describes one node by name or store, and says why another one did not respond', async (t) => {
    const call = await serve(t, demo(), async () => {
      throw new Error('connection refused')
    })
    const own = (await call('/v1/nodes/n1')).body
    assert.deepEqual([own.ready, own.pid, own.dataDir], [true, process.pid, '/data/n1'])
    assert.deepEqual(own.labels, { zone: 'a' })
    const other = (await call(`/v1/nodes/${storeOf(2)}`)).body
    assert.deepEqual([other.id, other.ready, other.pid], ['n2', null, null])
    assert.match(other.reason, /127\.0\.0\.1:7482 did not respond: connection refused/)
    const none = await call('/v1/nodes/n9')
    assert.deepEqual([none.status, none.body.error.code], [404, 'NOT_FOUND'])
    assert.match(none.body.error.hint, /n1, n2, n3/)
  })
})

describe('extents', () => {
  const missing3 = { extents: [extentRecord(1, 0, { inSync: [storeOf(1), storeOf(2)] })] }

  it('tell the standing of each replica, as the primary on this node reports it', async (t) => {
    const view = demo(missing3)
    view.extents = [primaryStatus(FIRST, [{ store: storeOf(3), phase: 'copying', behindBlocks: 120 }])]
    const call = await serve(t, view)
    assert.deepEqual((await call('/v1/volumes/demo/extents')).body, [
      {
        extent: 0,
        epoch: 1,
        primary: 'n1',
        replicas: [
          { node: 'n1', standing: 'in-sync', behindBlocks: 0 },
          { node: 'n2', standing: 'in-sync', behindBlocks: 0 },
          { node: 'n3', standing: 'joining', behindBlocks: 120 },
        ],
        state: 'recovering',
        reason: 'copying to n3',
        id: FIRST,
        damagedBlocks: 0,
      },
    ])
    assert.equal((await call('/v1/volumes/demo')).body.behindBlocks, 120)
  })

  it('ask the node of the primary when it is another one', async (t) => {
    const view = demo({
      extents: [extentRecord(1, 0, { primary: { store: storeOf(2), counter: 1 }, inSync: [storeOf(2), storeOf(3)] })],
    })
    const asked: string[] = []
    const call = await serve(t, view, async (api, path) => {
      if (path.startsWith('/v1/local/extents')) asked.push(`${api}${path}`)
      return api.endsWith('7482')
        ? [primaryStatus(FIRST, [{ store: storeOf(1), phase: 'copying', behindBlocks: 3 }])]
        : []
    })
    const [extent] = (await call('/v1/volumes/demo/extents')).body
    assert.deepEqual(extent.replicas[0], { node: 'n1', standing: 'joining', behindBlocks: 3 })
    assert.deepEqual(asked, [
      '127.0.0.1:7482/v1/local/extents?volume=demo',
      '127.0.0.1:7483/v1/local/extents?volume=demo',
    ])
  })

  it('are out, by an unknown number of blocks, where the primary did not respond', async (t) => {
    const view = demo(missing3)
    view.extents = [primaryStatus(FIRST, [{ store: storeOf(3), phase: 'opening', behindBlocks: 0 }])]
    const call = await serve(t, view)
    const [extent] = (await call('/v1/volumes/demo/extents')).body
    assert.deepEqual(extent.replicas[2], { node: 'n3', standing: 'out', behindBlocks: null })
    assert.equal(extent.state, 'degraded')
  })

  it('do not believe a node that says it is primary when the map names another one', async (t) => {
    const view = demo({
      extents: [extentRecord(1, 0, { primary: { store: storeOf(2), counter: 1 }, inSync: [storeOf(2), storeOf(1)] })],
    })
    view.extents = [primaryStatus(FIRST, [{ store: storeOf(3), phase: 'copying', behindBlocks: 9 }])]
    const call = await serve(t, view)
    const [extent] = (await call('/v1/volumes/demo/extents')).body
    assert.equal(extent.replicas[2].standing, 'out')
  })

  it('say which store has no free space, since when, and what to do', async (t) => {
    const view = demo()
    const space = {
      level: 'full',
      freeBytes: 50,
      since: '2026-01-01T00:00:00.000Z',
      reserves: { placement: 4, writes: 3, last: 2 },
    }
    const call = await serve(t, view, async (api, path) => {
      const local = await quietPeers(api, path)
      return path === '/v1/local' && api === '127.0.0.1:7482' ? { ...(local as object), space } : local
    })
    const full = /^n2 has been full since 2026-01-01T00:00:00.000Z: 0 MiB .* \(ENOSPC\)/m
    const todo = /^see how full the disk of n2 is: df -h \/data\ndelete what other programs put on that disk/m
    for (const what of ['volume/demo', 'extent/demo/0']) {
      const { body } = await call(`/v1/explain/${what}`)
      assert.equal(body.state, 'degraded', 'what refuses writes is not healthy')
      assert.match(body.problems.join('\n'), full, what)
      assert.match(body.todo.join('\n'), todo, what)
    }
    const node = await call('/v1/explain/node/n2')
    assert.match(node.body.problems.join(), /^it has been full since/)
    assert.match(node.body.todo.join('\n'), todo)
    const other = await call('/v1/explain/node/n1')
    assert.match(other.body.because.join(), /it has free space: 1024 MiB/)
    assert.deepEqual(other.body.todo, [])
    const cluster = await call('/v1/cluster')
    assert.equal(cluster.body.state, 'degraded')
    assert.match(cluster.body.reasons.join('\n'), full)
    assert.match(cluster.body.reasons.join('\n'), /^volume demo: writes are refused \(ENOSPC\), because n2 is full$/m)
    assert.match(cluster.body.todo.join('\n'), todo)
    const nodes = await call('/v1/nodes')
    assert.deepEqual(
      nodes.body.map((each: { space: { level: string } | null }) => each.space?.level),
      ['free', 'full', undefined],
    )
    assert.deepEqual((await call('/v1/nodes/n2')).body.space, space)
  })

  it('are explained with what is wrong and what to do', async (t) => {
    const nodes = [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })]
    const call = await serve(t, demo({ ...missing3, nodes }))
    const { body } = await call('/v1/explain/extent/demo/0')
    assert.equal(body.state, 'degraded')
    assert.deepEqual([body.problems, body.waitsFor], [['n3 is not in sync'], []])
    assert.match(body.todo[0], /^start n3 again/)
    assert.equal((await call('/v1/explain/extent/demo/5')).status, 404)
    assert.equal((await call('/v1/explain/volume/demo')).body.state, 'degraded')
    assert.equal((await call('/v1/explain/node/n3')).body.state, 'down')
  })

  it('name the command that starts a node again where `ashlar dev` made it', async (t) => {
    const view = demo({ nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })] })
    view.devDirectory = '/tmp/my cluster'
    const call = await serve(t, view)
    const { todo } = (await call('/v1/explain/node/n3')).body
    assert.equal(todo[0], "start n3 again: ashlar dev start n3 --data-dir '/tmp/my cluster'")
  })
})

describe('volumes', () => {
  it('are listed with the fields that scripts rely on', async (t) => {
    const holders = [{ session: 5 as never, mode: 'exclusive' as const, client: 'gateway on host' }]
    const call = await serve(t, demo({ volumes: [volumeRecord(1, 'demo', { holders, generation: 4 })] }))
    const [volume] = (await call('/v1/volumes')).body
    const { name, sizeBytes, blockSizeBytes, replicas, minInSync, state } = volume
    assert.deepEqual(
      { name, sizeBytes, blockSizeBytes, replicas, minInSync, state },
      { name: 'demo', sizeBytes: 2 ** 30, blockSizeBytes: 4096, replicas: 3, minInSync: 2, state: 'healthy' },
    )
    assert.deepEqual(
      [volume.holders, volume.generation],
      [
        [
          {
            ...{ session: 5, client: 'gateway on host', mode: 'exclusive' },
            ...{ owner: null, since: null, lastHeardMs: null, through: null },
          },
        ],
        4,
      ],
    )
  })

  it('are created through control with the defaults filled in', async (t) => {
    const view = demo()
    view.onCommand = () => {
      view.map = mapOf({ volumes: [volumeRecord(2, 'disk')], extents: [extentRecord(2, 0)] })
      return undefined
    }
    const call = await serve(t, view)
    const { status, body } = await call('/v1/volumes', {
      method: 'POST',
      payload: { name: 'disk', sizeBytes: 2 ** 30 },
    })
    assert.deepEqual([status, body.name], [201, 'disk'])
    assert.deepEqual(view.commands, [
      {
        ...{ do: 'create-volume', name: 'disk', sizeBytes: 2 ** 30, blockSizeBytes: 4096 },
        ...{ extentSizeBytes: 256 * 2 ** 20, replicas: 3, minInSync: 2 },
      },
    ])
  })

  it('are refused without a request to control when they are not valid, naming the field', async (t) => {
    const view = demo()
    const call = await serve(t, view)
    const refusals = [
      [{ name: 'Disk', sizeBytes: 4096 }, /name: a name is 1 to 63/],
      [{ name: 'disk', sizeBytes: 0 }, /sizeBytes/],
      [{ name: 'disk', sizeBytes: 5000 }, /size must be a multiple of the block size/],
      [
        { name: 'disk', sizeBytes: 2 ** 20, replicas: 2, minInSync: 3 },
        /minInSync must be a whole number from 1 to the 2 replicas, not 3/,
      ],
      [{ name: 'disk', sizeBytes: 2 ** 20, color: 'red' }, /color/],
      [{ sizeBytes: 2 ** 20 }, /name/],
    ] as const
    for (const [payload, expected] of refusals) {
      const { status, body } = await call('/v1/volumes', { method: 'POST', payload })
      assert.deepEqual([status, body.error.code], [400, 'USAGE'], JSON.stringify(payload))
      assert.match(body.error.message, expected)
    }
    assert.deepEqual(view.commands, [])
  })

  it('pass on what control refuses, with code, hint and status', async (t) => {
    const view = demo()
    view.onCommand = () => {
      throw new AshlarError('CONFLICT', 'volume demo is open', { hint: 'close it first' })
    }
    const call = await serve(t, view)
    const { status, body } = await call('/v1/volumes/demo', { method: 'DELETE' })
    assert.equal(status, 409)
    assert.deepEqual(body, { error: { code: 'CONFLICT', message: 'volume demo is open', hint: 'close it first' } })
  })

  it('are removed by name, and not found when there are none', async (t) => {
    const view = demo()
    const call = await serve(t, view)
    const removed = await call('/v1/volumes/demo', { method: 'DELETE' })
    assert.equal(removed.status, 204)
    assert.deepEqual(view.commands, [{ do: 'remove-volume', name: 'demo' }])
    const missing = await call('/v1/volumes/nowhere', { method: 'DELETE' })
    assert.deepEqual([missing.status, missing.body.error.message], [404, 'there is no volume nowhere'])
  })
})
