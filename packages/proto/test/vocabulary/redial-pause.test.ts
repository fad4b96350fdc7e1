import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RedialPause, TIMERS } from '@ashlar/proto'

test('pauses double up to the longest, half of each is random, and startOver resets them', () => {
  const pause = new RedialPause()
  const longest = Array.from({ length: 8 }, () => pause.next(1))
  assert.deepEqual(
    longest,
    [1, 2, 4, 8, 16, 20, 20, 20].map((times) => times * TIMERS.redialMinMs),
  )
  assert.equal(pause.next(0), TIMERS.redialMaxMs / 2)
  pause.startOver()
  assert.equal(pause.next(0), TIMERS.redialMinMs / 2)
})
