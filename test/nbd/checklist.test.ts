import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CHECKLIST } from './checklist.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LINES = 117
/** Lines that wait for something that is not built: nothing else may. */
const WAITING = [17, 78, 106, ...Array.from({ length: 18 }, (_, at) => 82 + at)].sort((a, b) => a - b)

/** Names of the tests of a file, each up to the seed or the variable in it. */
async function testsOf(file: string): Promise<Set<string>> {
  const text = await readFile(join(ROOT, file), 'utf8')
  const names = [...text.matchAll(/^\s*(?:test|it)\(\s*(['"`])(.*?)\1\s*,/gm)].map(([, , name = '']) => name)
  return new Set(names.map((name) => name.replace(/ \(seed \$\{.*$/, '')))
}

test('the checklist has every line once, in order', () => {
  assert.deepEqual(
    CHECKLIST.map(({ line }) => line),
    Array.from({ length: LINES }, (_, at) => at + 1),
  )
})

test('every line of the checklist has a test, but for those that wait for what is not built', () => {
  const proven = CHECKLIST.filter(({ tests }) => Object.values(tests).flat().length > 0)
  const bare = CHECKLIST.filter((line) => !proven.includes(line) && line.later === undefined)
  assert.deepEqual(
    bare.map(({ line, what }) => `${line}: ${what}`),
    [],
  )
  assert.deepEqual(
    CHECKLIST.filter(({ later }) => later !== undefined).map(({ line }) => line),
    WAITING,
  )
})

test('every test that the checklist names exists', async () => {
  const files = new Set(CHECKLIST.flatMap(({ tests }) => Object.keys(tests)))
  assert.ok(files.size > 0)
  const missing: string[] = []
  for (const file of files) {
    const known = await testsOf(file)
    for (const { line, tests } of CHECKLIST) {
      for (const name of tests[file] ?? []) if (!known.has(name)) missing.push(`${line}: ${file}: ${name}`)
    }
  }
  assert.deepEqual(missing, [])
})
