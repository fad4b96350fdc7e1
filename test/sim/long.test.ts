import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type SeedResult, Totals } from './long/totals.ts'

const folder = mkdtempSync(join(tmpdir(), 'ashlar-totals-'))
after(() => rmSync(folder, { recursive: true }))

const A = { commit: 'a', sources: '1' }
/** Another commit, over the same sources. */
const B = { commit: 'b', sources: '1' }
const C = { commit: 'c', sources: '2' }

function result(seed: number, { family = 'first', violations = [] }: Partial<SeedResult> = {}): SeedResult {
  const counts = { virtualMs: 36_000, calls: 2, acknowledgements: 1, changesOfPrimary: 3 }
  return { seed, family, hash: '0', ...counts, faults: { cut: 4 }, violations }
}

describe('the hashes of seeds', () => {
  it('end after the seeds that were asked for, with a limit of time too', () => {
    const file = join(folder, 'hashes')
    const command = join(import.meta.dirname, 'bin/ashlar-sim.ts')
    const args = ['--first', '1', '--count', '1', '--minutes', '5', '--hashes', file]
    execFileSync(process.execPath, [
      ...process.execArgv.filter((it) => it.startsWith('--conditions')),
      command,
      ...args,
    ])
    assert.match(readFileSync(file, 'utf8'), /^1 [0-9a-f]{16}\n$/)
  })
})

describe('the totals of long runs', () => {
  it('go on after the seeds that ran, at whatever commit', () => {
    const file = join(folder, 'resumed.json')
    const before = new Totals(file)
    for (const seed of [1, 2, 3]) before.add('mix', A, result(seed))
    before.save()
    const later = new Totals(file)
    assert.equal(later.nextSeed('mix', 1), 4)
    assert.equal(later.nextSeed('mix', 3), 4)
    assert.equal(later.nextSeed('mix', 100), 100)
    assert.equal(later.nextSeed('first', 1), 1)
    later.add('mix', B, result(4))
    assert.equal(later.nextSeed('mix', 1), 5)
    assert.deepEqual(
      later.stretches.map(({ commit, first, seeds }) => [commit, first, seeds]),
      [
        ['a', 1, 3],
        ['b', 4, 1],
      ],
    )
  })

  it('are sums, each family apart, with every violation by its seed', () => {
    const totals = new Totals(join(folder, 'sums.json'))
    totals.add('mix', A, result(9))
    totals.add('mix', A, result(10, { family: 'wide', violations: [{ at: 5, rule: 'liveness', text: 'not healed' }] }))
    totals.add('mix', A, result(11))
    const [stretch] = totals.stretches
    assert.equal(stretch?.seeds, 3)
    assert.deepEqual(stretch?.families['first']?.faults, { cut: 8 })
    assert.equal(stretch?.families['first']?.virtualHours, 0.02)
    const text = totals.describe('mix')
    assert.match(
      text,
      /family first: 2 seeds.*\n +2 acknowledged operations, 6 changes of primary\n.*\n +0 seeds failed/,
    )
    assert.match(text, /family wide: 1 seeds.*\n.*\n +4 faults: cut 4\n +1 seeds failed: seed 10 liveness/)
  })

  it('keep apart, and report, what ran over other sources', () => {
    const totals = new Totals(join(folder, 'sources.json'))
    totals.add('mix', A, result(1))
    totals.add('mix', B, result(2))
    assert.equal(totals.otherSources('mix', B), undefined)
    assert.match(totals.otherSources('mix', C) ?? '', /seeds 1 to 1 \(a\), 2 to 2 \(b\)/)
    totals.add('mix', C, result(3))
    const text = totals.describe('mix')
    assert.match(text, /sources 1, at a, b\nfamily first: 2 seeds/)
    assert.match(text, /sources 2, at c\nfamily first: 1 seeds/)
  })

  it('refuse a file with something else in it', () => {
    const file = join(folder, 'other.json')
    for (const other of [[], { stretches: [{ family: 'wide', commit: 'a', first: 1, seeds: 2 }] }]) {
      writeFileSync(file, JSON.stringify(other))
      assert.throws(() => new Totals(file), /holds no totals of the simulator: name another file/)
    }
  })
})
