import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inBoth } from './uncovered/precise.ts'

describe('what seeds do not run of the machines', () => {
  it('is not run by two processes where neither ran it', () => {
    const a = { x: [{ in: 'f', from: 10, to: 50 }], y: [{ in: 'g', from: 0, to: 5 }] }
    const b = {
      x: [
        { in: 'h', from: 20, to: 30 },
        { in: 'f', from: 40, to: 60 },
      ],
    }
    assert.deepEqual(inBoth(a, b), {
      x: [
        { in: 'h', from: 20, to: 30 },
        { in: 'f', from: 40, to: 50 },
      ],
      y: [{ in: 'g', from: 0, to: 5 }],
    })
  })
})
