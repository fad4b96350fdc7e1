import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type SeedResult, Totals } from './long/totals.ts'

const folder = mkdtempSync(join(tmpdir(), 'ashlar-totals-'))
after(() => rmSync(folder, { recursive: true }))

function result(seed: number, violations: SeedResult['violations'] = []): SeedResult {
  return { seed, virtualMs: 36_000, calls: 2, acknowledgements: 1, changesOfPrimary: 3, faults: { cut: 4 }, violations }
}

describe('the totals of long runs', () => {
  it('go on after the seeds that ran, at whatever commit', () => {
    const file = join(folder, 'resumed.json')
    const before = new Totals(file)
    for (const seed of [1, 2, 3]) before.add('wide', 'a', result(seed))
    before.save()
    const later = new Totals(file)
    assert.equal(later.nextSeed('wide', 1), 4)
    assert.equal(later.nextSeed('wide', 3), 4)
    assert.equal(later.nextSeed('wide', 100), 100)
    assert.equal(later.nextSeed('first', 1), 1)
    later.add('wide', 'b', result(4))
    assert.equal(later.nextSeed('wide', 1), 5)
    assert.deepEqual(
      later.stretches.map(({ commit, first, seeds }) => [commit, first, seeds]),
      [
        ['a', 1, 3],
        ['b', 4, 1],
      ],
    )
  })

  it('are sums, with every violation by its seed and commit', () => {
    const totals = new Totals(join(folder, 'sums.json'))
    totals.add('wide', 'a', result(1))
    totals.add('wide', 'a', result(2, [{ at: 5, rule: 'liveness', text: 'not healed' }]))
    const [stretch] = totals.stretches
    assert.deepEqual(stretch?.faults, { cut: 8 })
    assert.equal(stretch?.virtualHours, 0.02)
    assert.match(totals.describe('wide'), /2 acknowledged operations, 6 changes of primary/)
    assert.match(totals.describe('wide'), /1 violations: seed 2 liveness a/)
  })

  it('refuse a file with something else in it', () => {
    const file = join(folder, 'other.json')
    writeFileSync(file, '[]')
    assert.throws(() => new Totals(file), /holds no totals of the simulator: name another file/)
  })
})
