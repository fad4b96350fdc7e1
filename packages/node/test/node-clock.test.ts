import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeClock } from '../src/node-clock.ts'

/** Two time sources that a test moves by hand. */
class Machine {
  monotonicMs = 5000
  sinceBootMs = 90_000
  /** How long the process is held up between two readings. */
  heldUpMs = 0

  readonly sources = {
    monotonic: () => this.monotonicMs,
    sinceBoot: () => {
      this.monotonicMs += this.heldUpMs
      this.sinceBootMs += this.heldUpMs
      return Math.floor(this.sinceBootMs / 10) * 10
    },
  }

  runs(ms: number): void {
    this.monotonicMs += ms
    this.sinceBootMs += ms
  }

  sleeps(ms: number): void {
    this.sinceBootMs += ms
  }
}

test('A2.3: time goes on while the machine is suspended, from the next look on', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  machine.runs(1000)
  assert.equal(clock.look(), 0)
  assert.equal(clock.now() - start, 1000)
  machine.sleeps(60_000)
  machine.runs(7)
  const sleptMs = clock.look()
  assert.ok(Math.abs(sleptMs - 60_000) < 10, `time since boot is told in steps of 10 ms: ${sleptMs}`)
  assert.equal(clock.now() - start, 1007 + sleptMs)
})

test('steps of the time since boot are no suspension, however long they add up', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  for (let looks = 0; looks < 1000; looks++) {
    machine.runs(53)
    assert.equal(clock.look(), 0)
  }
  assert.equal(clock.now() - start, 53_000)
})

test('a process that is held up between the two readings finds no suspension', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  machine.heldUpMs = 400
  assert.equal(clock.look(), 0)
  machine.heldUpMs = 0
  machine.sleeps(500)
  assert.ok(clock.look() >= 490, 'a later look finds what there is to find')
})

test('the clock of this machine never goes back and keeps up with time', () => {
  const clock = new NodeClock()
  let last = clock.now()
  for (let looks = 0; looks < 1000; looks++) {
    clock.look()
    const now = clock.now()
    assert.ok(now >= last)
    last = now
  }
})
