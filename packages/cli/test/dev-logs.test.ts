import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { devCommand, shellWord } from '../src/dev/hints.ts'
import { lastWords, logLines } from '../src/dev/log-file.ts'
import { readableLine } from '../src/dev/log-lines.ts'
import { describeMajority, servingOf } from '../src/dev/serving.ts'

const STORE = '01a22eda-b87b-732e-b1f2-35627040c6f7'
const time = '2026-11-30T23:46:58.610Z'
const line = (fields: object): string =>
  JSON.stringify({ level: 'warn', time, node: 'n1', pid: 7, ...fields, msg: 'store-expired' })

async function logFile(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-log-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const log = join(directory, 'n1.log')
  await writeFile(log, text)
  return log
}

describe('a readable line of a log', () => {
  const head = '2026-11-30 23:46:58.610Z warn '

  it('has time, level, the event in words, and its fields', () => {
    assert.equal(readableLine(line({ ageMs: 1215.96604 })), `${head} store expired  ageMs=1215.966`)
    assert.equal(readableLine(line({ module: 'admin' })), `${head} admin: store expired`)
    const nested = { peer: { kind: 'client', name: 'gateway on vm' }, listen: ['a', 'b'] }
    assert.equal(
      readableLine(line(nested)),
      `${head} store expired  peer.kind=client peer.name="gateway on vm" listen=a,b`,
    )
  })

  it('names nodes and extents in place of ids', () => {
    const names = new Map([[STORE, 'n2']])
    assert.equal(
      readableLine(line({ reason: `lease of ${STORE}` }), names),
      `${head} store expired  reason="lease of n2"`,
    )
    assert.equal(readableLine(line({ store: STORE, storeName: 'n5' })), `${head} store expired  store=n5`)
    assert.equal(
      readableLine(line({ extent: 4097, volume: 'demo', extentIndex: 1 })),
      `${head} store expired  extent=demo/1`,
    )
  })

  it('has the message of an error among its fields, and the stack below', () => {
    const err = { type: 'Error', message: 'no disk', stack: 'Error: no disk\n    at open (a.ts:1:2)' }
    assert.equal(readableLine(line({ err })), `${head} store expired  error="no disk"\n    at open (a.ts:1:2)`)
  })

  it('stays as it is where it is not of our log', () => {
    for (const text of ['ashlar: port 1 is in use', '{"a":', '{"a":1}', '']) assert.equal(readableLine(text), text)
  })
})

describe('the lines of a log file', () => {
  it('are all of it, also the last one without an end', async (t) => {
    const log = await logFile(t, 'a\nb\nhalf')
    const lines: string[] = []
    for await (const each of logLines(log)) lines.push(each)
    assert.deepEqual(lines, ['a', 'b', 'half'])
  })

  it('are followed as they are written, from the beginning where the file was emptied, until the end', async (t) => {
    const log = await logFile(t, 'a\nhal')
    const end = new AbortController()
    const lines = logLines(log, end.signal)
    assert.equal((await lines.next()).value, 'a')
    await appendFile(log, 'f\n')
    assert.equal((await lines.next()).value, 'half')
    const next = lines.next()
    await writeFile(log, 'new\n')
    assert.equal((await next).value, 'new')
    const last = lines.next()
    end.abort()
    assert.equal((await last).done, true)
  })
})

describe('the last words of a process', () => {
  it('are its message, else its last warning, else its last line, of this start only', async (t) => {
    const info = line({}).replace('warn', 'info')
    const log = await logFile(t, `ashlar: of an earlier start\n${line({ at: 1 })}\n${info}\n`)
    assert.equal(await lastWords(log), 'of an earlier start')
    const from = 'ashlar: of an earlier start\n'.length
    assert.match((await lastWords(log, from)) ?? '', /warn {2}store expired {2}at=1$/)
    assert.match((await lastWords(log, from + line({ at: 1 }).length)) ?? '', /info {2}store expired$/)
    assert.equal(await lastWords(log, 100_000), undefined)
  })
})

describe('a started node', () => {
  const local = (store: string, more: object = {}) =>
    ({ store, leaseHeld: false, control: { voters: ['a', 'b', 'c'], recovering: false }, ...more }) as never
  const of = (...locals: unknown[]) => locals.map((each, at) => ({ node: { id: `n${at + 1}` }, local: each as never }))

  it('waits for the cluster where a majority of voters responds', () => {
    assert.deepEqual(servingOf('n1', of(local('a'), local('b'), undefined)).silent, [])
  })

  it('lacks a majority where too few voters respond, or those that do have lost their logs', () => {
    const alone = servingOf('n1', of(local('a'), undefined, undefined))
    assert.deepEqual(alone, { silent: ['n2', 'n3'], votersAnswering: 1, voters: 3 })
    const text = describeMajority({ ...alone, registered: false }, (id) => `ashlar dev start ${id}`)
    assert.match(
      text,
      /control has no majority: 1 of 3 voters responds, and 2 are needed; start another node:\n {2}ashlar dev start n2\n/,
    )
    const recovering = local('b', { control: { voters: ['a', 'b', 'c'], recovering: true } })
    assert.deepEqual(servingOf('n1', of(local('a'), recovering, undefined)).silent, ['n3'])
  })

  it('over the directory of another cluster does not decide who votes', () => {
    const foreign = local('x', { control: { voters: ['x', 'y', 'z'], recovering: false } })
    assert.deepEqual(servingOf('n2', of(local('a', { leaseHeld: true }), foreign, local('c'))).silent, [])
  })

  it('of no cluster yet needs all others', () => {
    const empty = local('a', { control: null })
    assert.deepEqual(servingOf('n1', of(empty, undefined)), { silent: ['n2'], votersAnswering: 0, voters: 0 })
  })
})

describe('a command in a hint', () => {
  it('names the data directory unless it is the default, as a shell takes it', () => {
    assert.equal(devCommand('dev start n2', '.ashlar/dev'), 'ashlar dev start n2')
    assert.equal(devCommand('dev start n2', '/data/x'), 'ashlar dev start n2 --data-dir /data/x')
    assert.equal(shellWord("/a b/it's"), "'/a b/it'\\''s'")
  })
})
