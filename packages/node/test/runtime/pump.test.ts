import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Input } from '../../src/core/machine.ts'
import { Pump } from '../../src/runtime/pump.ts'

const TICK: Input = { type: 'tick' }

/** A pump whose machine records the time of each input, on a computer that was suspended since the last check. */
function pumped(): { pump: Pump; steps: number[]; looks: () => number; sleep: (ms: number) => void } {
  const steps: number[] = []
  let looks = 0
  let now = 1000
  let slept = 0
  const pump = new Pump({
    machine: {
      step: (at) => {
        steps.push(at)
        return []
      },
    },
    clock: () => now,
    checkClock: () => {
      looks++
      now += slept
      slept = 0
    },
    execute: () => {},
    flush: () => {},
    onBroken: (error) => assert.fail(String(error)),
  })
  return { pump, steps, looks: () => looks, sleep: (ms) => (slept += ms) }
}

test('A2.3: the first input that is stepped after the machine slept is stepped at the time that it is by then', async () => {
  const { pump, steps, looks, sleep } = pumped()
  pump.feed(TICK)
  await Promise.resolve()
  assert.deepEqual(steps, [1000])
  sleep(30_000)
  for (let input = 0; input < 3; input++) pump.feed(TICK)
  await Promise.resolve()
  assert.deepEqual(steps, [1000, 31_000, 31_000, 31_000])
  assert.equal(looks(), 2, 'once a turn')
  pump.stop()
})

test('A2.23-1: the last input of a pump is stepped alone, its effects are sent, and nothing follows', async () => {
  const done: string[] = []
  const pump: Pump = new Pump({
    machine: {
      step: (_at, input) =>
        input.type === 'tick'
          ? [{ type: 'fatal', kind: 'store-failed', reason: 'EIO' }, { type: 'handed-over' }]
          : [{ type: 'dial', addresses: [] }],
    },
    clock: () => 0,
    checkClock: () => {},
    execute: (effect) => {
      done.push(effect.type)
      if (effect.type === 'fatal') pump.finish({ type: 'ending', kind: 'store-failed', reason: 'EIO', at: 1 })
    },
    flush: () => done.push('flush'),
    onBroken: (error) => assert.fail(String(error)),
  })
  for (let input = 0; input < 2; input++) pump.feed(TICK)
  await new Promise((resolve) => setImmediate(resolve))
  pump.feed(TICK)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(done, ['fatal', 'dial', 'flush'], 'neither what was queued nor what came with the end')
})
