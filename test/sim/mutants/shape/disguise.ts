import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Ordinals } from '../../../kit/ordinals.ts'
import { type Local, renameUses } from './names.ts'
import { sourceOf } from './source.ts'

const BIOME = join(import.meta.dirname, '../../../../node_modules/.bin/biome')

/** Writes sources below a folder as others might have written them: every local is called otherwise, and all is laid out otherwise. */
export function disguise(folder: string, sources: ReadonlyMap<string, string>): void {
  for (const [file, text] of sources) {
    const path = join(folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, withOtherNames(file, text))
  }
  const config = {
    formatter: { lineWidth: 60, indentStyle: 'tab' },
    javascript: { formatter: { quoteStyle: 'double', semicolons: 'always', arrowParentheses: 'asNeeded' } },
  }
  writeFileSync(join(folder, 'biome.json'), JSON.stringify(config))
  execFileSync(BIOME, ['format', '--write', `--config-path=${folder}`, folder], { cwd: folder, stdio: 'pipe' })
}

function withOtherNames(file: string, text: string): string {
  const { program, names } = sourceOf(file, text)
  const numbers = new Ordinals<Local>()
  return renameUses(text, program, names.uses, (name, local) =>
    local === undefined ? undefined : `${name}Otherwise${numbers.of(local)}`,
  )
}
