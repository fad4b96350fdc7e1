import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CHECKLIST } from './checklist.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FINDINGS = 'docs/internals/leveldb.md'
/** Lines that no test proves: nothing else may. */
const UNTESTED = [11, 13]

/** Names of the tests of a file, each up to the variable in it. */
async function testsOf(file: string): Promise<Set<string>> {
  const text = await readFile(join(ROOT, file), 'utf8')
  const names = [...text.matchAll(/^\s*(?:test|it)\(\s*(['"`])(.*?)\1\s*,/gm)].map(([, , name = '']) => name)
  return new Set(names.map((name) => name.split('${')[0] ?? name))
}

test('the checklist has every finding of the document once, in order', async () => {
  const text = await readFile(join(ROOT, FINDINGS), 'utf8')
  const findings = [...text.matchAll(/^- \*\*Leveldb finding (\d+)\*\*/gm)].map(([, number]) => Number(number))
  assert.ok(findings.length > 0)
  assert.deepEqual(
    CHECKLIST.map(({ line }) => line),
    findings,
  )
})

test('every line of the checklist has a test, but for those that say why they have none', () => {
  const bare = CHECKLIST.filter(({ tests }) => Object.values(tests).flat().length === 0)
  assert.deepEqual(
    bare.map(({ line }) => line),
    UNTESTED,
  )
  assert.deepEqual(
    CHECKLIST.filter(({ untested }) => untested !== undefined).map(({ line }) => line),
    UNTESTED,
  )
})

test('every test that the checklist names exists', async () => {
  const missing: string[] = []
  for (const file of new Set(CHECKLIST.flatMap(({ tests }) => Object.keys(tests)))) {
    const known = await testsOf(file)
    for (const { line, tests } of CHECKLIST) {
      for (const name of tests[file] ?? []) if (!known.has(name)) missing.push(`${line}: ${file}: ${name}`)
    }
  }
  assert.deepEqual(missing, [])
})

test('leveldb finding 10: nothing that ships repairs or destroys a database', async () => {
  const folder = join(ROOT, 'packages/node/src/storage')
  const sources = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  assert.ok(sources.length > 20)
  const found: string[] = []
  for (const name of sources) {
    const text = await readFile(join(folder, name), 'utf8')
    // Functions of the class that `level` gives: no object of ours has such a method.
    if (/(?:Level|ClassicLevel)\s*\.\s*(?:repair|destroy)\b/.test(text)) found.push(name)
  }
  assert.deepEqual(found, [])
})
