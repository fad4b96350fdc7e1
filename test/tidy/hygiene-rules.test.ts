import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  fileSizes,
  lockFile,
  machinePaths,
  openWork,
  packageManifests,
  privateMembers,
} from '../../scripts/tidy/hygiene-rules.ts'
import { said } from './tree-of.ts'

const LONG = 'x\n'.repeat(450)

describe('file sizes', () => {
  test('refuse a file that grew too long', () => {
    assert.match(said(fileSizes, { 'packages/node/src/a.ts': LONG }).join(), /450 lines, at most 400/)
    assert.deepEqual(said(fileSizes, { 'packages/node/src/a.ts': 'x\n'.repeat(400), 'docs/long.md': LONG }), [])
    assert.deepEqual(said(fileSizes, { 'packages/node/test/a.ts': LONG }), [])
    assert.match(said(fileSizes, { 'test/a.ts': 'x\n'.repeat(501) }).join(), /501 lines, at most 500/)
  })
})

describe('open work', () => {
  for (const line of ['// TODO: later', '// FIXME', "throw new Error('not implemented')", "test.skip('a', f)"]) {
    test(`refuses ${line}`, () => assert.equal(said(openWork, { 'packages/node/test/a.ts': `${line}\n` }).length, 1))
  }

  test('allows a test that skips with a reason', () => {
    assert.deepEqual(
      said(openWork, { 'test/nbd/a.test.ts': "t.skip('fio is missing')\ntest('a', { skip: why }, f)\n" }),
      [],
    )
  })
})

describe('machine paths', () => {
  test('refuse a path of one machine in any file', () => {
    const path = ['', 'root', 'ashlar', 'x'].join('/')
    assert.match(said(machinePaths, { 'docs/a.md': `see ${path}\n` }).join(), /path of one machine/)
  })

  test('allow paths that every machine has, and paths below the repository', () => {
    assert.deepEqual(
      said(machinePaths, { 'docs/a.md': '/var/lib/ashlar /home/node/app packages/work/a/b ./root/x\n' }),
      [],
    )
  })
})

describe('the lock file', () => {
  test('refuses registry addresses and allows links of workspaces', () => {
    const text = '"resolved": "packages/cli",\n"resolved": "https://registry.example/x.tgz"\n'
    assert.deepEqual(
      said(lockFile, { 'package-lock.json': text }).map((line) => line.split(' ')[0]),
      ['package-lock.json:2'],
    )
  })
})

describe('package manifests', () => {
  const manifest = (changes: object): string => JSON.stringify({ version: '1.0.0', license: 'Apache-2.0', ...changes })

  test('refuse ranges, another licence and versions that differ', () => {
    const found = said(packageManifests, {
      'packages/cli/package.json': manifest({ dependencies: { ws: '^8.0.0' }, license: 'MIT' }),
      'packages/node/package.json': manifest({ version: '1.0.1', dependencies: { ws: '8.0.0' } }),
    }).join('\n')
    assert.match(found, /cli.*ws "\^8\.0\.0"/)
    assert.match(found, /cli.*Apache-2\.0/)
    assert.match(found, /versions differ: 1\.0\.0, 1\.0\.1/)
    assert.doesNotMatch(found, /node\/package\.json/)
  })
})

describe('private members', () => {
  test('are not named with # where the search has to see them', () => {
    const text = 'class A {\n  #kept = 1 // #kept\n}\n'
    const paths = ['packages/node/src/core/raft/a.ts', 'packages/proto/src/a.ts', 'packages/node/src/storage/a.ts']
    const files = Object.fromEntries(paths.map((path) => [path, text]))
    assert.equal(said(privateMembers, files).length, 2)
    assert.deepEqual(said(privateMembers, { 'packages/proto/src/a.ts': text.replaceAll('#', 'private ') }), [])
  })
})
