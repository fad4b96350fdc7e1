import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inBoth } from './uncovered/precise.ts'
import { describe as describePieces, readRecorded, unexplained } from './uncovered/report.ts'
import { uncoveredBySeeds } from './uncovered/seeds.ts'

const LIMIT_MS = 300_000

describe('what seeds run of the machines', () => {
  it('is every branch but those that are recorded with a reason', { timeout: LIMIT_MS }, async (t) => {
    const found = describePieces((await uncoveredBySeeds()).all)
    const missing = unexplained(found, readRecorded())
    for (const [path, list] of found) t.diagnostic(`${path}: ${list.length} branches are not run`)
    assert.deepEqual(missing, [], 'npm run sim:coverage -- --record, and say why in test/sim/uncovered/recorded.json')
  })

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
