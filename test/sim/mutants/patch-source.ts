import { join } from 'node:path'
import type { Mutant } from './mutant.ts'
import { type Change, changeOf } from './shape/change.ts'
import { Sources } from './shape/source.ts'
import { spliced } from './shape/splice.ts'

export const ROOT = join(import.meta.dirname, '../../..')

/**
 * The sources with the mutant's edits in them, by path from the root. Throws when an edit no longer finds its place exactly
 * once: the source moved on and the mutant has to follow.
 */
export function mutate(mutant: Mutant, sources: Sources = new Sources(ROOT)): Map<string, string> {
  try {
    const changes = mutant.edits.map((edit) => changeOf(edit, sources))
    const files = new Set(changes.map(({ file }) => file))
    return new Map(Array.from(files, (file) => [file, changed(file, changes, sources)]))
  } catch (error) {
    throw new Error(`mutant ${mutant.name}: ${(error as Error).message}`, { cause: error })
  }
}

function changed(file: string, changes: readonly Change[], sources: Sources): string {
  const text = sources.textOf(file)
  const here = changes.filter((change) => change.file === file)
  const after = spliced(text, here)
  if (after === text) throw new Error(`changes nothing in ${file}`)
  return after
}
