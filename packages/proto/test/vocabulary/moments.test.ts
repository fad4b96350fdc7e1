import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secondOf } from '@ashlar/proto'
import fc from 'fast-check'

test('a moment reads as in the ISO format, to the second', () => {
  const moments = fc.oneof(
    fc.integer({ min: 0, max: Date.UTC(9999, 11, 31, 23, 59, 59) }),
    fc.constantFrom(0, Date.UTC(2000, 1, 29), Date.UTC(2100, 1, 28, 23, 59, 59, 999), Date.UTC(2024, 11, 31)),
  )
  fc.assert(
    fc.property(moments, (moment) => assert.equal(secondOf(moment), `${new Date(moment).toISOString().slice(0, 19)}Z`)),
    { numRuns: 2000 },
  )
})
