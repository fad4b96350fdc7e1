import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, cp, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { openStore, surveyStore } from '../../src/storage/index.ts'
import { openOffline } from '../../src/storage/offline/offline-store.ts'
import { data, EXTENT, StoreRunner } from './store-kit.ts'

/** Every file below a directory with its content, its length and the moment of its last change. */
async function imageOf(directory: string): Promise<Record<string, string>> {
  const image: Record<string, string> = {}
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mtimeMs, size, ino } = await stat(path)
    const content = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : ''
    image[path] = `${ino} ${size} ${mtimeMs} ${content}`
  }
  return image
}

async function flip(path: string, at: number): Promise<void> {
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  byte[0] = (byte[0] as number) ^ 1
  await handle.write(byte, 0, 1, at)
  await handle.close()
}

const TEMPORARY = process.env['TMPDIR']

describe('a store that is read while no node runs over it', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ashlar-offline-test-'))
    process.env['TMPDIR'] = root
  })
  afterEach(async () => {
    if (TEMPORARY === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TEMPORARY
    await rm(root, { recursive: true, force: true })
  })

  /** A directory as a kill leaves it: LevelDB has a log to replay. */
  async function killed(writes: number): Promise<string> {
    const runner = new StoreRunner()
    const directory = join(root, 'live')
    runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
    runner.create()
    for (let seq = 1; seq <= writes; seq++) await runner.write(seq, [data(seq, seq)])
    const copy = join(root, 'copy')
    await cp(directory, copy, { recursive: true })
    await runner.store.close()
    return copy
  }

  test('its directory stays unchanged, and the files that LevelDB wrote for it are removed', async () => {
    const directory = await killed(20)
    const before = await imageOf(directory)
    const survey = await surveyStore(directory)
    assert.deepEqual(await imageOf(directory), before)
    assert.deepEqual(survey.evidence, [])
    assert.deepEqual(
      survey.replicas.map(({ extent, head, suspect }) => [extent, head.lastSeq, suspect]),
      [[EXTENT, 20, false]],
    )
    assert.deepEqual((await readdir(root)).sort(), ['copy', 'live'], 'no directory of this reading is left')
    // It can be read any number of times, and a node finds what it would have found.
    await surveyStore(directory)
    const node = new StoreRunner()
    node.use(await openStore({ directory, ballastBytes: 0 }, node.complete))
    assert.equal(node.store.identity.trust, 'trusted')
    await node.store.close()
  })

  test('tables that a crash left and a truncated manifest are neither overwritten nor an obstacle', async () => {
    const directory = await killed(20)
    const database = join(directory, 'store/db')
    // LevelDB gives these numbers to its next files, and knows nothing of a table that no manifest names.
    for (let number = 1; number < 40; number++) {
      const name = String(number).padStart(6, '0')
      const taken = (await readdir(database)).some((other) => other.includes(name))
      if (!taken) await writeFile(join(database, `${name}.ldb`), `left behind: ${name}`)
    }
    const manifest = (await readdir(database)).find((name) => name.startsWith('MANIFEST')) ?? assert.fail('a manifest')
    // The header of a record of 200 bytes, and three of them.
    await appendFile(join(database, manifest), Buffer.from([1, 2, 3, 4, 200, 0, 1, 9, 9, 9]))
    const before = await imageOf(directory)
    const survey = await surveyStore(directory)
    assert.equal(survey.replicas[0]?.head.lastSeq, 20)
    assert.deepEqual(survey.evidence, [])
    assert.deepEqual(await imageOf(directory), before)
  })

  test('finding 4: a record that LevelDB drops in this reading makes every replica suspect', async () => {
    const directory = await killed(40)
    const database = join(directory, 'store/db')
    const log = (await readdir(database)).find((name) => name.endsWith('.log')) ?? assert.fail('there is a log')
    await flip(join(database, log), 70_000)
    const before = await imageOf(directory)
    const survey = await surveyStore(directory)
    assert.ok(
      survey.evidence.some((line) => /dropping \d+ bytes|Corruption/.test(line)),
      survey.evidence.join('; '),
    )
    assert.ok(survey.replicas.every(({ suspect }) => suspect))
    assert.deepEqual(await imageOf(directory), before, 'the next node finds it too')
  })

  test('evidence that a node acted upon counts only as long as its suspicion lasts', async () => {
    const directory = await killed(40)
    const database = join(directory, 'store/db')
    const log = (await readdir(database)).find((name) => name.endsWith('.log')) ?? assert.fail('there is a log')
    await flip(join(database, log), 70_000)
    const node = new StoreRunner()
    node.use(await openStore({ directory, ballastBytes: 0 }, node.complete))
    await node.store.close()
    assert.ok((await surveyStore(directory)).replicas.every(({ suspect }) => suspect))
    node.use(await openStore({ directory, ballastBytes: 0 }, node.complete))
    await node.commit({ windows: [], marked: true })
    await node.store.close()
    const survey = await surveyStore(directory)
    assert.deepEqual([survey.evidence, survey.replicas.map(({ suspect }) => suspect)], [[], [false]])
  })

  test('a directory without a store or a database is refused by name', async () => {
    await assert.rejects(openOffline(root), { code: 'CONFLICT', message: /sidecar file .* cannot be read/ })
    const directory = await killed(1)
    await rm(join(directory, 'store/db'), { recursive: true })
    await assert.rejects(openOffline(directory), { code: 'CONFLICT', message: /database in .* cannot be read: ENOENT/ })
  })
})
