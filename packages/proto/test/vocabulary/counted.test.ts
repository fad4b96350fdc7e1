import assert from 'node:assert/strict'
import { it } from 'node:test'
import { counted, times } from '@ashlar/proto'

it('a count has the singular for one only, and a plural of its own where it needs one', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => counted(count, 'replica')),
    ['0 replicas', '1 replica', '2 replicas'],
  )
  assert.equal(counted(2, 'extent that serves', 'extents that serve'), '2 extents that serve')
  assert.deepEqual([0, 1, 2].map(times), ['0 times', 'once', '2 times'])
})
