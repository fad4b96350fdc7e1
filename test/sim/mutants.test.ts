import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { catchMutant, clusterOf, type Recorded } from './mutants/catch.ts'
import { mutate, ROOT } from './mutants/patch-source.ts'
import { Sources } from './mutants/shape/source.ts'
import { MUTANTS } from './mutants/table.ts'
import { FOUND_BY_SEARCH } from './search/scenarios.ts'
import { simulateLater } from './simulator.ts'

/** Those that seeds or schedules catch; a search is run by search.test.ts. */
const HUNTED = MUTANTS.filter(({ searched }) => searched !== true)

const recorded = JSON.parse(readFileSync(join(import.meta.dirname, 'mutants/recorded.json'), 'utf8')) as Recorded

describe('the table of mutants', () => {
  it('finds the place of every edit exactly once in the shipped source', () => {
    const sources = new Sources(ROOT)
    for (const mutant of MUTANTS) assert.doesNotThrow(() => mutate(mutant, sources))
  })

  it('has a name once', () => {
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length)
  })

  it('is recorded by the schedule that it names, where it names one', () => {
    for (const { name, schedule } of HUNTED) {
      const sighting = recorded[name]
      const by = sighting !== undefined && 'schedule' in sighting ? sighting.schedule : undefined
      assert.equal(by, schedule, `${name}: npm run sim:mutants -- --mutant ${name} --record`)
    }
  })

  it('has a search for each mutant that no seed and no schedule catches', () => {
    const searched = new Set(FOUND_BY_SEARCH.map(([name]) => name))
    for (const { name } of MUTANTS)
      if (!HUNTED.some((mutant) => mutant.name === name)) assert.ok(searched.has(name), name)
  })
})

/** Seeds to search where the recorded one is stale: every change of the shipped source changes what a seed means. */
const SEARCH = { first: 1, count: 300 }

describe('every mutant is caught where it was caught before', { concurrency: 2 }, () => {
  for (const mutant of HUNTED) {
    it(`${mutant.name} (${mutant.rule})`, async (t) => {
      const sighting = recorded[mutant.name]
      const again = `npm run sim:mutants -- --mutant ${mutant.name} --record`
      assert.ok(sighting, `nothing is recorded for it: ${again}`)
      const lure = 'seed' in sighting ? { first: sighting.seed, count: 1 } : sighting
      if ((await catchMutant(mutant, lure)).violations.length > 0) return
      assert.ok('seed' in sighting, `it escaped its schedule ${JSON.stringify(sighting)}`)
      const { seed } = await catchMutant(mutant, SEARCH)
      assert.ok(seed !== undefined, `it escaped seed ${sighting.seed} and ${SEARCH.count} others: ${again}`)
      const shipped = await simulateLater(seed, clusterOf(mutant))
      assert.deepEqual(shipped.violations, [], `seed ${seed} fails without the mutant too`)
      t.diagnostic(`recorded seed ${sighting.seed} is stale, seed ${seed} catches it: ${again}`)
    })
  }
})

describe('the shipped source passes the seeds that catch mutants', () => {
  const runs = new Map<string, { readonly seed: number } & ReturnType<typeof clusterOf>>()
  for (const mutant of HUNTED) {
    const sighting = recorded[mutant.name]
    if (sighting === undefined || !('seed' in sighting)) continue
    const { seed } = sighting
    const cluster = clusterOf(mutant)
    const { voters = 'drawn', fullDisks, wide } = cluster
    const how = `${fullDisks ? ', full disks' : ''}${wide ? ', wide' : ''}`
    runs.set(`seed ${seed}, voters ${voters}${how}`, { seed, ...cluster })
  }
  for (const [name, { seed, ...cluster }] of runs) {
    it(name, async () => {
      assert.deepEqual((await simulateLater(seed, cluster)).violations, [])
    })
  }
})
