import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AshlarError, type Epoch, epochOf, type ForcedPromotion, NO_INCARNATION } from '@ashlar/proto'
import { extentRecord, GIB, nodeRecord, primaryStatus, replicaStatus, storeOf, volumeRecord } from './fake-view.ts'
import { demo, FIRST, quietPeers, serve } from './served.ts'

const FORCE = '/v1/volumes/demo/extents/0/force-primary'

/** n2 alone holds every acknowledged write, and is down; n1 (the node that is asked) and n3 are behind. */
function stuck() {
  const view = demo({
    nodes: [nodeRecord(1), nodeRecord(2, { state: 'down' }), nodeRecord(3)],
    extents: [
      extentRecord(1, 0, { epoch: 4 as Epoch, primary: { store: storeOf(2), counter: 1 }, inSync: [storeOf(2)] }),
    ],
  })
  view.extents = [{ ...replicaStatus(FIRST), lastEpoch: 3 as Epoch, lastSeq: 7 as never, commitSeq: 6 as never }]
  return view
}
const n3: typeof quietPeers = async (api, path) =>
  path.startsWith('/v1/local/extents')
    ? [{ ...replicaStatus(FIRST), lastEpoch: 3, lastSeq: 9, commitSeq: 9 }]
    : await quietPeers(api, path)
const forced = (changes: Partial<ForcedPromotion> = {}): ForcedPromotion => ({
  ...{ extent: FIRST, epoch: 5 as Epoch, store: storeOf(1), acknowledged: false, changedAt: 7 },
  ...changes,
})

describe('a primary by force', () => {
  it('is reported before it is done: what would go on, and what others know to be lost by it', async (t) => {
    const call = await serve(t, stuck(), n3)
    const { status, body } = await call(`${FORCE}/n1`)
    assert.equal(status, 200)
    assert.equal(body.possible, true)
    assert.deepEqual(body.because, ['it has no primary: only n2 holds every acknowledged write'])
    assert.deepEqual(body.replica, { node: 'n1', state: 'up', lastEpoch: 3, lastSeq: 7, commitSeq: 6 })
    assert.deepEqual(body.others, [
      { node: 'n2', state: 'down', lastEpoch: null, lastSeq: null, commitSeq: null },
      { node: 'n3', state: 'up', lastEpoch: 3, lastSeq: 9, commitSeq: 9 },
    ])
    assert.match(body.mayBeLost[0], /last write on n1 is epoch 3, seq 7/)
    assert.match(body.mayBeLost[1], /n3 knows that writes up to seq 9 were acknowledged: with it less is lost/)
    assert.match(body.mayBeLost[2], /n2 held is overwritten once they are back/)
  })

  it('is not done without acceptDataLoss, and the refusal says what may be lost', async (t) => {
    const view = stuck()
    const call = await serve(t, view)
    const { status, body } = await call(FORCE, { method: 'POST', body: { node: 'n1' } })
    assert.deepEqual([status, body.error.code], [409, 'CONFLICT'])
    assert.match(body.error.message, /demo\/0 was not changed: the last write on n1 is epoch 3, seq 7/)
    assert.deepEqual(view.commands, [])
  })

  it('is one command of control, by the id of the store', async (t) => {
    const view = stuck()
    const call = await serve(t, view)
    const { status } = await call(FORCE, { method: 'POST', body: { node: 'n1', acceptDataLoss: true } })
    assert.equal(status, 200)
    assert.deepEqual(view.commands, [{ do: 'force-primary', extent: FIRST, store: storeOf(1) }])
  })

  it('of an extent that is served is reported as needless, and control decides', async (t) => {
    const view = demo()
    const call = await serve(t, view)
    const { body } = await call(`${FORCE}/n2`)
    assert.deepEqual([body.possible, body.because], [false, ['n1 serves it: there is nothing to force']])
    view.onCommand = () => {
      throw new AshlarError('CONFLICT', 'n1 serves extent 0 of demo')
    }
    const refused = await call(FORCE, { method: 'POST', body: { node: 'n2', acceptDataLoss: true } })
    assert.deepEqual([refused.status, refused.body.error.message], [409, 'n1 serves extent 0 of demo'])
  })

  it('of what does not exist is NOT_FOUND', async (t) => {
    const call = await serve(t, stuck())
    for (const path of [`${FORCE}/n9`, '/v1/volumes/demo/extents/9/force-primary/n1'])
      assert.equal((await call(path)).status, 404, path)
  })
})

