import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mutate, ROOT } from './patch-source.ts'
import { MUTANTS } from './table.ts'

/**
 * Preloaded (`--import`) into a process that is to run a mutant: named in ASHLAR_MUTANT, its edits are put into the
 * sources while they are loaded. Nothing that ships has a switch for it.
 */
const name = process.env['ASHLAR_MUTANT']
const mutant = MUTANTS.find((candidate) => candidate.name === name)
if (mutant === undefined) throw new Error(`ASHLAR_MUTANT=${name}: there is no such mutant`)

const sources = new Map(Array.from(mutate(mutant), ([file, text]) => [pathToFileURL(join(ROOT, file)).href, text]))

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const source = sources.get(url)
    return source === undefined ? loaded : { ...loaded, source }
  },
})
