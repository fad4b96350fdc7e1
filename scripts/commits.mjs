/**
 * The messages of the commits from BASE on, checked against CONTRIBUTING.md ("Commits"). Exits 1 when one of them breaks a
 * rule. Where the history does not reach back to BASE, as in a shallow clone, nothing is checked and a line says so.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { problemsOf, roomsOf } from './commits/rules.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The last commit before the rules. */
const BASE = process.env.ASHLAR_COMMITS_SINCE ?? '9b15cbfe726afc6e697daa3570a4dbbe2329265b'
const FIELD = '\x1f'
const RECORD = '\x1e'

function git(...args) {
  const safe = ['-c', `safe.directory=${ROOT.replace(/\/$/, '')}`]
  const { status, stdout } = spawnSync('git', [...safe, '-C', ROOT, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  return status === 0 ? stdout : undefined
}

/** Why the range cannot be told, or undefined. */
function obstacle() {
  if (git('rev-parse', '--git-dir') === undefined) return 'git is missing, or this is no checkout of it'
  if (git('cat-file', '-e', `${BASE}^{commit}`) === undefined) return `the history does not reach back to ${BASE}`
  if (git('merge-base', '--is-ancestor', BASE, 'HEAD') === undefined)
    return `${BASE} is not in the history of this branch`
  return undefined
}

function commitsSince(base) {
  const log = git('log', '--no-merges', '--reverse', `--format=%h${FIELD}%s${FIELD}%b${RECORD}`, `${base}..HEAD`) ?? ''
  return log
    .split(RECORD)
    .map((record) => record.trim().split(FIELD))
    .filter(([, subject]) => subject !== undefined)
    .map(([hash, subject, body]) => ({ hash, subject, body }))
}

const reason = obstacle()
if (reason === undefined) {
  const rooms = roomsOf((git('ls-files') ?? '').split('\n'))
  const commits = commitsSince(BASE)
  const problems = commits.flatMap((commit) => problemsOf(commit, rooms).map((problem) => ({ commit, problem })))
  for (const { commit, problem } of problems) process.stdout.write(`${commit.hash} ${commit.subject}\n  ${problem}\n`)
  const found = problems.length === 0 ? 'nothing to mend' : `${problems.length} to mend`
  process.stdout.write(`commits: ${commits.length} since ${BASE.slice(0, 7)}, ${found}\n`)
  process.exitCode = problems.length === 0 ? 0 : 1
} else {
  process.stdout.write(`commits: not checked: ${reason}\n`)
}
