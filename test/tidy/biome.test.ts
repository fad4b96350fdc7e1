import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Rules of style that biome enforces for us: what each one refuses. */
const REFUSED: Readonly<Record<string, { readonly file: string; readonly source: string }>> = {
  noDefaultExport: { file: 'a.ts', source: 'export default function a(): void {}\n' },
  noReExportAll: { file: 'a.ts', source: "export * from './b.ts'\n" },
  noExcessiveLinesPerFunction: { file: 'a.ts', source: `export function a(): void {\n${'  a()\n'.repeat(61)}}\n` },
  noFocusedTests: { file: 'a.test.ts', source: "test.only('a', () => {})\n" },
  noSkippedTests: { file: 'a.test.ts', source: "test.skip('a', () => {})\n" },
}

const ALLOWED: Readonly<Record<string, string>> = {
  'a function of 60 lines': `export function a(): void {\n${'  a()\n'.repeat(60)}}\n`,
  'types passed on whole': "export type * from './b.ts'\n",
}

describe("biome under this repository's rules", () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ashlar-biome-'))
    cpSync(join(ROOT, 'biome.jsonc'), join(folder, 'biome.jsonc'))
  })
  after(() => rmSync(folder, { recursive: true }))

  function lint(file: string, source: string): { status: number | null; output: string } {
    writeFileSync(join(folder, file), source)
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')
    const args = [biome, 'lint', '--error-on-warnings', '--colors=off', file]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    return { status, output: stdout + stderr }
  }

  for (const [rule, { file, source }] of Object.entries(REFUSED)) {
    test(`refuses by ${rule}`, () => {
      const { status, output } = lint(file, source)
      assert.match(output, new RegExp(`lint/\\w+/${rule}\\b`))
      assert.notEqual(status, 0)
    })
  }

  for (const [what, source] of Object.entries(ALLOWED)) {
    test(`allows ${what}`, () => assert.equal(lint('a.ts', source).status, 0))
  }
})
