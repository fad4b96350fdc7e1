import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { filesOf, mutate, ROOT } from './patch-source.ts'
import { MUTANTS } from './table.ts'

/**
 * Preloaded (`--import`) into a process that is to run a mutant: named in ASHLAR_MUTANT, its edits are put into the
 * sources while they are loaded. Nothing that ships has a switch for it.
 */
const name = process.env['ASHLAR_MUTANT']
const mutant = MUTANTS.find((candidate) => candidate.name === name)
if (mutant === undefined) throw new Error(`ASHLAR_MUTANT=${name}: there is no such mutant`)

const files = new Map(filesOf(mutant).map((file) => [pathToFileURL(join(ROOT, file)).href, file]))

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const file = files.get(url)
    if (file === undefined || loaded.source === undefined || loaded.source === null) return loaded
    const source =
      typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
    return { ...loaded, source: mutate(mutant, file, source) }
  },
})
