import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RunOptions } from '../simulator.ts'
import type { Catch } from './hunt.ts'
import type { Mutant } from './mutant.ts'
import { ROOT } from './patch-source.ts'

const run = promisify(execFile)
const FOLDER = import.meta.dirname

/** How a mutant is to be caught: by the first of some seeds that finds something, or by one directed schedule. */
export type Lure = { readonly schedule: string } | { readonly first: number; readonly count: number }

/**
 * Runs a mutant in a process of its own and says what was found. Throws when the mutant is no program: an edit that names
 * what is not there any more breaks everything and proves nothing.
 */
export async function catchMutant(mutant: Mutant, lure: Lure): Promise<Catch> {
  const args =
    'schedule' in lure
      ? ['schedule', lure.schedule]
      : ['seeds', String(lure.first), String(lure.count), JSON.stringify(clusterOf(mutant))]
  const { stdout } = await run(
    process.execPath,
    ['--conditions=ashlar-source', '--import', join(FOLDER, 'patch-hook.ts'), join(FOLDER, 'hunt.ts'), ...args],
    { cwd: ROOT, env: { ...process.env, ASHLAR_MUTANT: mutant.name }, maxBuffer: 1 << 26 },
  )
  const found = JSON.parse(stdout) as Catch
  const [first] = found.violations
  if (first?.rule === 'machine' && /(?:Type|Reference|Syntax)Error/.test(first.text)) {
    throw new Error(`mutant ${mutant.name} does not run: ${first.text}`)
  }
  return found
}

/** What the clusters are like that a mutant is to be caught in. */
export function clusterOf({
  voters,
  fullDisks = false,
  wide = false,
}: Mutant): Pick<RunOptions, 'voters' | 'fullDisks' | 'wide'> {
  const count = voters ?? (wide ? undefined : 1)
  return { fullDisks, wide, ...(count !== undefined && { voters: count }) }
}

/** What caught a mutant: a seed or a schedule, and the invariant that was seen broken first. */
export type Sighting =
  | { readonly seed: number; readonly rule: string }
  | { readonly schedule: string; readonly rule: string }

/** What catches each mutant, as last measured. */
export interface Recorded {
  readonly [mutant: string]: Sighting
}
