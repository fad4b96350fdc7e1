import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AshlarError } from '@ashlar/proto'
import type { StorageDriver } from '../../src/storage/driver.ts'
import { ForgetfulDriver } from '../../src/storage/filters/forgetful-driver.ts'
import { openLevelDbDriver } from '../../src/storage/leveldb/leveldb-driver.ts'
import { MemoryDisk, MemoryDriver } from '../../src/storage/memory/memory-driver.ts'
import {
  type DriverPlace,
  entries,
  key,
  put,
  randomFrom,
  storageDriverSuite,
} from '../conformance/storage-driver-suite.ts'

async function memoryPlace(): Promise<DriverPlace> {
  const disk = new MemoryDisk()
  return { open: async () => new MemoryDriver(disk), remove: async () => undefined }
}

async function levelDbPlace(): Promise<DriverPlace> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-driver-'))
  return {
    open: () => openLevelDbDriver(join(directory, 'db')),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

const forgetful = (below: () => Promise<DriverPlace>) => async (): Promise<DriverPlace> => {
  const place = await below()
  return { open: async () => new ForgetfulDriver(await place.open()), remove: () => place.remove() }
}

storageDriverSuite('memory', memoryPlace)
storageDriverSuite('leveldb', levelDbPlace)
storageDriverSuite('memory behind the forgetful filter', forgetful(memoryPlace))
storageDriverSuite('leveldb behind the forgetful filter', forgetful(levelDbPlace))

test('a second open of a database in use is refused with the reason', async () => {
  const place = await levelDbPlace()
  const driver = await place.open()
  await assert.rejects(place.open(), (error) => {
    assert.ok(error instanceof AshlarError)
    assert.equal(error.code, 'CONFLICT')
    assert.match(error.message, /in use by another process/)
    return true
  })
  await driver.close()
  await place.remove()
})

test('a power cut may lose any unsynced batches, also one before another that survives, and no synced one', async () => {
  const disk = new MemoryDisk()
  const driver = new ForgetfulDriver(new MemoryDriver(disk))
  await driver.apply([put(key(1), key(1))], 'buffered')
  await driver.apply([put(key(2), key(1))], 'synced')
  await driver.apply([put(key(3), key(1))], 'buffered')
  await driver.apply([put(key(4), key(1))], 'buffered')
  assert.equal(driver.unsyncedBatches, 2)
  await driver.cut((index) => index === 1)
  await assert.rejects(driver.get(key(1)))
  const left = await entries(new MemoryDriver(disk))
  assert.deepEqual(
    left.map((entry) => [...entry.key]),
    [[1], [2], [4]],
  )
})

test('every batch up to the last synced one survives a random power cut', async () => {
  const seed = Number(process.env['ASHLAR_SEED'] ?? Date.now() % 1_000_000)
  const random = randomFrom(seed)
  for (let round = 0; round < 50; round++) {
    const disk = new MemoryDisk()
    const driver = new ForgetfulDriver(new MemoryDriver(disk))
    let synced = 0
    const total = 1 + random(20)
    const calls: Promise<void>[] = []
    for (let i = 1; i <= total; i++) {
      const durability = random(4) === 0 ? 'synced' : 'buffered'
      calls.push(
        driver.apply([put(key(i), key(i))], durability).then(() => {
          if (durability === 'synced') synced = Math.max(synced, i)
        }),
      )
      if (random(3) === 0) await Promise.all(calls)
    }
    await Promise.all(calls)
    await driver.cut(() => random(2) === 0)
    const left = new Set((await entries(new MemoryDriver(disk))).map((entry) => entry.key[0]))
    for (let i = 1; i <= synced; i++) assert.ok(left.has(i), `seed ${seed}, round ${round}: batch ${i} is lost`)
  }
})

test('a driver with a failed write refuses further writes and still reads', async () => {
  const place = await levelDbPlace()
  const driver: StorageDriver = await place.open()
  await driver.apply([put(key(1), key(1))], 'synced')
  // A batch that the engine refuses stands for a write that failed.
  await assert.rejects(driver.apply([{ type: 'put', key: null as unknown as Uint8Array, value: key(1) }], 'synced'))
  await assert.rejects(driver.apply([put(key(2), key(2))], 'synced'), (error) => {
    assert.ok(error instanceof AshlarError)
    assert.match(error.message, /earlier write/)
    return true
  })
  assert.equal((await entries(driver)).length, 1)
  await driver.close()
  const again = await place.open()
  await again.apply([put(key(2), key(2))], 'synced')
  assert.equal((await entries(again)).length, 2)
  await again.close()
  await place.remove()
})
