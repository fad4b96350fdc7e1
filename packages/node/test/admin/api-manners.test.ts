import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BLOCK_DATA, BLOCK_TRIM, type Epoch, type Seq } from '@ashlar/proto'
import { demo, FIRST, serve } from './served.ts'

describe('versions of blocks', () => {
  it('are returned page by page, with whether each was intact', async (t) => {
    const view = demo()
    const version = { epoch: 1 as Epoch, seq: 3 as Seq, checksum: 77 }
    view.blocks = new Map([
      [
        FIRST,
        [
          { ...version, block: 1, kind: BLOCK_DATA, intact: true },
          { ...version, block: 4097, kind: BLOCK_TRIM, intact: false },
        ],
      ],
    ])
    const call = await serve(t, view)
    const first = (await call(`/v1/local/extents/${FIRST}/versions`)).body
    assert.deepEqual(first, {
      extent: FIRST,
      blocks: [{ block: 1, epoch: 1, seq: 3, kind: 'data', checksum: 77, intact: true }],
      nextBlock: 4096,
    })
    const second = (await call(`/v1/local/extents/${FIRST}/versions?firstBlock=${first.nextBlock}`)).body
    assert.deepEqual([second.blocks[0].kind, second.blocks[0].intact], ['trim', false])
    const last = (await call(`/v1/local/extents/${FIRST}/versions?firstBlock=${262_144 - 4096}`)).body
    assert.equal(last.nextBlock, null)
  })

  it('are not found for an extent that is not in the map or not here', async (t) => {
    const call = await serve(t, demo())
    assert.match((await call('/v1/local/extents/9999/versions')).body.error.message, /the map has no extent 9999/)
    assert.match((await call(`/v1/local/extents/${FIRST}/versions`)).body.error.message, /this node has no replica/)
  })
})

describe('the API as a whole', () => {
  it('describes itself, and answers every path that it describes', async (t) => {
    const view = demo()
    view.blocks = new Map([[FIRST, []]])
    const call = await serve(t, view)
    const { body } = await call('/openapi.json')
    assert.equal(body.openapi, '3.1.0')
    assert.equal(body.info.version, '1.2.3')
    const names: Record<string, string> = { id: 'n1', name: 'demo', number: '0' }
    for (const [path, methods] of Object.entries<Record<string, unknown>>(body.paths)) {
      assert.ok(Object.keys(methods).length > 0, path)
      if (methods['get'] === undefined) continue
      const url = path.replace('extents/{id}', `extents/${FIRST}`).replace('node/{name}', 'node/n1')
      const { status } = await call(url.replace(/\{(\w+)\}/g, (_, name: string) => names[name] ?? ''))
      assert.equal(status, 200, path)
    }
    for (const name of Object.keys(body.components.schemas)) {
      assert.ok(JSON.stringify(body).includes(`"#/components/schemas/${name}"`), `${name} is used`)
    }
  })

  it('answers every mistake in one form', async (t) => {
    const call = await serve(t, demo())
    const nowhere = await call('/v1/nowhere?token=secret')
    assert.deepEqual([nowhere.status, nowhere.body.error.message], [404, 'there is no GET /v1/nowhere'])
    const broken = await call('/v1/volumes', {
      method: 'POST',
      payload: '{',
      headers: { 'content-type': 'application/json' },
    })
    assert.deepEqual([broken.status, broken.body.error.code], [400, 'USAGE'])
    const polluted = await call('/v1/volumes', {
      method: 'POST',
      payload: '{"__proto__":{"polluted":1},"name":"a","sizeBytes":4096}',
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(polluted.status, 400)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })

  it('leaves the stack of an unexpected error out of the response', async (t) => {
    const view = demo()
    view.onCommand = () => {
      throw new TypeError('secret detail')
    }
    const call = await serve(t, view)
    const { status, body } = await call('/v1/volumes/demo', { method: 'DELETE' })
    assert.deepEqual([status, body.error.code], [500, 'INTERNAL'])
    assert.doesNotMatch(JSON.stringify(body), /secret detail/)
  })

  it('refuses a body that is larger than any request', async (t) => {
    const call = await serve(t, demo())
    const payload = { name: 'x'.repeat(100_000), sizeBytes: 4096 }
    assert.equal((await call('/v1/volumes', { method: 'POST', payload })).status, 413)
  })
})
