import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { importArrows, pureRooms, thirdPartyRooms } from '../../scripts/tidy/room-rules.ts'
import { said } from './tree-of.ts'

const PACKAGES = {
  'packages/proto/package.json': '{"name":"@ashlar/proto","exports":{".":{},"./codec":{}}}',
  'packages/node/package.json': '{"name":"@ashlar/node","exports":{".":{},"./core":{}}}',
  'packages/client/package.json': '{"name":"@ashlar/client","exports":{".":{}}}',
}

/** What the rule of arrows says about one import in one file. */
function arrow(path: string, specifier: string): string[] {
  return said(importArrows, { ...PACKAGES, [path]: `import { a } from '${specifier}'\n` })
}

describe('pure rooms', () => {
  for (const word of ['new Date()', 'await x', 'async () => x', 'Math.random()', 'Buffer.alloc(1)', 'process.exit()']) {
    test(`refuse ${word}`, () => {
      const found = said(pureRooms, { 'packages/node/src/core/a.ts': `const x = 1\nconst y = ${word}\n` })
      assert.equal(found.length, 1)
      assert.match(found[0] ?? '', /^packages\/node\/src\/core\/a\.ts:2 .*pure room/)
    })
  }

  test('refuse node: modules', () => {
    const found = said(pureRooms, { 'packages/client/src/core/a.ts': "import { crc32 } from 'node:zlib'\n" })
    assert.match(found.join(), /a\.ts:1 node:zlib in a pure room/)
  })

  test('let the words stand in comments, strings and names of fields, and in the shell', () => {
    assert.deepEqual(
      said(pureRooms, {
        'packages/node/src/core/a.ts': "// no Date here\nconst a = { process: 1 }\nconst b = 'await'\nb.process()\n",
        'packages/node/src/runtime/pump.ts': 'await new Promise(setImmediate)\n',
        'packages/proto/src/codec/a.ts': 'Buffer.alloc(1)\n',
      }),
      [],
    )
  })
})

describe('import arrows', () => {
  test('refuse a package that is above or beside', () => {
    assert.match(arrow('packages/proto/src/codec/a.ts', '@ashlar/node').join(), /proto may not import node/)
    assert.match(arrow('packages/client/src/a.ts', '@ashlar/node').join(), /client may not import node/)
    assert.deepEqual(arrow('packages/node/src/a.ts', '@ashlar/proto/codec'), [])
    assert.deepEqual(arrow('packages/cli/src/a.ts', '@ashlar/node'), [])
  })

  test('refuse what is no door of a package', () => {
    assert.match(arrow('packages/node/src/a.ts', '@ashlar/proto/src/ids.ts').join(), /no door/)
    assert.match(arrow('test/sim/a.ts', '@ashlar/client/core/queue').join(), /no door/)
  })

  test('refuse build outputs, another package by relative path, and tests in what ships', () => {
    assert.match(arrow('test/sim/a.ts', '../../packages/node/dist/index.js').join(), /build output/)
    assert.match(arrow('packages/node/src/a.ts', '../../proto/src/ids.ts').join(), /leaves the package/)
    assert.match(arrow('packages/node/src/a.ts', '../test/kit.ts').join(), /is a test/)
    assert.match(arrow('packages/node/src/a.ts', '@ashlar/node/core').join(), /this package itself/)
    assert.deepEqual(arrow('packages/proto/src/codec/a.ts', '@ashlar/proto'), [])
  })

  test('keep a pure room to itself and the vocabulary', () => {
    const path = 'packages/node/src/core/replication/a.ts'
    assert.match(arrow(path, '../../storage/driver.ts').join(), /leaves the pure room/)
    assert.match(arrow(path, '@ashlar/proto/codec').join(), /pure room/)
    assert.match(arrow(path, 'fast-check').join(), /pure room/)
    assert.deepEqual([...arrow(path, '../machine.ts'), ...arrow(path, '@ashlar/proto')], [])
  })

  test('let tests import anything that has a door or a path', () => {
    assert.deepEqual(arrow('packages/client/test/a.test.ts', '@ashlar/node/core'), [])
    assert.deepEqual(arrow('test/cluster/a.test.ts', '../../packages/node/src/runtime/pump.ts'), [])
  })
})

describe('third-party rooms', () => {
  const NODE = { 'packages/node/package.json': '{"name":"@ashlar/node","dependencies":{"level":"1.0.0"}}' }

  test('refuse a driver or a framework outside its room', () => {
    assert.match(
      said(thirdPartyRooms, { ...NODE, 'packages/node/src/runtime/pump.ts': "import { Level } from 'level'\n" }).join(),
      /level is known only in packages\/node\/src\/storage\/leveldb\//,
    )
    const inRoom = {
      'packages/node/src/storage/leveldb/a.ts': "import { Level } from 'level'\nimport fs from 'node:fs'\n",
    }
    assert.deepEqual(said(thirdPartyRooms, { ...NODE, ...inRoom }), [])
  })

  test('refuse a package that package.json does not list', () => {
    assert.match(
      said(thirdPartyRooms, { ...NODE, 'packages/node/src/a.ts': "import { x } from '@scope/other/deep'\n" }).join(),
      /@scope\/other is no dependency of packages\/node\/package\.json/,
    )
  })
})
