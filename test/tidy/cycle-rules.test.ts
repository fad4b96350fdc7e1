import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { importCycles } from '../../scripts/tidy/cycle-rules.ts'
import { said } from './tree-of.ts'

const A = 'packages/node/src/core/a.ts'
const B = 'packages/node/src/core/room/b.ts'

describe('import cycles', () => {
  const cycle = {
    [A]: "import { x } from './x.ts'\nimport { b } from './room/b.ts'\n",
    [B]: "import type { C } from './c.ts'\n",
    'packages/node/src/core/room/c.ts': "const a = () => import('../a.ts')\n",
    'packages/node/src/core/x.ts': "import { z } from 'z'\n",
  }

  test('are found through type imports and import(), with the files that are in them', () => {
    const found = said(importCycles, cycle)
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', /^packages\/node\/src\/core\/a\.ts:2 3 files .* \(a\.ts, room\/b\.ts, room\/c\.ts\)/)
  })

  test('a file that imports itself is one', () => {
    assert.match(said(importCycles, { [A]: "export type { A } from './a.ts'\n" }).join(), /a\.ts:1 1 files/)
  })

  test('files that import one file from two sides are none, and tests are not looked at', () => {
    assert.deepEqual(
      said(importCycles, {
        [A]: "import './room/b.ts'\nimport './x.ts'\n",
        [B]: "import '../x.ts'\n",
        'packages/node/src/core/x.ts': 'export const x = 1\n',
        'packages/node/test/a.ts': "import './b.ts'\n",
        'packages/node/test/b.ts': "import './a.ts'\n",
      }),
      [],
    )
  })
})
