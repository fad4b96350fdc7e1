import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { Found } from './search/explore.ts'
import { SCENARIOS } from './search/scenarios.ts'

const run = promisify(execFile)
const FOLDER = import.meta.dirname
const HOOK = join(FOLDER, 'search/reveal-hook.ts')

/** One search in a process of its own, in which private fields are readable. */
async function search(name: string): Promise<Found> {
  const args = ['--conditions=ashlar-source', '--import', HOOK, join(FOLDER, 'bin/search.ts'), '--json']
  const options = { maxBuffer: 1 << 26 }
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
      assert.ok(complete, 'it gave up')
      assert.ok(found.answered > 0, 'in no state had every call its answer')
      assert.ok(compared > 0, 'no state that was reached in two ways was compared')
    })
  }
})
