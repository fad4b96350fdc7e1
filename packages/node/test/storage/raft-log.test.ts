import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AshlarError } from '@ashlar/proto'
import { Prng } from '../../src/core/prng.ts'
import { type ControlLog, openControlLog } from '../../src/storage/control-log/index.ts'
import { A, append, B, entries, entry, type Held, LIFE, LogModel, type Request, snapshot } from './raft-log-kit.ts'

const corrupt = (error: unknown) => error instanceof AshlarError && error.code === 'INTERNAL'
const made: string[] = []
let directory = ''

beforeEach(async () => {
  directory = await fresh()
})
after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true })
})

async function fresh(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ashlar-raft-log-'))
  made.push(root)
  return join(root, 'control')
}

function held(log: ControlLog): Held {
  const list = log.entries.map(({ index, term }) => [index, term] as const)
  return { hardState: log.hardState, snapshot: log.snapshot?.index, entries: list }
}

async function reopened(path = directory): Promise<Held> {
  const log = await openControlLog(path, { segmentBytes: 200 })
  await log.close()
  return held(log)
}

async function persist(...requests: Request[]): Promise<void> {
  const log = await openControlLog(directory, { segmentBytes: 200 })
  for (const request of requests) await log.persist(request)
  await log.close()
}

describe('files of a voter', () => {
  test('are empty at first, and return term, vote, snapshot and entries', async () => {
    assert.deepEqual(await reopened(), { hardState: undefined, snapshot: undefined, entries: [] })
    const hardState = { term: 2 ** 53 - 1, vote: A }
    await persist({ hardState, ...append(1, entries(1, 3, 1)) }, { snapshot: snapshot(2, 1) })
    const log = await openControlLog(directory)
    await log.close()
    assert.deepEqual(log.hardState, hardState)
    assert.deepEqual(log.snapshot, snapshot(2, 1))
    assert.deepEqual(log.entries, [entry(3, 1)])
  })

  test('of a build without votes open unchanged', async () => {
    const log = await openControlLog(directory)
    await log.append(entries(1, 3, 1))
    await log.close()
    const { hardState, entries: list } = await reopened()
    assert.equal(hardState, undefined)
    assert.equal(list.length, 3)
  })

  test('replace a divergent end across files, also after they are opened again', async () => {
    await persist(append(1, entries(1, 12, 1)))
    assert.ok((await readdir(directory)).filter((name) => name.endsWith('.log')).length > 0)
    await persist(append(5, [entry(5, 2)]))
    await persist(append(6, entries(6, 9, 3)), append(8, [entry(8, 4)]))
    const { entries: list } = await reopened()
    assert.deepEqual(
      list.map(([, term]) => term),
      [1, 1, 1, 1, 2, 3, 3, 4],
    )
  })

  test('refuse a gap', async () => {
    const log = await openControlLog(directory)
    await log.persist(append(1, entries(1, 3, 1)))
    await assert.rejects(log.persist(append(5, [entry(5, 1)])), /entry 5 leaves a gap/)
    await log.close()
  })

  test('end where a snapshot covers them, and the log continues', async () => {
    for (let index = 1; index <= 20; index++) await persist(append(index, [entry(index, 1)]))
    const before = (await readdir(directory)).length
    await persist({ snapshot: snapshot(15, 1) })
    assert.ok((await readdir(directory)).length < before)
    await persist(append(21, [entry(21, 2)]))
    const { entries: list } = await reopened()
    assert.deepEqual(
      list.map(([index]) => index),
      [16, 17, 18, 19, 20, 21],
    )
  })

  test('refuse a log that begins in the middle without its snapshot', async () => {
    for (let index = 1; index <= 20; index++) await persist(append(index, [entry(index, 1)]))
    await persist({ snapshot: snapshot(15, 1) })
    await rm(join(directory, 'snapshot'))
    await assert.rejects(reopened(), /begins at entry \d+, and its snapshot ends at entry 0/)
  })

  test('survive damage of any byte in one copy of the vote; with both damaged the store must not vote', async () => {
    const hardState = { term: 7, vote: B }
    await persist({ hardState: { term: 6, vote: A } }, { hardState })
    for (const name of ['vote.0', 'vote.1']) {
      const path = join(directory, name)
      const whole = await readFile(path)
      for (let at = 0; at < whole.length; at++) {
        const damaged = Buffer.from(whole)
        damaged[at] = (damaged[at] as number) ^ 0x10
        await writeFile(path, damaged)
        assert.deepEqual((await reopened()).hardState, hardState, `${name}, byte ${at}`)
      }
      await writeFile(path, whole)
    }
    await writeFile(join(directory, 'vote.0'), 'x')
    await writeFile(join(directory, 'vote.1'), 'y')
    await assert.rejects(reopened(), corrupt)
  })

  test('use the newer of two copies, and ignore a torn first write', async () => {
    await persist({ hardState: { term: 6, vote: A } })
    const old = await readFile(join(directory, 'vote.1'))
    await persist({ hardState: { term: 7, vote: B } })
    await writeFile(join(directory, 'vote.1'), old)
    assert.deepEqual((await reopened()).hardState, { term: 7, vote: B })
    await writeFile(join(directory, 'vote.0'), 'torn')
    await writeFile(join(directory, 'vote.1'), '')
    assert.equal((await reopened()).hardState, undefined)
  })

  test('refuse a damaged snapshot', async () => {
    await persist(append(1, entries(1, 3, 1)), { snapshot: snapshot(2, 1) })
    const path = join(directory, 'snapshot')
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at += 3) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] as number) ^ 0x10
      await writeFile(path, damaged)
      await assert.rejects(reopened(), corrupt, `byte ${at}`)
    }
  })

  test('34: hold the log of their requests after any appends, replacements, snapshots and openings', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Prng(seed)
      const model = new LogModel()
      const path = await fresh()
      let log = await openControlLog(path, { segmentBytes: 200 })
      for (let step = 1; step <= 40; step++) {
        const request = anyRequest(model, random, step)
        await log.persist(request)
        model.write(request)
        if (random.next() > 0.4) continue
        await log.close()
        log = await openControlLog(path, { segmentBytes: 200 })
        assert.deepEqual(held(log), model.held, `seed ${seed}, step ${step}`)
      }
      await log.close()
    }
  })
})

