import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cliPage } from '../../scripts/pages/cli.ts'
import { limitsPage } from '../../scripts/pages/limits.ts'
import { metricsPage } from '../../scripts/pages/metrics.ts'
import { table } from '../../scripts/pages/page.ts'
import { protocolMapPage } from '../../scripts/pages/protocol-map.ts'
import { commentedRows } from '../../scripts/pages/source-table.ts'
import { treeOf } from './tree-of.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('tables of a source', () => {
  const source = `
export const T = {
  /** One:
   * a | b. */
  one: 1,
  longest: 2,

  /** Two. */
  two: f({ inner: 3 }),
} as const
const U = { other: 1 }
`

  test('are read with their comments, pairs together or each key for itself', () => {
    assert.deepEqual(commentedRows(source, 'T'), [
      { keys: ['one', 'longest'], comment: 'One: a | b.' },
      { keys: ['two'], comment: 'Two.' },
    ])
    assert.deepEqual(
      commentedRows(source, 'T', true).map(({ keys, comment }) => [...keys, comment]),
      [
        ['one', 'One: a | b.'],
        ['longest', ''],
        ['two', 'Two.'],
      ],
    )
  })

  test('that are gone are an error and no empty page', () => {
    assert.throws(() => commentedRows(source, 'V'), /no table V/)
    assert.throws(() => limitsPage(treeOf({})), /no table LIMITS/)
  })

  test('keep a bar inside its cell', () => {
    assert.equal(table(['a'], [['x | y\nz']]), '| a |\n| --- |\n| x \\| y z |')
  })
})

describe('generated pages', () => {
  test('name every limit, timer and condition of the source', () => {
    const path = 'packages/proto/src/limits.ts'
    const text = readFileSync(join(root, path), 'utf8')
    const page = limitsPage(treeOf({ [path]: text }))
    const conditions = text.match(/^holds\(/gm)?.length ?? 0
    assert.ok(conditions > 20)
    assert.equal(page.match(/^- /gm)?.length, conditions)
    for (const [, name] of text.matchAll(/^ {2}(\w+): .*,$/gm)) assert.match(page, new RegExp(`\`${name}\``))
  })

  test('name every metric that a source registers', async () => {
    const page = await metricsPage()
    const sources = ['packages/node/src', 'packages/cli/src', 'packages/client/src'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => readFileSync(join(root, folder, name), 'utf8')),
    )
    const names = sources.flatMap((text) =>
      [...text.matchAll(/'(ashlar_[a-z]+_[a-z_]+)'/g)].map(([, name]) => name ?? ''),
    )
    assert.ok(names.length > 80, `found ${names.length}`)
    assert.deepEqual(
      [...new Set(names)].filter((name) => !page.includes(`| \`${name}\` |`)),
      [],
    )
  })

  test('show the help of each command without the colors and the width of a terminal', () => {
    const page = cliPage()
    assert.match(page, /\n## ashlar volume create\n\n```\nUsage: ashlar volume create /)
    assert.doesNotMatch(page, /\n## ashlar volume\n/)
    assert.ok(!page.includes('\u001b'))
  })
})

describe('the map of the protocol', () => {
  const page = protocolMapPage(
    treeOf({
      'docs/PROTOCOL.md':
        '### A2.7 Sets\n- **A2.7-1** _Shrink_ (amendment 18, with A2.7-2). x\n- **A2.7-2** _Grow_. y\n',
      'packages/node/src/a.ts': "// amendment 18\nconst text = 'A2.7-2'\n",
      'packages/node/test/b.test.ts': "test('A2.7-1: shrinks')\n",
      'test/sim/mutants/table.ts': "{\n name: 'no-shrink',\n rule: 'Amendment 18',\n}\n",
      'scripts/c.ts': '// A2.7-2\n',
    }),
  )

  test('names sources that cite a rule in a comment, also as an amendment, tests and mutants', () => {
    const source = '[a.ts](../../packages/node/src/a.ts)'
    const proof = '[b.test.ts](../../packages/node/test/b.test.ts)'
    assert.ok(
      page.includes(
        `**A2.7-1** Shrink (amendment 18)\n\n- source ${source}\n- test ${proof}\n- mutant \`no-shrink\`\n\n`,
      ),
      page,
    )
    assert.ok(page.includes('\n\n**A2.7-2** Grow\n\n## '), page)
  })

  test('says what became of each amendment', () => {
    assert.ok(page.endsWith('| amendment 18 | A2.7-1 |\n'), page)
  })
})
