import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, describe, test } from 'node:test'
import { openStore } from '../../src/storage/index.ts'
import { WRITER, Writer } from './children/run-writer.ts'
import { type Cut, TracedDisk } from './children/traced-disk.ts'
import { assertWritten, StoreRunner } from './store-kit.ts'

const CALLS = 'openat,write,pwrite64,pwritev,writev,ftruncate,fallocate,fdatasync,fsync,rename,unlink'
const TRACE_OPTIONS = ['-f', '-y', '-qq', '-xx', '-s', '4000000', '--seccomp-bpf', '-e', `trace=${CALLS}`]

/** Undefined when strace works here; else why not. Tracing is forbidden in many containers. */
function missingStrace(): string | undefined {
  const tried = spawnSync('strace', ['-f', '-o', '/dev/null', '--seccomp-bpf', 'true'], { encoding: 'utf8' })
  if (tried.error === undefined && tried.status === 0) return undefined
  return `strace does not work here: ${tried.error?.message ?? tried.stderr.trim()}`
}

const missing = missingStrace()
assert.ok(
  missing === undefined || process.env['ASHLAR_REQUIRE_TOOLS'] !== '1',
  `${missing}; ASHLAR_REQUIRE_TOOLS=1 asks for it (Debian package strace)`,
)

const made: string[] = []
after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true })
})

async function formatted(): Promise<{ root: string; directory: string }> {
  const root = await mkdtemp(join(tmpdir(), 'ashlar-power-'))
  made.push(root)
  const directory = join(root, 'data')
  const runner = new StoreRunner()
  runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  runner.create()
  await runner.store.close()
  return { root, directory }
}

async function reopened(directory: string): Promise<StoreRunner> {
  const runner = new StoreRunner()
  runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  return runner
}

describe('power cut', { skip: missing ?? false }, () => {
  test('every acknowledged write survives the loss of all unsynced data, also across log rotations', async () => {
    const { root, directory } = await formatted()
    const database = join(directory, 'store/db')
    const before = new Map<string, Buffer>()
    for (const name of await readdir(database)) {
      before.set(join(database, name), await readFile(join(database, name)))
    }
    const base = join(root, 'base')
    await cp(directory, base, { recursive: true })
    await rm(join(base, 'store/db'), { recursive: true })
    const trace = join(root, 'trace')
    const writer = new Writer('strace', [
      ...TRACE_OPTIONS,
      '-o',
      trace,
      process.execPath,
      '--conditions=ashlar-source',
      WRITER,
      ...[directory, '64', '1', '60'],
    ])
    const errors = await writer.ended()
    assert.equal(writer.lines.at(-1), 'closed', errors)

    const cuts: { cut: number; rotated: boolean; kind: 'synced' | 'torn'; files: Map<string, Buffer> }[] = []
    let rotations = 0
    const keep = ({ acked, rotated, files }: Cut) => {
      if (rotated) rotations++
      // Each moment right after a rotation, and some others.
      if (!rotated && acked % 20 !== 0) return
      const kind = cuts.length % 2 === 0 ? 'synced' : 'torn'
      cuts.push({ cut: acked, rotated, kind, files: files(kind) })
    }
    new TracedDisk(database, before).play(await readFile(trace, 'latin1'), keep)
    assert.ok(rotations >= 5, `only ${rotations} rotations were seen`)

    let lost = 0
    for (const { cut, kind, files } of cuts) {
      const place = join(root, `cut-${cut}-${kind}`)
      await cp(base, place, { recursive: true })
      for (const [path, content] of files) {
        const target = join(place, 'store/db', relative(database, path))
        await mkdir(dirname(target), { recursive: true })
        await writeFile(target, content)
      }
      const runner = await reopened(place)
      const last = await assertWritten(runner, cut, `cut after write ${cut}, ${kind}`)
      if (last < 60) lost++
      await runner.store.close()
      await rm(place, { recursive: true })
    }
    assert.ok(lost > 0, 'a cut that loses nothing proves nothing')
  })

  for (const call of [4, 15]) {
    test(`after a failed sync (the ${call}th) the store acknowledges nothing, and all earlier data is there`, async () => {
      const { directory } = await formatted()
      const writer = new Writer(
        'strace',
        [
          ...['-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync'],
          ...['-e', `inject=fdatasync:error=EIO:when=${call}`],
          process.execPath,
          '--conditions=ashlar-source',
          WRITER,
          ...[directory, '4096', '1', '0'],
        ],
        // strace counts calls by thread.
        { UV_THREADPOOL_SIZE: '1' },
      )
      const errors = await writer.ended()
      // An early one makes the opening fail, a later one the store.
      assert.match(`${writer.lines.at(-1)} ${errors}`, /IO error: .*Input\/output error/)
      const runner = await reopened(directory)
      await assertWritten(runner, writer.acked, `sync ${call} failed`)
      await runner.store.close()
    })
  }
})
