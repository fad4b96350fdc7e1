import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leaseExpiryMs, TIMERS } from '@ashlar/proto'
import { MachineScript, STORE_B } from '../kit/machine-script.ts'

/** A client with a write on its way to node A, which is also the one that tells it of changes of the map. */
function writing() {
  const script = new MachineScript()
  const { a, b } = script.connect()
  const volume = script.open()
  // The map that came with the open settled what was asked of it.
  script.sendMap(a)
  script.sendMap(b)
  const token = script.write(volume, 0, 4096)
  const watchers = () => script.all('get-map').flatMap(({ link, message }) => (message.watch ? [link] : []))
  return { script, a, b, token, watchers, asked: script.all('get-map').length }
}

/** Ticks until `condition` holds, for `forMs` at most; how long it took. */
function tickUntil(script: MachineScript, forMs: number, condition: () => boolean): number | undefined {
  for (let passed = 0; passed <= forMs; passed += TIMERS.tickMs) {
    if (condition()) return passed
    script.pass(TIMERS.tickMs)
  }
  return undefined
}

describe('the watched node', () => {
  test('is left for another one when it hangs, before its lease can have run out, and the write goes to the successor', () => {
    const { script, a, b, token, watchers } = writing()
    assert.equal(watchers().at(-1), a)
    const moved = tickUntil(script, leaseExpiryMs(), () => watchers().at(-1) === b)
    assert.ok(moved !== undefined && moved <= TIMERS.leaseMs, `it was left after ${moved} ms`)
    assert.deepEqual(script.closed, [], 'a connection to a node that may only be slow stays')
    script.move(0, STORE_B)
    script.sendMap(b)
    const again = script.last('write')
    assert.equal(again.link, b)
    script.answer(again, 'OK')
    script.assertOk(token)
  })

  test('stays when it shows that it lives, however long the write takes', () => {
    const { script, a, watchers } = writing()
    for (let seen = 0; seen < 10; seen++) {
      const before = script.all('get-map').length
      assert.ok(tickUntil(script, TIMERS.watchTimeoutMs + TIMERS.tickMs, () => script.all('get-map').length > before))
      assert.equal(script.last('get-map').link, a)
      script.sendMap(a)
    }
    assert.ok(watchers().every((link) => link === a))
  })

  test('gets no request while responses arrive', () => {
    const { script, token, asked } = writing()
    script.pass(TIMERS.watchTimeoutMs - TIMERS.tickMs)
    script.answer(script.last('write'), 'OK')
    script.assertOk(token)
    script.pass(2 * TIMERS.watchTimeoutMs)
    assert.equal(script.all('get-map').length, asked)
  })

  test('stays when there is no other', () => {
    const { script, a, b, watchers } = writing()
    script.linkDown(b)
    tickUntil(script, 4 * TIMERS.watchTimeoutMs, () => false)
    assert.ok(watchers().every((link) => link === a))
  })
})
