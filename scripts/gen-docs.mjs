/**
 * Writes the generated pages of docs/ from the tables in the sources: `npm run gen-docs`. With `--check` it writes
 * nothing and exits 1 when a page is not what the sources say.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GENERATED_PAGES } from './pages/index.ts'
import { readTree } from './tidy/tree.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const check = process.argv.includes('--check')
const tree = readTree(root)
const stale = []
for (const [path, make] of Object.entries(GENERATED_PAGES)) {
  const wanted = await make(tree)
  if (tree.files.find((file) => file.path === path)?.text === wanted) continue
  stale.push(path)
  if (!check) writeFileSync(`${root}${path}`, wanted)
}
const what = check ? 'is not what the sources say: run `npm run gen-docs` and commit it' : 'written'
for (const path of stale) process.stdout.write(`${path} ${what}\n`)
if (stale.length === 0)
  process.stdout.write(`gen-docs: ${Object.keys(GENERATED_PAGES).length} pages, all as the sources say\n`)
process.exitCode = check && stale.length > 0 ? 1 : 0
