import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longest } from '../kit/deadline.ts'
import { skipWithout } from '../kit/tools.ts'
import { sweep } from './sweep.ts'

/** A twentieth of the full sweep of 1,000 points, which is `npm run sweep`. */
const POINTS = 50

test('whatever call fails and whatever bit flips, no wrong byte is returned and no acknowledged write is lost', {
  skip: skipWithout('strace'),
  timeout: longest(170_000),
}, async (t) => {
  const seed = Number(process.env['ASHLAR_SWEEP_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`ASHLAR_SWEEP_SEED=${seed}`)
  const { points, outcomes, violations } = await sweep({ points: POINTS, seed })
  for (const [outcome, times] of outcomes) t.diagnostic(`${times} x ${outcome}`)
  assert.deepEqual(violations, [])
  assert.equal(points, POINTS)
  const harmless = [...outcomes].filter(([outcome]) => /not reached|did not matter|nothing to see/.test(outcome))
  const idle = harmless.reduce((sum, [, times]) => sum + times, 0)
  assert.ok(idle < POINTS / 2, `${idle} of ${POINTS} points broke nothing, which proves nothing`)
})
