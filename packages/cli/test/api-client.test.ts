import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ApiClient } from '../src/api-client.ts'
import { fakeApi } from './kit.ts'

it('what is left of a deadline is a time to wait, also when it is no whole number of milliseconds', async (t) => {
  const { url } = await fakeApi(t, { 'GET /v1/cluster': { body: { state: 'healthy' } } })
  assert.deepEqual(await new ApiClient([url]).cluster(5000.25), { state: 'healthy' })
})
