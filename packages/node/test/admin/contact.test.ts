import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MapCopy } from '@ashlar/proto'
import { extentRecord, type FakeView, nodeRecord, primaryStatus, storeOf, volumeRecord } from './fake-view.ts'
import { demo, FIRST, quietPeers, serve } from './served.ts'

const NOW = ['healthy', 'recovering', 'degraded']

/** n1 alone: its lease ended 40 s ago, and nothing of n2 and n3 arrives. The map still counts both as up. */
function cutOff(): FakeView {
  const view = demo()
  view.leaseHeld = false
  view.leader = undefined
  view.mapAgeMs = 40_000
  for (const number of [2, 3]) view.silent.add(storeOf(number))
  return view
}

describe('a node that is cut off from control', () => {
  it('says of nothing that it is well, and how old its map is', async (t) => {
    const call = await serve(t, cutOff())
    const why =
      /^n1 is cut off from control: 1 of 3 voters responds \(n1\), and control needs 2; its map is from .*Z, 40 s old$/
    const cluster = (await call('/v1/cluster')).body
    assert.deepEqual([cluster.state, cluster.nodesUp, cluster.mapIsCurrent], ['unavailable', 1, false])
    assert.deepEqual([cluster.votersResponding, cluster.majority, cluster.mapAgeMs], [['n1'], 2, 40_000])
    assert.deepEqual(cluster.extents, { healthy: 0, recovering: 0, degraded: 0, unavailable: 0, unknown: 1 })
    assert.equal(cluster.reasons.length, 1)
    assert.match(cluster.reasons[0], why)
    const [volume] = (await call('/v1/volumes')).body
    assert.equal(volume.state, 'unknown')
    assert.match(volume.reasons[0], why)
    assert.equal((await call('/v1/volumes/demo/extents')).body[0].state, 'unknown')
    const nodes = (await call('/v1/nodes')).body
    assert.deepEqual(
      nodes.map(({ state }: { state: string }) => state),
      ['up', 'unknown', 'unknown'],
    )
    for (const path of ['cluster', 'volume/demo', 'extent/demo/0', 'node/n1', 'node/n2']) {
      const { state, problems, because, waitsFor, todo } = (await call(`/v1/explain/${path}`)).body
      assert.ok(!NOW.includes(state), `${path} is ${state}`)
      assert.match(problems[0], why, path)
      assert.deepEqual(waitsFor, ['1 more voter to respond, of n2, n3'], path)
      assert.match(todo[0], /^start n2 again/, path)
      if (path !== 'cluster') for (const line of because) assert.match(line, /^at .*Z: /, path)
    }
  })

  it('names the commands up to the recovery from its own directory', async (t) => {
    const view = cutOff()
    view.devDirectory = '/data'
    const { todo } = (await (await serve(t, view))('/v1/cluster')).body
    assert.deepEqual(todo, [
      'start n2 again: ashlar dev start n2 --data-dir /data',
      'start n3 again: ashlar dev start n3 --data-dir /data',
      'if the data directories of n2, n3 are gone for good, stop n1 and the gateway: ashlar dev stop n1 gateway --data-dir /data',
      'if the data directories of n2, n3 are gone for good, then see what a new cluster of what is left would lose: ashlar cluster recover --from /data/n1',
    ])
  })

  it('knows nothing after a restart, rather than that there is nothing', async (t) => {
    const view = cutOff()
    view.knownVoters = view.map.voters
    view.map = new MapCopy()
    view.mapAgeMs = undefined
    const call = await serve(t, view)
    const cluster = (await call('/v1/cluster')).body
    assert.equal(cluster.state, 'unavailable')
    assert.match(cluster.reasons[0], /1 of 3 voters responds .*; it has received no map since it started$/)
    assert.match(
      cluster.todo.at(-1),
      /\(add the directories of other nodes that are left\): ashlar cluster recover --from \/data\/n1$/,
    )
    for (const path of ['/v1/volumes', '/v1/volumes/demo', '/v1/explain/volume/demo', '/v1/explain/node/n2']) {
      const { status, body } = await call(path)
      assert.deepEqual([status, body.error?.code], [503, 'NO_CONTROL'], path)
      assert.match(body.error.message, /^n1 is cut off from control/)
    }
    const explained = (await call('/v1/explain/cluster')).body
    assert.match(explained.todo[0], /^start 127\.0\.0\.1:7582 again/)
  })

  it('counts no voter that lost its log, where too few are left to restore it', async (t) => {
    const view = cutOff()
    view.silent.delete(storeOf(2))
    const control = {
      ...{ role: 'follower', recovering: true, term: 3, lastIndex: 0, commit: 0, applied: 0, snapshotIndex: 0 },
      ...{ diskWaitedMs: 0, voters: [], learners: [] },
    }
    const call = await serve(t, view, async (api, path) => {
      const answer = await quietPeers(api, path)
      return path === '/v1/local' ? { ...(answer as object), control } : answer
    })
    const { problems, todo } = (await call('/v1/explain/cluster')).body
    assert.match(problems[0], /^n1 knows no leader of control, although 2 of 3 voters respond/)
    assert.match(problems[1], /^n2 lost its copy of control's log/)
    assert.match(todo[0], /^start n3 again/)
    assert.match(todo.at(-1), /^if n3, n2 cannot bring control's log back, then .*: ashlar cluster recover/)
  })

  it('says that control elects a leader while a majority responds, and what the leader keeps from it', async (t) => {
    const view = cutOff()
    view.silent.clear()
    const call = await serve(t, view)
    const electing = (await call('/v1/explain/cluster')).body
    assert.match(electing.problems[0], /^n1 knows no leader of control, although 3 of 3 voters respond/)
    assert.deepEqual([electing.waitsFor, electing.todo.length], [['a leader of control'], 1])
    view.leader = storeOf(2)
    view.readiness = { ready: false, reason: 'another store has the name n1' }
    const refused = (await call('/v1/explain/cluster')).body
    assert.match(refused.problems[0], /^n1 has no lease of n2, which leads control: another store has the name n1;/)
    assert.match(refused.todo[0], /: ashlar cluster info --server http:\/\/127\.0\.0\.1:7482$/)
  })
})

describe('a node that does not respond while its lease holds', () => {
  const silent3 = (minInSync: number) => {
    const view = demo({ volumes: [volumeRecord(1, 'demo', { minInSync })] })
    view.silent.add(storeOf(3))
    return view
  }
  const counted = 'n3 does not respond, and is counted until its lease ends'

  it('leaves no volume healthy, and none that needs it available', async (t) => {
    const enough = (await (await serve(t, silent3(2)))('/v1/cluster')).body
    assert.deepEqual([enough.state, enough.nodesUp], ['degraded', 2])
    assert.deepEqual(enough.reasons, [counted, `volume demo: ${counted}`])
    assert.deepEqual(enough.todo, ['see why n3 does not respond: ashlar explain node n3', ...upgrades(enough.todo)])
    const strict = (await (await serve(t, silent3(3)))('/v1/volumes/demo')).body
    assert.equal(strict.state, 'unavailable')
    assert.deepEqual(strict.reasons, [`${counted}: 2 of its 3 in-sync replicas respond, and writes need 3`])
  })

  it('leaves its extents unavailable where it is their primary', async (t) => {
    const view = silent3(2)
    const call = await serve(t, view)
    view.silent.add(storeOf(1))
    view.map.extents.set(FIRST, extentRecord(1, 0, { primary: { store: storeOf(3), counter: 1 } }))
    const extent = (await call('/v1/explain/extent/demo/0')).body
    assert.equal(extent.state, 'unavailable')
    assert.deepEqual(extent.problems, [`its primary ${counted}`])
    assert.deepEqual(extent.waitsFor, ['control to name another primary'])
  })
})

describe('what to do for a cluster', () => {
  const commands = async (t: Parameters<typeof serve>[0], view: FakeView) => {
    view.map.featureLevel = 99
    const { todo, state } = (await (await serve(t, view))('/v1/cluster')).body as { todo: string[]; state: string }
    return { todo, state }
  }

  it('names the cluster of `ashlar dev` in every command that requests something of it', async (t) => {
    const view = demo({ nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })] })
    view.devDirectory = '/data'
    const { todo } = await commands(t, view)
    assert.deepEqual(todo, [
      'start n3 again: ashlar dev start n3 --data-dir /data',
      'if n3 never comes back, see what declaring it lost costs: ashlar node lost n3 --data-dir /data',
    ])
    view.leaseHeld = false
    view.leader = storeOf(2)
    const { todo: cutOff } = (await (await serve(t, view))('/v1/explain/volume/demo')).body
    assert.match(cutOff[0], /: ashlar cluster info --server http:\/\/127\.0\.0\.1:7482$/)
  })

  it('is nothing while it is healthy', async (t) => {
    assert.deepEqual(await commands(t, demo()), { todo: [], state: 'healthy' })
  })

  it('is to let more nodes vote where control does not survive the loss of one', async (t) => {
    const view = demo()
    view.knownVoters = view.map.voters.slice(0, 1)
    const { todo, state } = await commands(t, view)
    assert.equal(state, 'healthy', 'everything is served')
    assert.deepEqual(todo, [
      'control has 1 voter, and stops when one is down; let n2 follow its log: ashlar cluster membership add n2',
      'once n2 has caught up, let it vote: ashlar cluster membership promote n2',
      'control has 1 voter, and stops when one is down; let n3 follow its log: ashlar cluster membership add n3',
      'once n3 has caught up, let it vote: ashlar cluster membership promote n3',
    ])
    view.knownVoters = view.map.voters
    view.map.nodes.set(storeOf(4), nodeRecord(4))
    view.map.gone = new Set([storeOf(3)])
    const replaced = (await commands(t, view)).todo.join('\n')
    assert.match(replaced, /control has 2 voters, .*: ashlar cluster membership add n4$/m)
    assert.match(replaced, new RegExp(`: ashlar cluster membership remove ${storeOf(3)}$`, 'm'))
  })

  it('asks for nothing where too few nodes could vote', async (t) => {
    const view = demo({ nodes: [nodeRecord(1), nodeRecord(2)], extents: [], volumes: [] })
    view.knownVoters = view.map.voters.slice(0, 1)
    assert.deepEqual((await commands(t, view)).todo, [])
  })

  it('is to start what is down, to acknowledge what may be lost, and to wait for copies', async (t) => {
    const down = demo({ nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })] })
    down.map.forced.set(FIRST, {
      extent: FIRST,
      epoch: 5 as never,
      store: storeOf(1),
      acknowledged: false,
      changedAt: 7,
    })
    const { todo } = await commands(t, down)
    assert.match(todo[0] ?? '', /^start n3 again/)
    assert.match(todo.join('\n'), /: ashlar node lost n3$/m)
    assert.match(todo.join('\n'), /: ashlar volume acknowledge-loss demo$/m)
    const copying = demo({ extents: [extentRecord(1, 0, { inSync: [storeOf(1), storeOf(2)] })] })
    copying.extents = [primaryStatus(FIRST, [{ store: storeOf(3), phase: 'copying', behindBlocks: 120 }])]
    const { todo: wait, state } = await commands(t, copying)
    assert.equal(state, 'recovering')
    assert.match(wait.join(), /: ashlar cluster wait --for healthy --timeout 10m$/)
  })

  it('is to look at nodes that respond to nothing, are declared lost, suspect, or restore their log', async (t) => {
    const view = demo({
      nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' }), nodeRecord(4, { trust: 'suspect' })],
    })
    view.map.featureLevel = 99
    view.map.gone = new Set([storeOf(3)])
    const call = await serve(t, view, async (api, path) => {
      if (api.endsWith('7482')) throw new Error('connection refused')
      return await quietPeers(api, path)
    })
    const { todo } = (await call('/v1/cluster')).body
    assert.ok(todo.includes('see why n2 does not respond: ashlar explain node n2'), todo.join())
    assert.ok(
      todo.includes('see which extents still need n3, which is declared lost: ashlar explain node n3'),
      todo.join(),
    )
    assert.ok(todo.includes('see what n4 waits for: ashlar explain node n4'), todo.join())
  })

  it('leads to the extent that cannot be served', async (t) => {
    const dead = { extents: [extentRecord(1, 0), extentRecord(1, 1, { inSync: [storeOf(1)] })] }
    const call = await serve(t, demo(dead))
    const { todo } = (await call('/v1/cluster')).body
    assert.ok(todo.includes('see what volume demo waits for: ashlar explain volume demo'), todo.join())
    const volume = (await call('/v1/explain/volume/demo')).body
    assert.ok(
      volume.todo.includes('see what can be done for extent demo/1: ashlar explain extent demo/1'),
      volume.todo.join(),
    )
  })

  it('is to upgrade the older of two builds', async (t) => {
    const view = demo()
    Object.assign(view, { version: '1.3.0' })
    const { todo } = await commands(t, view)
    assert.deepEqual(todo, ['upgrade the older of these builds, one node after the other: n1 1.3.0; n2, n3 1.2.3'])
  })
})

function upgrades(todo: readonly string[]): string[] {
  return todo.filter((line) => line.startsWith('upgrade '))
}
