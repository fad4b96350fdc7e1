import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { architectureTables, declares } from '../../scripts/tidy/architecture-rules.ts'
import { said } from './tree-of.ts'

/** Thirty rows that hold. */
const PLACES = Array.from(
  { length: 30 },
  (_, index) => `| \`a\` and b ${index} | \`packages/node/src/room/a.ts\` | \`f\` |\n`,
).join('')

function pageOf(rooms: string, places: string, decisions: string): string {
  return `# A\n## Rooms\n\n${rooms}\n## Where is …\n\n${places}\n## Decisions\n\n${decisions}\n## Next\n`
}

const FILES = { 'packages/node/src/room/a.ts': 'export function f() {}\n', 'docs/decisions/0001-a.md': '' }

describe('tables of the architecture', () => {
  test('hold every room, place and decision', () => {
    const page = pageOf('| `packages/node/src/room` | x | y |\n', PLACES, '[1](decisions/0001-a.md)\n')
    assert.deepEqual(said(architectureTables, { ...FILES, 'docs/ARCHITECTURE.md': page }), [])
  })

  test('are told what they lack', () => {
    const places = PLACES.replace('`f`', '`g`')
      .replace(/\| .*\n$/, '')
      .replace('src/room/a.ts` | `f`', 'src/b.ts` | `f`')
    const found = said(architectureTables, {
      ...FILES,
      'packages/node/src/core/raft/deep/b.ts': '',
      'docs/ARCHITECTURE.md': pageOf('| `packages/node/src/core` |\n', places, ''),
    })
    assert.deepEqual(
      found.map((line) => line.replace(/^docs\/ARCHITECTURE.md:\d+ /, '')),
      [
        'the room packages/node/src/room is not in the table of rooms',
        'the room packages/node/src/core/raft is not in the table of rooms',
        'docs/decisions/0001-a.md is not in the table of decisions',
        '29 places are told, of 30 at least',
        'packages/node/src/room/a.ts does not declare g',
        'packages/node/src/b.ts does not declare f',
      ],
    )
  })

  test('find what a source declares, and nothing that it only uses or speaks of', () => {
    const source = `
export function* steps() {}
class Thing {
  readonly #count: number = 0
  private async onTick(ctx: Context): Promise<void> {
    used(ctx)
    if (x) return other(1)
  }
}
// function spoken() {}
const text = 'const quoted'
export const TABLE = {}
`
    const names = ['steps', 'Thing', 'count', 'onTick', 'TABLE', 'used', 'other', 'spoken', 'quoted']
    assert.deepEqual(
      names.filter((name) => declares(source, name)),
      ['steps', 'Thing', 'count', 'onTick', 'TABLE'],
    )
    assert.equal(declares(undefined, 'x'), false)
  })
})
