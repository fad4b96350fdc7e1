import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { DeepReport } from '../src/check/deep.ts'
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
    return { code, deep: (JSON.parse(out) as { deep: DeepReport }).deep }
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

  it('names the copy whose bytes do not match their checksum', async (t) => {
    const { check } = await checked(t, { n1: always({ seq: 3 }), n2: always({ seq: 3, intact: false }) })
    const { code, deep } = await check()
    assert.equal(code, 8)
    assert.deepEqual(deep.problems, ['demo/0: block 5 on n2 does not match its checksum'])
    assert.deepEqual(
      deep.findings[0]?.copies.map(({ intact }) => intact),
      [true, false],
    )
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
