import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Mutant } from './mutant.ts'

export const ROOT = join(import.meta.dirname, '../../..')

/**
 * The source of one file with the mutant's edits of that file in it. Throws when an edit no longer finds its text exactly
 * once: the source moved on and the mutant has to follow.
 */
export function mutate(mutant: Mutant, file: string, source: string): string {
  let text = source
  for (const edit of mutant.edits) {
    if (edit.file !== file) continue
    const parts = text.split(edit.find)
    if (parts.length !== 2) {
      throw new Error(`mutant ${mutant.name}: its text is ${parts.length - 1} times in ${file}, it must be there once`)
    }
    text = parts.join(edit.replace)
  }
  return text
}

/** Paths that a mutant changes, from the root of the repository. */
export function filesOf(mutant: Mutant): string[] {
  return [...new Set(mutant.edits.map(({ file }) => file))]
}

/** Says what is wrong with a mutant against the sources as they are now, or undefined. */
export function staleness(mutant: Mutant): string | undefined {
  try {
    for (const file of filesOf(mutant)) {
      const source = readFileSync(join(ROOT, file), 'utf8')
      if (mutate(mutant, file, source) === source) return `mutant ${mutant.name} changes nothing in ${file}`
    }
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
