import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { problemsOf, roomsOf } from '../../scripts/commits/rules.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ROOMS = new Set(['sim', 'raft'])

function problems(subject: string, body = 'Because.\n'): string {
  return problemsOf({ hash: 'abc', subject, body }, ROOMS).join('; ')
}

test('rooms are the folders of the sources', () => {
  const rooms = roomsOf([
    'packages/node/src/core/raft/a/b.ts',
    'test/sim/x.ts',
    'docs/a.md',
    'packages/cli/src/main.ts',
  ])
  for (const room of ['packages', 'node', 'core', 'raft', 'sim', 'docs', 'cli', 'ci']) assert.ok(rooms.has(room), room)
  for (const room of ['a', 'src', 'x.ts', 'main.ts']) assert.ok(!rooms.has(room), room)
})

describe('the message of a commit', () => {
  test('is a room and an imperative, with a why', () => {
    assert.equal(problems('sim: take effects into the hash'), '')
    assert.equal(problems('raft: bring the log back', 'It was lost.\n\nSeed: 341, 342\nFinding: a torn tail\n'), '')
  })

  for (const [subject, what] of [
    ['Effects are hashed', /not "room:/],
    ['kitchen: cook', /no room kitchen/],
    [`sim: ${'x'.repeat(68)}`, /73 characters, at most 72/],
    ['sim: takes effects', /begins with takes/],
    ['sim: added effects', /begins with added/],
    ['sim: hashing effects', /begins with hashing/],
    ['sim: hash effects.', /full stop/],
  ] as const) {
    test(`is refused: ${subject.slice(0, 30)}`, () => assert.match(problems(subject), what))
  }

  test('is refused without a body, or with trailers alone', () => {
    assert.match(problems('sim: hash effects', ''), /no body/)
    assert.match(problems('sim: hash effects', 'Seed: 1\n'), /no body/)
  })

  test('is refused when a seed or a decision has no trailer, or one that is no number', () => {
    assert.match(problems('sim: hash effects', 'Found by seed 341.\n'), /names a seed/)
    assert.match(problems('sim: hash effects', 'As decision 12 says.\n\nSeed: 3\n'), /names a decision/)
    assert.match(problems('sim: hash effects', 'Why.\n\nSeed: many\n'), /Seed: takes numbers/)
    assert.equal(problems('sim: hash effects', 'Found by seed 341.\n\nSeed: 341\n'), '')
  })
})

describe('the check of a history', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ashlar-commits-'))
  after(() => rmSync(folder, { recursive: true }))

  function git(...args: string[]): string {
    const author = ['-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']
    const { status, stdout, stderr } = spawnSync('git', [...author, '-C', folder, ...args], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    return stdout.trim()
  }

  function check(since: string): { status: number | null; stdout: string } {
    const env = { ...process.env, ASHLAR_COMMITS_SINCE: since }
    return spawnSync(process.execPath, [join(folder, 'scripts/commits.mjs')], { env, encoding: 'utf8' })
  }

  test('covers the commits after the base, and says so where it cannot tell them', (t) => {
    if (spawnSync('git', ['--version']).status !== 0) return t.skip('git is missing')
    cpSync(join(ROOT, 'scripts/commits'), join(folder, 'scripts/commits'), { recursive: true })
    cpSync(join(ROOT, 'scripts/commits.mjs'), join(folder, 'scripts/commits.mjs'))
    assert.match(check('HEAD').stdout, /not checked: git is missing, or this is no checkout/)
    git('init', '-q')
    git('add', '.')
    git('commit', '-q', '-m', 'Anything before the rules.')
    const base = git('rev-parse', 'HEAD')
    writeFileSync(join(folder, 'a'), '')
    git('add', '.')
    git('commit', '-q', '-m', 'scripts: add a file', '-m', 'It is missing.')
    const good = check(base)
    assert.equal(good.status, 0, good.stdout)
    assert.match(good.stdout, /1 since .*, nothing to mend/)
    git('commit', '-q', '--allow-empty', '-m', 'Did something')
    const bad = check(base)
    assert.equal(bad.status, 1)
    assert.match(bad.stdout, /Did something\n {2}the subject is not "room:/)
    const unknown = check('0123456789012345678901234567890123456789')
    assert.equal(unknown.status, 0)
    assert.match(unknown.stdout, /not checked: the history does not reach back/)
  })
})
