import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DISK_FAULTS, FAULTS, optionsOf, VOTER_FAULTS } from './options.ts'
import { simulate } from './simulator.ts'

describe('the simulator', () => {
  it('makes the same run of the same seed', () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const [first, second] = [simulate(seed), simulate(seed)]
      assert.equal(first.hash, second.hash, `seed ${seed}`)
      assert.equal(first.inputs, second.inputs, `seed ${seed}`)
    }
  })

  it('makes another run of another seed', () => {
    assert.notEqual(simulate(7).hash, simulate(8).hash)
  })

  it('turns every fault on in some seeds and off in others', () => {
    const chosen = Array.from({ length: 300 }, (_, seed) => optionsOf(seed).faults)
    for (const fault of [...FAULTS, ...VOTER_FAULTS, ...DISK_FAULTS]) {
      const times = chosen.filter((faults) => faults.includes(fault)).length
      assert.ok(times > 5 && times < 290, `${fault} is on in ${times} of 300 seeds`)
    }
  })

  it('makes clusters of one, three and five voters, most of them of three', () => {
    const voters = Array.from({ length: 300 }, (_, seed) => optionsOf(seed).voters)
    for (const [count, least] of [
      [1, 30],
      [3, 150],
      [5, 10],
    ]) {
      const times = voters.filter((each) => each === count).length
      assert.ok(times >= (least as number), `${times} of 300 clusters have ${count} voters`)
    }
  })

  it('takes snapshots of the log, and changes its members, in many seeds and not in all', () => {
    const options = Array.from({ length: 300 }, (_, seed) => optionsOf(seed))
    for (const [what, times] of [
      ['snapshots', options.filter(({ log }) => log.snapshotEntries !== undefined).length],
      ['an operator', options.filter(({ operator }) => operator).length],
      ['one voter with elections', options.filter(({ voters, raft }) => voters === 1 && raft).length],
    ] as const)
      assert.ok(times > 10 && times < 290, `${what}: ${times} of 300 seeds`)
  })

  it('loses a disk only where every acknowledged write is on two', () => {
    for (let seed = 0; seed < 200; seed++) {
      const { faults, minInSync } = optionsOf(seed)
      const lossy = faults.filter((fault) => fault.startsWith('wipe') || ['drop-records', 'distrust'].includes(fault))
      if (minInSync < 2) assert.deepEqual(lossy, [], `seed ${seed}`)
    }
  })

  it('writes a line for each event when a trace is on', () => {
    const lines: string[] = []
    const outcome = simulate(6, { trace: (line) => lines.push(line) })
    assert.ok(lines.length > outcome.calls, 'fewer lines than calls')
    assert.ok(lines.some((line) => line.includes('extent-active')))
  })
})
