import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { matchesGlob } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { STAGES } from '../../scripts/verbs/stages.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

function testFiles(): string[] {
  return ['packages', 'test'].flatMap((folder) =>
    readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules'))
      .map((path) => `${folder}/${path}`),
  )
}

test('every test file belongs to exactly one stage of npm test, so that none is forgotten', () => {
  const files = testFiles()
  assert.ok(files.length > 50, `only ${files.length} test files were found`)
  for (const file of files) {
    const stages = Object.entries(STAGES).filter(([, stage]) => stage.files.some((glob) => matchesGlob(file, glob)))
    assert.equal(stages.length, 1, `${file} is in the stages [${stages.map(([name]) => name).join(', ')}]`)
  }
})

test('every stage finds a test', () => {
  const files = testFiles()
  for (const [name, stage] of Object.entries(STAGES)) {
    for (const glob of stage.files)
      assert.ok(
        files.some((file) => matchesGlob(file, glob)),
        `${name}: ${glob} matches nothing`,
      )
  }
})
