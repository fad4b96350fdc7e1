import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SCHEDULES } from './schedules.ts'

describe('directed schedules break no invariant', () => {
  for (const [name, schedule] of SCHEDULES) {
    it(name, () => assert.deepEqual(schedule(), []))
  }
})
