import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ApiClient } from '../src/api-client.ts'
import type { DeepReport } from '../src/check/deep.ts'
import { Damage, Unreadable, whatBecameOf } from '../src/check/problems.ts'
import { ashlar, fakeApi } from './kit.ts'

type Standing = 'in-sync' | 'joining' | 'out'
interface Held {
  readonly seq: number
  readonly checksum?: number
  readonly intact?: boolean
}

const CLUSTER = { state: 'healthy', reasons: [], notResponding: [] }

/** A cluster of three nodes with one volume of one extent; each node says what it holds of block 5 at each look. */
async function checked(
  t: TestContext,
  holds: Readonly<Record<string, (look: number) => Held | undefined>>,
  standings: (asked: number) => Readonly<Record<string, Standing>> = () => ({}),
) {
  const nodes: { id: string; api: string }[] = []
  for (const [id, hold] of Object.entries(holds)) {
    let look = 0
    const answer = () => {
      const held = hold(look++)
      const block = held === undefined ? [] : [{ block: 5, epoch: 1, kind: 'data', checksum: 7, intact: true, ...held }]
      return { body: { extent: 4096, blocks: block, nextBlock: null } }
    }
    const { url } = await fakeApi(t, { 'GET /v1/local/extents/4096/versions?firstBlock=0': answer })
    nodes.push({ id, api: url.replace('http://', '') })
  }
  let asked = 0
  const extents = () => {
    const told = standings(asked++)
    const replicas = nodes.map(({ id }) => ({ node: id, standing: told[id] ?? 'in-sync', behindBlocks: 0 }))
    return { body: [{ extent: 0, id: 4096, epoch: 1, primary: 'n1', replicas }] }
  }
  const { url, requests } = await fakeApi(t, {
    'GET /v1/cluster': { body: CLUSTER },
    'GET /v1/nodes': { body: nodes },
    'GET /v1/volumes': { body: [{ name: 'demo' }] },
    'GET /v1/volumes/demo': { body: { name: 'demo' } },
    'GET /v1/volumes/demo/extents': extents,
  })
  const check = async (...more: readonly string[]) => {
    const { code, out, error } = await ashlar(['cluster', 'check', '--deep', '-o', 'json', '--server', url, ...more])
    assert.ok(out !== '', error)
    const { deep, state } = JSON.parse(out) as { deep: DeepReport; state: string }
    return { code, deep, state }
  }
  return { check, requests, url }
}

const always = (held: Held | undefined) => () => held

describe('cluster check --deep', () => {
  it('is content where all copies are of one version and checksum', async (t) => {
    const { check } = await checked(t, { n1: always({ seq: 3 }), n2: always({ seq: 3 }), n3: always({ seq: 3 }) })
    const { code, deep } = await check()
    assert.equal(code, 0)
    assert.deepEqual([deep.extents, deep.replicas, deep.blocks, deep.findings, deep.problems], [1, 3, 3, [], []])
  })

  it('names volume, extent, block, and the version and checksum of each copy, and exits 8', async (t) => {
    const { check } = await checked(t, {
      n1: always({ seq: 3 }),
      n2: always({ seq: 3, checksum: 0xabc }),
      n3: always(undefined),
    })
    const { code, deep } = await check('--volume', 'demo')
    assert.equal(code, 8)
    assert.match(
      deep.problems[0] ?? '',
      /^demo\/0: block 5 differs: n1 has data 1\.3 with checksum 00000007, n2 has .*00000abc, n3 has nothing$/,
    )
    assert.deepEqual(deep.findings, [
      {
        ...{ kind: 'differs', volume: 'demo', extent: 0, block: 5 },
        copies: [
          { node: 'n1', version: '1.3', kind: 'data', checksum: '00000007', intact: true },
          { node: 'n2', version: '1.3', kind: 'data', checksum: '00000abc', intact: true },
          { node: 'n3', version: null, kind: null, checksum: null, intact: true },
        ],
      },
    ])
  })

  it('names the copy whose bytes do not match their checksum, and where it was not repaired', async (t) => {
    const { check } = await checked(t, { n1: always({ seq: 3 }), n2: always({ seq: 3, intact: false }) })
    const { code, deep, state } = await check()
    assert.deepEqual([code, state, deep.verdict], [8, 'damaged', 'damaged'])
    assert.deepEqual(deep.problems, ['1 damaged block on n2, found by this check and not repaired: demo/0 block 5'])
    assert.deepEqual(
      deep.findings[0]?.copies.map(({ intact }) => intact),
      [true, false],
    )
    assert.deepEqual(deep.findings[0]?.damage, { node: 'n2', repaired: false, from: ['n1'] })
  })

  it('says that damage was repaired, and from which nodes; also then it exits 8, and the state is not healthy', async (t) => {
    const rotten = (look: number) => ({ seq: 3, intact: look > 2 })
    const { check } = await checked(t, { n1: rotten, n2: always({ seq: 3 }), n3: always({ seq: 3 }) })
    const { code, deep, state } = await check()
    assert.deepEqual([code, state], [8, 'repaired'])
    assert.deepEqual(deep.problems, [
      '1 damaged block on n1, found by this check and repaired from n2 or n3: demo/0 block 5',
    ])
  })

  it('counts each block once for people', async (t) => {
    const { url } = await checked(t, { n1: always({ seq: 3 }), n2: always({ seq: 3 }), n3: always({ seq: 3 }) })
    const { out } = await ashlar(['cluster', 'check', '--deep', '--server', url])
    assert.match(out, /^State: +healthy\nCompared: +1 block of 1 extent, each on 3 replicas\nProblems: +none$/m)
  })

  it('takes no write that is on its way for a difference: it asks again', async (t) => {
    const { check } = await checked(t, { n1: always({ seq: 4 }), n2: (look) => ({ seq: look < 3 ? 3 : 4 }) })
    const { code, deep } = await check()
    assert.deepEqual([code, deep.problems, deep.changing], [0, [], 0])
  })

  it('counts a block that is written at every look as changing, and as nothing wrong', async (t) => {
    const { check } = await checked(t, { n1: (look) => ({ seq: look + 2 }), n2: (look) => ({ seq: look + 1 }) })
    const { code, deep } = await check()
    assert.deepEqual([code, deep.problems, deep.changing], [0, [], 1])
  })

  it('leaves out a replica that is not in sync, also one that left while it was compared', async (t) => {
    const { check } = await checked(
      t,
      { n1: always({ seq: 4 }), n2: always({ seq: 3 }), n3: always({ seq: 1 }) },
      (asked) => ({ n2: asked === 0 ? 'in-sync' : 'joining', n3: 'out' }),
    )
    const { code, deep } = await check()
    assert.deepEqual([code, deep.problems, deep.outOfSync, deep.replicas], [0, [], 1, 2])
  })
})

