import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ExtentId, GIB, isAtLeast, KIB, MIB, STORE_SPACES, type StoreSpace } from '@ashlar/proto'
import type { KeyRange } from '../../src/storage/index.ts'
import { engineFor, LEVELDB_DEFAULTS } from '../../src/storage/leveldb/options.ts'
import { MemoryDisk, MemoryDriver } from '../../src/storage/memory/memory-driver.ts'
import { LocalReplica } from '../../src/storage/replicas/local-replica.ts'
import { Ballast, defaultBallastBytes } from '../../src/storage/space/ballast.ts'
import { FreeSpace, type SpaceStart } from '../../src/storage/space/free-space.ts'
import { Reclaimer } from '../../src/storage/space/reclaimer.ts'
import { leavesAt, type Reserves, reservesOf, spaceOf } from '../../src/storage/space/reserves.ts'

const RESERVES: Reserves = { placement: 4000, writes: 2000, last: 800 }

test('amendment 17: each exhausted reserve refuses more, and a state ends only an eighth above its reserve', () => {
  const walk: [number, StoreSpace][] = [
    [9000, 'free'],
    [3999, 'filling'],
    [4000, 'filling'],
    [4499, 'filling'],
    [4500, 'free'],
    [799, 'full'],
    [899, 'full'],
    [900, 'tight'],
    [2249, 'tight'],
    [2250, 'filling'],
    [1999, 'tight'],
    [100_000, 'free'],
  ]
  let space: StoreSpace = 'free'
  for (const [freeBytes, expected] of walk) {
    space = spaceOf(space, freeBytes, RESERVES)
    assert.equal(space, expected, `${freeBytes} bytes free`)
  }
  assert.equal(leavesAt('tight', RESERVES), 2250)
})

test('reserves are ordered on disks of every size, less space never takes more, and most of the disk is usable', () => {
  for (const totalBytes of [24 * MIB, 64 * MIB, 256 * MIB, GIB, 4 * GIB, 64 * GIB, 16_384 * GIB]) {
    const engine = engineFor(totalBytes)
    const { placement, writes, last } = reservesOf({}, engine, totalBytes)
    assert.ok(last < writes && writes < placement, `${totalBytes}: ${last} < ${writes} < ${placement}`)
    assert.ok(
      writes + defaultBallastBytes(engine, totalBytes) < 0.4 * totalBytes,
      `${totalBytes}: ${writes} of it is kept free`,
    )
    let before: StoreSpace = 'free'
    for (let freeBytes = totalBytes; freeBytes >= 0; freeBytes -= totalBytes / 64) {
      const space = spaceOf(before, freeBytes, { placement, writes, last })
      assert.ok(isAtLeast(space, before))
      before = space
    }
    assert.equal(before, STORE_SPACES.at(-1))
  }
  assert.deepEqual(engineFor(64 * GIB), LEVELDB_DEFAULTS)
  assert.equal(engineFor(256 * MIB).writeBufferBytes, 2 * MIB)
})

test('an option for one reserve moves those without one, and contradicting reserves are named', () => {
  const totalBytes = 100 * GIB
  const of = (given: Parameters<typeof reservesOf>[0]) => reservesOf(given, LEVELDB_DEFAULTS, totalBytes)
  assert.equal(of({ writes: { bytes: MIB, percent: 5 } }).writes, 5 * GIB + MIB)
  assert.equal(of({ writes: { bytes: 50 * GIB, percent: 0 } }).placement, 100 * GIB)
  assert.equal(of({ writes: { bytes: 64 * MIB, percent: 0 } }).last, 32 * MIB)
  const writes = { bytes: 2 * GIB, percent: 0 }
  assert.throws(
    () => of({ writes, placement: { bytes: GIB, percent: 0 } }),
    /--write-reserve is 2147483648 .* more than --placement-reserve/,
  )
  assert.throws(
    () => of({ writes, last: { bytes: 0, percent: 3 } }),
    /--last-reserve is 3221225472 .* more than --write-reserve/,
  )
})

function watched(t: TestContext, disk: MemoryDisk, start: Omit<SpaceStart, 'freeBytes' | 'reserves'> = {}) {
  const running: Promise<void>[] = []
  const free = new FreeSpace({
    driver: new MemoryDriver(disk),
    start: { freeBytes: disk.freeBytes, reserves: RESERVES, ...start },
    replicas: new Map(),
    run: (work) => running.push(work()),
    stopped: () => false,
  })
  t.after(() => free.stop())
  const look = async () => {
    t.mock.timers.tick(1000)
    await Promise.all(running.splice(0))
  }
  return { free, look }
}

