import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeClock } from '../../src/runtime/node-clock.ts'

/** Two time sources that a test moves by hand. */
class Machine {
  monotonicMs = 5000
  sinceBootMs = 90_000
  wallMs = 1_700_000_000_000
  /** Times at which the time since boot was read. */
  looks = 0
  /** How long the process is held up between two readings. */
  heldUpMs = 0

  readonly sources = {
    monotonic: () => this.monotonicMs,
    sinceBoot: () => {
      this.monotonicMs += this.heldUpMs
      this.sinceBootMs += this.heldUpMs
      this.looks++
      return Math.floor(this.sinceBootMs / 10) * 10
    },
    wall: () => this.wallMs,
  }

  runs(ms: number): void {
    this.monotonicMs += ms
    this.sleeps(ms)
  }

  sleeps(ms: number): void {
    this.sinceBootMs += ms
    this.wallMs += ms
  }
}

test('A2.3: time goes on while the machine is suspended, from the next look on', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  machine.runs(1000)
  assert.equal(clock.check(), 0)
  assert.equal(clock.now() - start, 1000)
  machine.sleeps(60_000)
  machine.runs(7)
  const sleptMs = clock.check()
  assert.ok(Math.abs(sleptMs - 60_000) < 10, `time since boot has steps of 10 ms: ${sleptMs}`)
  assert.equal(clock.now() - start, 1007 + sleptMs)
})

test('steps of the time since boot are no suspension, however long they add up', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  for (let looks = 0; looks < 1000; looks++) {
    machine.runs(53)
    assert.equal(clock.check(), 0)
  }
  assert.equal(clock.now() - start, 53_000)
})

test('A2.3: a glance finds what the machine slept, and costs no look while it did not', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  const looks = machine.looks
  for (let glances = 0; glances < 1000; glances++) {
    machine.runs(1)
    assert.equal(clock.quickCheck(), 0)
  }
  assert.equal(machine.looks, looks)
  machine.sleeps(30_000)
  assert.ok(clock.quickCheck() >= 29_990)
  assert.ok(clock.now() - start >= 30_990)
  assert.equal(clock.quickCheck(), 0)
  assert.equal(machine.looks, looks + 1)
})

test('a wall clock that is set, forward or back, is no suspension', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  const start = clock.now()
  for (const jump of [3_600_000, -86_400_000, 60]) {
    machine.wallMs += jump
    assert.equal(clock.quickCheck(), 0)
    assert.equal(clock.check(), 0)
  }
  assert.equal(clock.now(), start)
})

test('a check whose readings were too far apart is repeated', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  machine.sleeps(500)
  machine.heldUpMs = 400
  assert.equal(clock.quickCheck(), 0)
  machine.heldUpMs = 0
  assert.ok(clock.quickCheck() >= 490)
})

test('a process that is held up between the two readings finds no suspension', () => {
  const machine = new Machine()
  const clock = new NodeClock(machine.sources)
  machine.heldUpMs = 400
  assert.equal(clock.check(), 0)
  machine.heldUpMs = 0
  machine.sleeps(500)
  assert.ok(clock.check() >= 490, 'a later look finds what there is to find')
})

test('the clock of this machine never goes back and keeps up with time', () => {
  const clock = new NodeClock()
  let last = clock.now()
  for (let looks = 0; looks < 1000; looks++) {
    clock.check()
    const now = clock.now()
    assert.ok(now >= last)
    last = now
  }
})