describe('the lines of a deep check', () => {
  it('group damaged blocks by node, as ranges, those that were repaired and those that were not', () => {
    const damage = new Damage()
    const of = (node: string, block: number, repaired: boolean) =>
      damage.add({ node, name: 'demo/0', block, repaired, from: ['n2'] })
    for (const block of [3, 4, 5, 9]) of('n1', block, true)
    of('n3', 7, false)
    damage.add({ node: 'n2', name: 'demo/1', block: 1, repaired: true, from: ['n1'] })
    damage.add({ node: 'n2', name: 'demo/3', block: 4, repaired: true, from: ['n3'] })
    for (let block = 20; block < 40; block += 2) of('n3', block, true)
    assert.deepEqual(damage.lines(), [
      '4 damaged blocks on n1, found by this check and repaired from n2: demo/0 blocks 3-5, 9',
      '11 damaged blocks on n3, found by this check, 10 of them repaired from n2, 1 not repaired: ' +
        'demo/0 blocks 7, 20, 22, 24, 26, 28, 30, 32 and 3 more',
      '2 damaged blocks on n2, found by this check and repaired from n1 or n3: demo/1 block 1; demo/3 block 4',
    ])
    assert.deepEqual([damage.isLeftOn('n1'), damage.isLeftOn('n3'), damage.isLeftOn()], [false, true, true])
  })

  it('group replicas that could not be read by node, with why the node is down', async (t) => {
    const unreadable = new Unreadable()
    for (const extent of ['demo/0', 'demo/1', 'demo/1']) unreadable.add('n1', extent, 'no node responds')
    assert.deepEqual(unreadable.lines(), [
      '2 replicas on n1 could not be read, and were not compared further: demo/0, demo/1: no node responds',
    ])
    const { url } = await fakeApi(t, {
      'GET /v1/nodes/n1': { body: { state: 'down', whyDown: { because: ['no process listens there'], todo: [] } } },
      'GET /v1/local/scrub': {
        body: { reasonToLeave: 'too many repairs', current: null, last: { damagedBlocks: 3, startedAt: 'Monday' } },
      },
    })
    const api = new ApiClient([url])
    assert.deepEqual(await whatBecameOf('n1', api, new ApiClient(['http://127.0.0.1:2'])), [
      'n1 is down: no process listens there',
    ])
    assert.deepEqual(await whatBecameOf('n1', api, api), [
      'the scrub of n1 found 3 damaged blocks in its pass of Monday',
      'the store of n1 is suspect: too many repairs',
    ])
  })
})