describe('a volume whose extents got primaries by force', () => {
  it('is degraded and says so everywhere until that is acknowledged', async (t) => {
    const view = demo()
    view.map.forced.set(FIRST, forced())
    const call = await serve(t, view)
    const { body } = await call('/v1/volumes/demo')
    assert.equal(body.state, 'degraded')
    assert.deepEqual(body.forced, [{ extent: 0, node: 'n1', epoch: 5, acknowledged: false, reconciled: false }])
    assert.deepEqual(body.reasons, ['acknowledged writes may be lost in extent 0, which had a primary forced'])
    const explained = (await call('/v1/explain/volume/demo')).body
    assert.ok(explained.todo.includes('ashlar volume acknowledge-loss demo'))
    const extent = (await call('/v1/explain/extent/demo/0')).body
    assert.match(extent.because.join('\n'), /n1 was made primary by force in epoch 5: .* this is not acknowledged yet/)
    assert.equal((await call('/v1/cluster')).body.state, 'degraded')

    view.map.forced.set(FIRST, forced({ acknowledged: true }))
    const after = (await call('/v1/volumes/demo')).body
    assert.deepEqual([after.state, after.forced.length], ['healthy', 1], 'it stays in its history')
  })

  it('says so likewise where suspect stores were reconciled', async (t) => {
    const view = demo()
    view.map.forced.set(FIRST, forced({ merged: true }))
    const call = await serve(t, view)
    const { body } = await call('/v1/volumes/demo')
    assert.deepEqual([body.state, body.forced[0].reconciled], ['degraded', true])
    assert.deepEqual(body.reasons, [
      'acknowledged writes may be lost in extent 0, which was reconciled from suspect stores',
    ])
    const { because } = (await call('/v1/explain/extent/demo/0')).body
    assert.match(
      because.join('\n'),
      /n1 became primary to reconcile the suspect stores that were left, in epoch 5: .* may be lost/,
    )
  })

  it("says of a voter for how long its disk has not saved what control's log holds, and what comes of it", async (t) => {
    const view = demo()
    const voters = [1, 2, 3].map((number) => ({ store: storeOf(number), address: `n${number}:7000` }))
    const members = { voters, learners: [] }
    const log = { role: 'follower', recovering: false, term: 3, leader: storeOf(2), lastIndex: 9, commit: 8 } as const
    view.controlLog = { ...log, applied: 7, snapshotIndex: 0, members, diskWaitedMs: 42_000, followers: [] }
    const call = await serve(t, view)
    const says = async () => (await call('/v1/explain/node/n1')).body.problems.join('\n')
    for (const path of ['/v1/explain/node/n1', '/v1/cluster']) {
      const todo = (await call(path)).body.todo.join('\n')
      assert.match(todo, /see which threads of n1 wait for its disk \(STAT D\): ps -L .* -p \d+/, path)
      assert.match(todo, /kill -KILL \d+/, path)
    }
    assert.match(await says(), /has not completed a write to control's log for 42 s: another voter leads meanwhile/)
    view.controlLog = { ...view.controlLog, members: { voters: voters.slice(0, 1), learners: [] } }
    assert.match(await says(), /for 42 s: it is the only voter, so control decides nothing until it does/)
    view.controlLog = { ...view.controlLog, diskWaitedMs: 200 }
    assert.doesNotMatch(await says(), /control's log/)
  })

  it('says of each suspect store what made it suspect, also during a reconciliation', async (t) => {
    const trust = 'suspect'
    const view = demo({
      nodes: [nodeRecord(1, { trust }), nodeRecord(2, { trust }), nodeRecord(3, { trust })],
      extents: [extentRecord(1, 0, { epoch: 5 as Epoch })],
    })
    view.suspicion = 'batch 7 is missing from the journal, batch 9 follows'
    view.map.forced.set(FIRST, forced({ merged: true }))
    const reconciling = [1, 2, 3].map((number) => ({ store: storeOf(number), phase: 'ready' as const }))
    view.extents = [{ ...primaryStatus(FIRST, []), phase: 'recovering', reconciling }]
    const call = await serve(t, view, async (api, path) => {
      if (path === '/v1/local' && api.endsWith('3')) throw new Error('refused')
      return await quietPeers(api, path)
    })
    const { body } = await call('/v1/explain/extent/demo/0')
    assert.equal(body.state, 'unavailable')
    assert.deepEqual(body.problems, [
      'only suspect stores of it are left, and n1 reconciles the contents of n1, n2, n3',
    ])
    assert.deepEqual(body.waitsFor, ['n1, which compares them block by block'])
    assert.deepEqual(
      body.because.filter((line: string) => line.includes('is suspect')),
      [
        'the store of n1 is suspect: batch 7 is missing from the journal, batch 9 follows',
        'the store of n2 is suspect: control saw two data directories with its identity, one of which is a copy',
        'the store of n3 is suspect: the reason is unknown, since the node is not running or does not respond',
      ],
    )
    const node = (await call('/v1/explain/node/n1')).body
    assert.match(node.because.join('\n'), /and is suspect: batch 7 is missing from the journal/)
    assert.equal((await call('/v1/volumes/demo')).body.state, 'unavailable')
  })

  it('is acknowledged by one command', async (t) => {
    const view = demo()
    const call = await serve(t, view)
    assert.equal((await call('/v1/volumes/demo/acknowledge-loss', { method: 'POST' })).status, 200)
    assert.deepEqual(view.commands, [{ do: 'acknowledge-loss', name: 'demo' }])
    assert.equal((await call('/v1/volumes/none/acknowledge-loss', { method: 'POST' })).status, 404)
  })

  it('explain names the last resort only where every full copy is down', async (t) => {
    const call = await serve(t, stuck())
    const { todo } = (await call('/v1/explain/extent/demo/0')).body
    assert.ok(todo.includes('see what a forced promotion would lose: ashlar extent force-primary demo/0 --node n3'))
    const well = await serve(t, demo())
    assert.deepEqual((await well('/v1/explain/extent/demo/0')).body.todo, [])
  })
})

describe('what only a person can end', () => {
  it('is reported of an extent whose primary lost acknowledged writes and has no replacement', async (t) => {
    const gaveUp = extentRecord(1, 0, {
      ...{ primary: { store: storeOf(2), counter: NO_INCARNATION }, inSync: [storeOf(2)], epoch: 2 as Epoch },
    })
    const call = await serve(t, demo({ extents: [gaveUp] }))
    const { state, problems, todo } = (await call('/v1/explain/extent/demo/0')).body
    assert.equal(state, 'unavailable')
    assert.match(
      problems[0],
      /^n2 lost acknowledged writes that another replica has evidence of, and released the extent/,
    )
    assert.ok(todo.includes('see what a forced promotion would lose: ashlar extent force-primary demo/0 --node n1'))
    const report = (await call(`${FORCE}/n1`)).body
    assert.equal(report.possible, true)
  })

  it('is reported of an extent that a recovery of the cluster did not find', async (t) => {
    const missing = extentRecord(1, 0, {
      ...{ primary: { store: storeOf(1), counter: NO_INCARNATION }, inSync: [storeOf(1)], epoch: epochOf(1, 1) },
    })
    const call = await serve(t, demo({ extents: [missing] }))
    const { state, problems, because, todo } = (await call('/v1/explain/extent/demo/0')).body
    assert.equal(state, 'unavailable')
    assert.deepEqual(because, ['no node is known to have a replica of it that counts'])
    assert.match(problems[0], /^none of its stores was among the directories that the cluster was recovered from/)
    assert.ok(todo.includes('see what a forced promotion would lose: ashlar extent force-primary demo/0 --node n1'))
    const report = (await call(`${FORCE}/n1`)).body
    assert.deepEqual([report.possible, report.mayBeLost.length], [true, 1])
    assert.match(report.mayBeLost[0], /^everything that was ever written to the extent and is not on n1/)
  })

  it('is reported of damaged blocks without a good copy', async (t) => {
    const view = demo()
    view.extents = [{ ...primaryStatus(FIRST, []), damagedBlocks: 2 }]
    const call = await serve(t, view)
    assert.match(
      (await call('/v1/explain/extent/demo/0')).body.problems[0],
      /^2 blocks on n1 are damaged, and no replica/,
    )
  })
})

describe('a node that is declared lost', () => {
  it('is reported before: what only it holds, what is copied again, and what has no node to go to', async (t) => {
    const one = storeOf(3)
    const view = demo({
      nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' }), nodeRecord(4)],
      volumes: [volumeRecord(1, 'demo', { sizeBytes: 3 * GIB })],
      extents: [
        extentRecord(1, 0, { inSync: [one], primary: { store: one, counter: 1 } }),
        extentRecord(1, 1, { inSync: [storeOf(1), one] }),
        extentRecord(1, 2),
      ],
    })
    const call = await serve(t, view)
    const { body } = await call('/v1/nodes/n3/lost')
    assert.deepEqual([body.possible, body.replicas, body.onlyHere], [true, 2, ['demo/0']])
    assert.match(body.costs[0], /^only it holds every acknowledged write of demo\/0: these have no primary until/)
    assert.equal(body.costs[1], 'demo/1 is left with one replica in sync until others are copied')
    assert.equal(body.costs[2], '2 replicas are copied to other nodes in full')
    assert.match(body.costs[3], /^it is a voter of control/)
    assert.equal(body.costs.length, 4)
    view.map.nodes.delete(storeOf(4))
    const alone = (await call('/v1/nodes/n3/lost')).body
    assert.equal(alone.costs[2], '2 replicas have no node to go to, until another node joins')
  })

  it('is refused without acceptDataLoss and while it is up, and is one command of control otherwise', async (t) => {
    const view = demo({ nodes: [nodeRecord(1), nodeRecord(2), nodeRecord(3, { state: 'down' })] })
    const call = await serve(t, view)
    const up = await call('/v1/nodes/n2/lost', { method: 'POST', body: { acceptDataLoss: true } })
    assert.deepEqual([up.status, up.body.error.code], [409, 'CONFLICT'])
    assert.match(up.body.error.message, /n2 was not changed: it is up: stop it first/)
    const careless = await call('/v1/nodes/n3/lost', { method: 'POST', body: {} })
    assert.match(careless.body.error.message, /1 replica has no node to go to/)
    assert.deepEqual(view.commands, [])
    const { status } = await call('/v1/nodes/n3/lost', { method: 'POST', body: { acceptDataLoss: true } })
    assert.equal(status, 200)
    assert.deepEqual(view.commands, [{ do: 'lose-store', store: storeOf(3) }])
  })

  it('is shown as such for as long as an extent has no other full copy', async (t) => {
    const view = stuck()
    view.map.gone = new Set([storeOf(2)])
    const call = await serve(t, view)
    assert.equal((await call('/v1/nodes/n2')).body.declaredLost, true)
    assert.match((await call('/v1/explain/node/n2')).body.problems[0], /declared permanently lost/)
    assert.match((await call('/v1/explain/extent/demo/0')).body.problems[0], /n2 is declared permanently lost/)
  })
})
