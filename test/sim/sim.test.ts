import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FAULTS, optionsOf } from './options.ts'
import { simulate } from './simulator.ts'

describe('the simulator', () => {
  it('makes the same run of the same seed', () => {
    for (const seed of [1, 2, 3]) {
      const [first, second] = [simulate(seed), simulate(seed)]
      assert.equal(first.hash, second.hash, `seed ${seed}`)
      assert.equal(first.inputs, second.inputs, `seed ${seed}`)
    }
  })

  it('makes another run of another seed', () => {
    assert.notEqual(simulate(4).hash, simulate(5).hash)
  })

  it('turns every fault on in some seeds and off in others', () => {
    const chosen = Array.from({ length: 60 }, (_, seed) => optionsOf(seed).faults)
    for (const fault of FAULTS) {
      const times = chosen.filter((faults) => faults.includes(fault)).length
      assert.ok(times > 5 && times < 55, `${fault} is on in ${times} of 60 seeds`)
    }
  })

  it('loses a disk only where every acknowledged write is on two', () => {
    for (let seed = 0; seed < 200; seed++) {
      const { faults, minInSync } = optionsOf(seed)
      if (minInSync < 2) assert.ok(!faults.includes('wipe') && !faults.includes('wipe-sole'), `seed ${seed}`)
    }
  })

  it('tells each event in a line when it is asked to', () => {
    const lines: string[] = []
    const outcome = simulate(6, { trace: (line) => lines.push(line) })
    assert.ok(lines.length > outcome.calls, 'fewer lines than calls')
    assert.ok(lines.some((line) => line.includes('extent-active')))
  })
})