test('free space is read from the disk once a second, minus the bytes written since', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  const disk = new MemoryDisk()
  disk.freeBytes = 10_000
  const { free, look } = watched(t, disk)
  assert.deepEqual(free.view(), { space: 'free', freeBytes: 10_000, since: 0, reserves: RESERVES })
  free.wrote(8500)
  assert.deepEqual(free.view(), { space: 'tight', freeBytes: 1500, since: 0, reserves: RESERVES })
  await look()
  assert.deepEqual(free.view(), { space: 'free', freeBytes: 10_000, since: 1000, reserves: RESERVES })
})

test('a removed ballast counts as used until there is space for it, and is then created again', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-ballast-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'ballast')
  const ballast = await Ballast.at(path, 64 * KIB)
  await ballast.ensure(0)
  assert.equal((await stat(path)).size, 64 * KIB)
  assert.equal(ballast.lackingBytes, 0)
  assert.equal(await ballast.release(), true)
  assert.equal(await ballast.release(), false)
  await assert.rejects(stat(path), /ENOENT/)

  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  const disk = new MemoryDisk()
  disk.freeBytes = 64 * KIB + 700
  const { free, look } = watched(t, disk, { ballast })
  assert.equal(free.view().freeBytes, 700)
  assert.equal(free.view().space, 'full')
  await look()
  assert.equal(ballast.lackingBytes, 0, 'the disk below has the room')
  await look()
  assert.equal(free.view().space, 'free')
  await ballast.ensure(Number.MAX_SAFE_INTEGER)
})

test('discarded ranges are compacted in slices, since a whole range takes as much space as what it keeps', async (t) => {
  const replica = LocalReplica.empty((2 ** 20) as ExtentId, 4096, 20 * MIB, 'demo')
  replica.garbageBytes = 4096
  const slices: [number, number][] = []
  const driver = new MemoryDriver()
  t.mock.method(driver, 'compact', async ({ from, to }: KeyRange) => {
    slices.push([Buffer.from(from).readUInt32BE(7), Buffer.from(to).readUInt32BE(7)])
  })
  let work: Promise<void> | undefined
  const reclaimer = new Reclaimer({
    driver,
    replicas: new Map([[replica.extent, replica]]),
    run: (begin) => {
      work = begin()
    },
    stopped: () => false,
    onReclaimed: () => undefined,
  })
  reclaimer.look('tight')
  await work
  assert.deepEqual(slices, [
    [0, 2048],
    [2048, 4096],
    [4096, 6144],
  ])
})

test('a short disk gets discarded space back: most first, one replica at a time, and each once if it opens full', async (t) => {
  const extents = [1, 2, 3].map((n) => LocalReplica.empty((n * 2 ** 20) as ExtentId, 4096, MIB, 'demo'))
  const [first, second, third] = extents as [LocalReplica, LocalReplica, LocalReplica]
  const compacted: ExtentId[] = []
  const finish: (() => void)[] = []
  const driver = new MemoryDriver()
  t.mock.method(driver, 'compact', ({ from }: KeyRange) => {
    compacted.push(Buffer.from(from).readUIntBE(1, 6) as ExtentId)
    return new Promise<void>((resolve) => finish.push(resolve))
  })
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const running: Promise<void>[] = []
  let reclaimed = 0
  const reclaimer = new Reclaimer({
    driver,
    replicas: new Map(extents.map((replica) => [replica.extent, replica])),
    run: (work) => running.push(work()),
    stopped: () => false,
    onReclaimed: () => reclaimed++,
  })
  const end = async () => {
    finish.shift()?.()
    await Promise.all(running.splice(0))
  }
  first.garbageBytes = 4096
  second.garbageBytes = 8192
  for (const space of ['free', 'filling'] as const) reclaimer.look(space)
  assert.deepEqual(compacted, [], 'where there is room nothing is rewritten for it')
  reclaimer.look('tight')
  reclaimer.look('tight')
  assert.deepEqual(compacted, [second.extent], 'one at a time')
  now += 500
  await end()
  now += 499
  reclaimer.look('tight')
  assert.equal(compacted.length, 1, 'a pause as long as the work')
  now += 1
  reclaimer.look('tight')
  await end()
  reclaimer.look('tight')
  assert.deepEqual(compacted, [second.extent, first.extent], 'nothing was erased in the third')
  reclaimer.look('full')
  await end()
  reclaimer.look('full')
  assert.deepEqual(compacted, [second.extent, first.extent, third.extent])
  assert.equal(reclaimed, 3)
})
