import assert from 'node:assert/strict'
import { test } from 'node:test'
import { before, blameOf, type Clocks, Deadline, longest, Meter, Watch } from './deadline.ts'

/** A machine on which work takes `slowness` times its processor time; its time passes by `advance` and by work alone. */
class Machine implements Clocks {
  slowness = 1
  #wallMs = 0
  #cpuMs = 0
  readonly #calls = new Set<{ readonly atMs: number; readonly call: () => void }>()

  wallMs(): number {
    return this.#wallMs
  }

  cpuMs(): number {
    this.#cpuMs += 0.5
    this.#wallMs += 0.5 * this.slowness
    return this.#cpuMs
  }

  later(ms: number, call: () => void): () => void {
    const entry = { atMs: this.#wallMs + ms, call }
    this.#calls.add(entry)
    return () => this.#calls.delete(entry)
  }

  advance(ms: number): void {
    const end = this.#wallMs + ms
    for (;;) {
      const [next] = [...this.#calls].filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#calls.delete(next)
      this.#wallMs = Math.max(this.#wallMs, next.atMs)
      next.call()
    }
    this.#wallMs = Math.max(this.#wallMs, end)
  }

  get idle(): boolean {
    return this.#calls.size === 0
  }
}

function deadlineOn(slowness: number, ms: number): { machine: Machine; deadline: Deadline; fired: () => number[] } {
  const machine = new Machine()
  machine.slowness = slowness
  const deadline = new Deadline(ms, new Meter(machine))
  const fired: number[] = []
  deadline.onPassed(() => fired.push(machine.wallMs()))
  return { machine, deadline, fired: () => fired }
}

test('on an idle machine a deadline is what it is', () => {
  const { machine, deadline, fired } = deadlineOn(1, 10_000)
  machine.advance(9900)
  assert.equal(deadline.passed, false)
  machine.advance(200)
  assert.equal(deadline.passed, true)
  assert.equal(fired().length, 1)
  assert.equal(deadline.missed('x is up'), 'not within 10000 ms: x is up')
})

test('a deadline stretches by as much as work takes longer than its processor time, and says so', () => {
  const { machine, deadline, fired } = deadlineOn(3, 10_000)
  machine.advance(29_500)
  assert.deepEqual(fired(), [])
  machine.advance(1000)
  assert.equal(fired().length, 1)
  assert.match(
    deadline.missed('x is up'),
    /^not within 30\d{3} ms \(10000 on an idle machine\): x is up; the machine is slow: work took 3\.0 times its processor time/,
  )
})

test('a deadline stretches to a bound, beyond which the machine is too slow', () => {
  const { machine, deadline, fired } = deadlineOn(40, 10_000)
  machine.advance(longest(10_000) - 200)
  assert.deepEqual(fired(), [])
  machine.advance(400)
  assert.equal(fired().length, 1)
  assert.match(deadline.missed('x is up'), /^not within 50000 ms .*too slow for this test: work took 40\.0 times/)
})

test('only what the machine did since the deadline began counts', () => {
  const machine = new Machine()
  machine.slowness = 10
  const meter = new Meter(machine)
  using earlier = new Watch(meter)
  machine.advance(60_000)
  machine.slowness = 1
  const deadline = new Deadline(10_000, meter)
  machine.advance(10_100)
  assert.equal(deadline.passed, true)
  assert.ok(earlier.isStarved)
})

test('a signal aborts with the message of the deadline', () => {
  const machine = new Machine()
  const deadline = new Deadline(1000, new Meter(machine))
  const signal = deadline.signal('an answer')
  machine.advance(1100)
  assert.equal(signal.reason.message, 'not within 1000 ms: an answer')
})

test('a promise before a signal comes to what it does, or fails with the reason of the signal', async () => {
  const controller = new AbortController()
  assert.equal(await before(controller.signal, Promise.resolve(1)), 1)
  const waiting = before(controller.signal, new Promise(() => {}))
  controller.abort(new Error('too late'))
  await assert.rejects(waiting, /^Error: too late$/)
  await assert.rejects(before(controller.signal, new Promise(() => {})), /^Error: too late$/)
})

test('nothing is measured, and nothing fires, once all are disposed of', () => {
  const { machine, deadline, fired } = deadlineOn(1, 1000)
  machine.advance(500)
  deadline[Symbol.dispose]()
  assert.ok(machine.idle)
  machine.advance(10_000)
  assert.deepEqual(fired(), [])
})

test('a figure about the product fails on a slow machine too, and the failure names the machine', () => {
  const machine = new Machine()
  using watch = new Watch(new Meter(machine))
  machine.advance(5000)
  watch.assertBelow(10_000, 9999, 'a write')
  assert.throws(() => watch.assertBelow(10_000, 10_000, 'a write'), {
    message: 'a write took 10000 ms, not less than 10000 ms',
  })
  machine.slowness = 9
  machine.advance(30_000)
  assert.throws(
    () => watch.assertBelow(10_000, 10_000, 'a write'),
    /a write took 10000 ms.*; the machine was too slow for this assertion: work took \d\.\d times/,
  )
})

test('a process that failed blames a starved machine and no other', () => {
  assert.equal(blameOf({ wallMs: 0, cpuMs: 0 }), undefined)
  assert.equal(blameOf({ wallMs: 19, cpuMs: 10 }), undefined)
  assert.match(blameOf({ wallMs: 30, cpuMs: 10 }) ?? '', /too slow .* work took 3\.0 times/)
})
