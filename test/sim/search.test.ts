import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { Found } from './search/explore.ts'
import { FOUND_BY_SEARCH, SCENARIOS } from './search/scenarios.ts'

const run = promisify(execFile)
const FOLDER = import.meta.dirname
const PATCH = join(FOLDER, 'mutants/patch-hook.ts')

/** One search in a process of its own. */
async function search(name: string, mutant?: string): Promise<Found> {
  const hooks = mutant === undefined ? [] : ['--import', PATCH]
  const args = ['--conditions=ashlar-source', ...hooks, join(FOLDER, 'bin/search.ts'), '--json']
  const env = mutant === undefined ? process.env : { ...process.env, ASHLAR_MUTANT: mutant }
  const options = { maxBuffer: 1 << 26, env }
  const { stdout } = await run(process.execPath, [...args, '--scenario', name], options).catch(
    (error: { stdout?: string }) => {
      if (error.stdout) return { stdout: error.stdout }
      throw error
    },
  )
  return JSON.parse(stdout) as Found
}

describe('every state that a small cluster can reach', { concurrency: 2 }, () => {
  for (const { name, about } of SCENARIOS) {
    it(`${name}: ${about}`, async (t) => {
      const found = await search(name)
      const { states, steps, nodeStates, compared, ms, complete, violation, scenario } = found
      t.diagnostic(`bounds ${JSON.stringify({ ...scenario, about: undefined })}`)
      t.diagnostic(
        `${states} states, ${steps} events, ${nodeStates} states of single nodes, ${(ms / 1000).toFixed(1)} s`,
      )
      assert.equal(violation, undefined, violation?.events.join('\n'))
      assert.ok(complete, 'it stopped early')
      assert.ok(found.answered > 0, 'in no state had every call its answer')
      assert.ok(compared > 0, 'no state that was reached in two ways was compared')
    })
  }
})

describe('a search finds by itself what random schedules rarely meet', { concurrency: 2 }, () => {
  for (const [mutant, scenario] of FOUND_BY_SEARCH) {
    it(`${mutant}, in ${scenario}`, async (t) => {
      const { violation, states } = await search(scenario, mutant)
      assert.ok(violation !== undefined, `nothing was broken in ${states} states`)
      t.diagnostic(`${violation.text}, after ${states} states`)
    })
  }
})