/** A request that raft could make: nothing that a snapshot covers is replaced but by a restart. */
function anyRequest(model: LogModel, random: Prng, term: number): Request {
  const pick = (count: number) => Math.floor(random.next() * count)
  const covered = model.snapshot?.index ?? 0
  const last = model.held.entries.at(-1)?.[0] ?? covered
  const dice = random.next()
  if (dice < 0.1) return { hardState: { term, vote: pick(2) === 0 ? A : undefined } }
  if (dice < 0.2 && last > covered) {
    const [index = 0, at = 0] = model.held.entries[pick(last - covered)] ?? []
    return { snapshot: snapshot(index, at) }
  }
  if (dice < 0.27) {
    const index = covered + 1 + pick(10)
    return { snapshot: snapshot(index, term), ...append(index + 1, entries(index + 1, index + pick(4), term), true) }
  }
  const from = dice < 0.5 ? covered + 1 + pick(last - covered + 1) : last + 1
  return append(from, entries(from, from + pick(6), term))
}

// ---- crashes ---------------------------------------------------------------------------------------------------------------

const WRITER = fileURLToPath(new URL('./children/raft-log-writer.ts', import.meta.url))
/** Each kill costs the start of a process: one call in so many is tried, and with RAFT_KILL_EVERY=1 each. */
const KILL_EVERY = Number(process.env['RAFT_KILL_EVERY'] ?? 8)
const CALLS = 'pwrite64,fdatasync,fsync,ftruncate,rename,unlink'

/** Runs the writer under strace; `when`: it is killed at that call. */
function trace(path: string, out: string, when?: number): { acked: number; ended: boolean } {
  const inject = when === undefined ? [] : ['-e', `inject=${CALLS}:signal=SIGKILL:when=${when}`]
  const ran = spawnSync(
    'strace',
    [
      '-f',
      '-qq',
      '-y',
      '-o',
      out,
      '-e',
      `trace=${CALLS}`,
      ...inject,
      process.execPath,
      '--conditions=ashlar-source',
      WRITER,
      path,
    ],
    // strace counts calls by thread.
    { encoding: 'utf8', env: { ...process.env, UV_THREADPOOL_SIZE: '1' } },
  )
  const acked = [...ran.stdout.matchAll(/^acked (\d+)$/gm)].length
  return { acked, ended: ran.status === 0 }
}

const tried = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' })
const missing = tried.status === 0 ? undefined : 'strace does not work here'
assert.ok(missing === undefined || process.env['ASHLAR_REQUIRE_TOOLS'] !== '1', missing)

describe('a voter that is killed', { skip: missing ?? false }, () => {
  test('29, 34: at any call that changes a file keeps its acknowledged state, or is on the way to the next', async () => {
    const out = `${directory}.trace`
    const whole = trace(directory, out)
    assert.ok(whole.ended)
    const calls = (await readFile(out, 'utf8')).split('\n').filter((line) => /^\d+\s+\w+\(/.test(line))
    assertOrder(calls)
    const states = [new LogModel()]
    for (const request of LIFE) {
      const next = Object.assign(new LogModel(), states.at(-1))
      next.write(request)
      states.push(next)
    }
    for (let when = 1; when <= calls.length; when += KILL_EVERY) {
      const path = await fresh()
      const { acked, ended } = trace(path, '/dev/null', when)
      if (ended) break
      const before = states[acked] as LogModel
      const request = LIFE[acked]
      const possible = (request === undefined ? [before] : before.crashesIn(request)).map((state) => state.held)
      const found = await reopened(path)
      assert.ok(
        possible.some((state) => JSON.stringify(state) === JSON.stringify(found)),
        `killed at call ${when}, ${acked} acknowledged: ${JSON.stringify(found)}`,
      )
    }
  })
})

/** Each step is durable before the next one is begun: the files say so by themselves. */
function assertOrder(calls: readonly string[]): void {
  for (const [place, call] of calls.entries()) {
    const next = calls[place + 1] ?? ''
    if (call.includes('ftruncate')) assert.match(next, /fsync\(.*\.log>/, `after ${call}`)
    if (call.includes('unlink')) assert.match(next, /fsync\(.*control>/, `after ${call}`)
    if (/pwrite64\(.*snapshot\.new>/.test(call)) {
      assert.match(next, /fsync\(.*snapshot\.new>/)
      assert.match(calls[place + 2] ?? '', /rename\(/)
      assert.match(calls[place + 3] ?? '', /fsync\(.*control>/)
    }
    if (/pwrite64\(.*(vote\.\d|\.log)>/.test(call))
      assert.match(next, /fdatasync\(.*(vote\.\d|\.log)>/, `after ${call}`)
  }
}
