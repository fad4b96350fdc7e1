import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { AshlarError, isUuid, KIB } from '@ashlar/proto'
import { controlLogDirectory, type OpenStoreOptions, openControlLog, openStore } from '../../src/storage/index.ts'
import { openLevelDbDriver } from '../../src/storage/leveldb/leveldb-driver.ts'
import { LEVELDB_DEFAULTS } from '../../src/storage/leveldb/options.ts'
import { type IdentityValue, readIdentity } from '../../src/storage/repositories/identity-repository.ts'
import { data, Model, StoreRunner } from './store-kit.ts'

const refusal = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AshlarError, String(error))
  assert.equal(error.code, 'CONFLICT', error.message)
  assert.match(error.message, pattern)
  assert.ok(error.hint !== undefined && error.hint.length > 20, 'it says what to do')
  return true
}

async function identityIn(directory: string): Promise<IdentityValue> {
  const driver = await openLevelDbDriver(join(directory, 'store/db'), LEVELDB_DEFAULTS)
  try {
    const identity = await readIdentity(driver)
    assert.ok(identity !== undefined)
    return identity
  } finally {
    await driver.close()
  }
}

describe('opening a data directory', () => {
  let root: string
  let directory: string
  const roots: string[] = []
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ashlar-store-'))
    roots.push(root)
    directory = join(root, 'data')
  })
  after(async () => {
    for (const path of roots) await rm(path, { recursive: true, force: true })
  })

  const openIt = async (options: Partial<OpenStoreOptions> = {}) => {
    const runner = new StoreRunner()
    runner.use(await openStore({ directory, ballastBytes: 0, ...options }, runner.complete))
    return runner
  }

  test('a missing directory is created and formatted, with the same id in the database and in the sidecar', async () => {
    const runner = await openIt()
    const { identity } = runner.store
    assert.ok(isUuid(identity.store))
    assert.equal(identity.store[14], '7', 'a UUIDv7')
    assert.equal(identity.incarnation.counter, 1)
    assert.equal(identity.trust, 'trusted')
    const [boot, opening] = identity.incarnation.bootId.split('/')
    assert.equal(boot, (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim())
    assert.match(opening ?? '', /^[\w-]{16}$/)
    assert.ok(identity.incarnation.bootId.length <= 64, 'as long as it may be on the wire')
    assert.ok(runner.store.space().freeBytes > 0)
    await runner.store.close()
    const sidecar = JSON.parse(await readFile(join(directory, 'store/store.json'), 'utf8'))
    assert.deepEqual(sidecar, { formatVersion: 1, store: identity.store })
    assert.deepEqual(await readdir(directory), ['store'])
  })

  test('an empty directory with lost+found is formatted in place, so that it can be a mount point', async () => {
    await mkdir(join(directory, 'lost+found'), { recursive: true })
    await (await openIt()).store.close()
    assert.deepEqual((await readdir(directory)).sort(), ['lost+found', 'store'])
  })

  test('the start counter rises with each opening, and blocks, digests and heads are restored', async () => {
    const model = new Model()
    let runner = await openIt()
    runner.create()
    for (let seq = 1; seq <= 30; seq++) {
      model.apply([data(seq * 9, seq)])
      await runner.write(seq, [data(seq * 9, seq)])
    }
    await runner.store.close()
    for (let counter = 2; counter <= 3; counter++) {
      runner = await openIt()
      assert.equal(runner.store.identity.incarnation.counter, counter)
      assert.equal(runner.store.replicas[0]?.head.lastSeq, 30)
      assert.deepEqual(await runner.digests(), model.digests)
      model.assertLoaded(await runner.load(Array.from({ length: 300 }, (_, i) => i)), 'reopened')
      await runner.store.close()
    }
  })

  test('a directory that was rolled back on the same boot gets the same start counter and another incarnation', async () => {
    let runner = await openIt()
    await runner.store.close()
    const before = `${directory}-before`
    await cp(directory, before, { recursive: true })
    runner = await openIt()
    const seen = runner.store.identity.incarnation
    await runner.store.close()
    await rm(directory, { recursive: true })
    await rename(before, directory)
    runner = await openIt()
    const again = runner.store.identity.incarnation
    await runner.store.close()
    assert.equal(again.counter, seen.counter)
    assert.equal(again.bootId.split('/')[0], seen.bootId.split('/')[0])
    assert.notEqual(again.bootId, seen.bootId)
  })

  test('a directory in use is refused with the reason', async () => {
    const runner = await openIt()
    await assert.rejects(openIt(), refusal(/in use by another process/))
    await runner.store.close()
  })

  test('a directory with other files is refused and stays unchanged', async () => {
    await mkdir(directory)
    await writeFile(join(directory, 'photo.jpg'), 'x')
    await assert.rejects(openIt(), refusal(/no store in it but holds other files \(photo\.jpg\)/))
    assert.deepEqual(await readdir(directory), ['photo.jpg'])
  })

  test('an absent, unreadable or foreign sidecar is refused', async () => {
    await (await openIt()).store.close()
    const sidecar = join(directory, 'store/store.json')
    const good = await readFile(sidecar)
    await rm(sidecar)
    await assert.rejects(openIt(), refusal(/sidecar file .* cannot be read: ENOENT/))
    await writeFile(sidecar, '{"formatVersion":1}')
    await assert.rejects(openIt(), refusal(/does not hold a store id/))
    await writeFile(sidecar, '{"formatVersion":1,"store":"01a20d78-7db8-7259-a606-72b13002eabd"}')
    await assert.rejects(openIt(), refusal(/database belongs to store .* but the sidecar file names/))
    await writeFile(sidecar, good)
    await (await openIt()).store.close()
  })

  test('an emptied database is refused, since its identity is missing', async () => {
    await (await openIt()).store.close()
    await rm(join(directory, 'store/db'), { recursive: true })
    await mkdir(join(directory, 'store/db'))
    await assert.rejects(openIt(), /holds no identity/)
  })

  test('a newer format is refused', async () => {
    await (await openIt()).store.close()
    const sidecar = join(directory, 'store/store.json')
    await writeFile(sidecar, (await readFile(sidecar, 'utf8')).replace('"formatVersion":1', '"formatVersion":3'))
    await assert.rejects(openIt(), refusal(/has format 3, but this version of ashlar reads formats up to 2/))
  })

  test('the directory keeps the format of older builds until the level of its cluster rises', async () => {
    const sidecar = join(directory, 'store/store.json')
    const formats = async () => [
      (JSON.parse(await readFile(sidecar, 'utf8')) as { formatVersion: number }).formatVersion,
      (await identityIn(directory)).formatVersion,
    ]
    const first = await openIt()
    assert.equal(first.store.identity.featureLevel, 0)
    await first.store.close()
    assert.deepEqual(await formats(), [1, 1])
    const second = await openIt()
    second.store.execute({ type: 'save-level', level: 1 })
    await second.store.close()
    assert.deepEqual(await formats(), [1, 2], 'the identity refuses older builds at once')
    const third = await openIt()
    assert.equal(third.store.identity.featureLevel, 1)
    await third.store.close()
    assert.deepEqual(await formats(), [2, 2], 'the sidecar follows at the next opening')
  })

  test('remains of a crashed format are removed, and a store without its name is none', async () => {
    await mkdir(join(directory, 'store.formatting-1/db'), { recursive: true })
    await (await openIt()).store.close()
    assert.deepEqual(await readdir(directory), ['store'])
  })

  test('the ballast is created, and created again when it is missing', async () => {
    const ballast = join(directory, 'store/ballast')
    for (let round = 0; round < 2; round++) {
      await (await openIt({ ballastBytes: 256 * KIB })).store.close()
      const { size, blocks } = await stat(ballast)
      assert.equal(size, 256 * KIB)
      assert.ok(blocks * 512 >= 256 * KIB, 'it takes up the room that it is there for')
      await rm(ballast)
    }
  })

  test('LOG files of the engine are kept until they were read, then only some of them', async () => {
    for (let opening = 0; opening < 12; opening++) await (await openIt()).store.close()
    const names = await readdir(join(directory, 'store/logs'))
    assert.ok(
      names.every((name) => name.endsWith('.read')),
      names.join(),
    )
    assert.ok(names.length > 0 && names.length <= 8, names.join())
  })

  test('the control log is in the directory of the store', async () => {
    const runner = await openIt()
    const log = await openControlLog(controlLogDirectory(directory))
    await log.append([{ index: 1, term: 1, command: { do: 'remove-volume', name: 'x' } }])
    await log.close()
    await runner.store.close()
    assert.ok((await readdir(join(directory, 'store/control'))).length > 0)
    await (await openIt()).store.close()
  })

  test('a record that the engine dropped makes the store suspect, also at later openings', async () => {
    const runner = await openIt()
    runner.create()
    for (let seq = 1; seq <= 40; seq++) await runner.write(seq, [data(seq, seq)])
    // A copy while it is open is what a kill leaves: the engine has to replay its log.
    const copy = join(root, 'copy')
    await cp(directory, copy, { recursive: true })
    await runner.store.close()
    const database = join(copy, 'store/db')
    const log = (await readdir(database)).filter((name) => name.endsWith('.log'))[0] as string
    const handle = await open(join(database, log), 'r+')
    const at = 70_000
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, at)
    byte[0] = (byte[0] as number) ^ 1
    await handle.write(byte, 0, 1, at)
    await handle.close()
    const suspect = new StoreRunner()
    suspect.use(await openStore({ directory: copy, ballastBytes: 0 }, suspect.complete))
    assert.equal(suspect.store.identity.trust, 'suspect')
    // What is left is consistent in itself.
    const versions = await suspect.versions([0])
    const model = new Model()
    for (const { block, ...version } of versions[0]?.versions ?? []) model.versions.set(block, version)
    assert.ok((versions[0]?.versions.length ?? 0) < 40, 'something was dropped')
    assert.deepEqual(await suspect.digests(), model.digests)
    await suspect.commit({ windows: [], marked: true })
    await suspect.store.close()
    // The same LOG is read again under its new name, and has no new evidence.
    suspect.use(await openStore({ directory: copy, ballastBytes: 0 }, suspect.complete))
    assert.equal(suspect.store.identity.trust, 'trusted')
    await suspect.store.close()
  })
})
