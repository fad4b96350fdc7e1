import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { AshlarError } from '@ashlar/proto'
import type { BatchOperation, Entry, KeyRange, ScanOptions, StorageDriver } from '../../src/storage/driver.ts'

/** A place that drivers are opened on, one after another, each over what the one before left. */
export interface DriverPlace {
  open(): Promise<StorageDriver>
  remove(): Promise<void>
}

export const key = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const put = (k: Uint8Array, value: Uint8Array): BatchOperation => ({ type: 'put', key: k, value })
export const del = (k: Uint8Array): BatchOperation => ({ type: 'del', key: k })

const EVERYTHING: KeyRange = { from: key(), to: key(0xff, 0xff, 0xff, 0xff, 0xff) }

export async function entries(driver: StorageDriver, range = EVERYTHING, options?: ScanOptions): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of driver.scan(range, options)) found.push(entry)
  return found
}

const plain = (found: readonly Entry[]): [number[], number[]][] => found.map((e) => [[...e.key], [...e.value]])

/** Every storage driver and every filter over one keeps these promises. */
export function storageDriverSuite(name: string, createPlace: () => Promise<DriverPlace>): void {
  describe(`storage driver: ${name}`, () => {
    let place: DriverPlace
    let driver: StorageDriver
    before(async () => {
      place = await createPlace()
      driver = await place.open()
    })
    after(async () => {
      await driver.close()
      await place.remove()
    })
    const empty = async () => {
      const keys = await entries(driver, EVERYTHING, { keysOnly: true })
      await driver.apply(
        keys.map((entry) => del(entry.key)),
        'synced',
      )
    }

    test('a key that was never written is undefined, an empty value is not', async () => {
      await empty()
      await driver.apply([put(key(1), key())], 'synced')
      assert.equal(await driver.get(key(2)), undefined)
      assert.deepEqual([...((await driver.get(key(1))) as Uint8Array)], [])
    })

    test('the last operation on a key in a batch wins', async () => {
      await empty()
      await driver.apply(
        [put(key(1), key(1)), del(key(1)), put(key(1), key(2)), put(key(2), key(9)), del(key(2))],
        'synced',
      )
      assert.deepEqual(plain(await entries(driver)), [[[1], [2]]])
    })

    test('an empty batch is applied', async () => {
      await driver.apply([], 'synced')
      await driver.apply([], 'buffered')
    })

    test('batches take effect in the order of the calls, without waiting for each other', async () => {
      await empty()
      const calls: Promise<void>[] = []
      for (let i = 0; i < 50; i++) {
        calls.push(driver.apply([put(key(1), key(i)), put(key(2, i), key(i))], i % 3 === 0 ? 'synced' : 'buffered'))
      }
      await Promise.all(calls)
      assert.deepEqual([...((await driver.get(key(1))) as Uint8Array)], [49])
      assert.equal((await entries(driver)).length, 51)
    })

    test('getMany gives one result a key in order, with repeats and gaps', async () => {
      await empty()
      await driver.apply([put(key(1), key(11)), put(key(3), key(33))], 'buffered')
      const values = await driver.getMany([key(3), key(2), key(1), key(3)])
      assert.deepEqual(
        values.map((value) => (value === undefined ? undefined : [...value])),
        [[33], undefined, [11], [33]],
      )
      assert.deepEqual(await driver.getMany([]), [])
    })

    test('get, getMany and scan see the state at the call, not a later one', async () => {
      await empty()
      await driver.apply([put(key(1), key(1)), put(key(2), key(1))], 'synced')
      const one = driver.get(key(1))
      const many = driver.getMany([key(1), key(2)])
      const scanned = driver.scan(EVERYTHING)
      await driver.apply([put(key(1), key(2)), put(key(2), key(2)), put(key(0), key(2))], 'synced')
      assert.deepEqual([...((await one) as Uint8Array)], [1])
      assert.deepEqual(
        (await many).map((value) => [...(value as Uint8Array)]),
        [[1], [1]],
      )
      const found: Entry[] = []
      for await (const entry of scanned) found.push(entry)
      assert.deepEqual(plain(found), [
        [[1], [1]],
        [[2], [1]],
      ])
    })

    test('a scan is ascending bytewise, from included, to excluded', async () => {
      await empty()
      const keys = [key(0), key(0, 0), key(1), key(0x7f), key(0x80), key(0x80, 0), key(0xff), key(0xff, 0xff)]
      await driver.apply(
        [...keys].reverse().map((k) => put(k, k)),
        'buffered',
      )
      assert.deepEqual(
        (await entries(driver)).map((e) => [...e.key]),
        keys.map((k) => [...k]),
      )
      const part = await entries(driver, { from: key(0, 0), to: key(0x80) })
      assert.deepEqual(
        part.map((e) => [...e.key]),
        [[0, 0], [1], [0x7f]],
      )
      assert.deepEqual(await entries(driver, { from: key(0x81), to: key(0xff) }), [])
    })

    test('a scan stops at its limit and leaves values out on request', async () => {
      await empty()
      const batch: BatchOperation[] = []
      for (let i = 0; i < 200; i++) batch.push(put(key(i), new Uint8Array(300).fill(i)))
      await driver.apply(batch, 'synced')
      const found = await entries(driver, EVERYTHING, { limit: 150, readAheadBytes: 1000 })
      assert.equal(found.length, 150)
      found.forEach((entry, i) => {
        assert.deepEqual([...entry.key], [i])
        assert.equal(entry.value.length, 300)
        assert.equal(entry.value[299], i)
      })
      const names = await entries(driver, EVERYTHING, { keysOnly: true })
      assert.equal(names.length, 200)
      assert.ok(names.every((entry) => entry.value.length === 0))
    })

    test('a scan that is left early leaves the driver usable', async () => {
      for await (const entry of driver.scan(EVERYTHING)) {
        assert.equal(entry.key[0], 0)
        break
      }
      await driver.apply([put(key(250), key(1))], 'synced')
      assert.deepEqual([...((await driver.get(key(250))) as Uint8Array)], [1])
    })

    test('buffers may be reused once apply settled, and returned ones belong to the caller', async () => {
      await empty()
      const k = key(5)
      const value = new Uint8Array(5000).fill(7)
      await driver.apply([put(k, value)], 'buffered')
      k[0] = 6
      value.fill(8)
      const read = (await driver.get(key(5))) as Uint8Array
      assert.ok(read.every((byte) => byte === 7))
      read.fill(9)
      const [again] = await driver.getMany([key(5)])
      assert.ok((again as Uint8Array).every((byte) => byte === 7))
      assert.equal(await driver.get(key(6)), undefined)
    })

    test('values of a mebibyte and keys of one to 200 bytes survive a reopen', async () => {
      await empty()
      const long = new Uint8Array(200).fill(0xab)
      const big = new Uint8Array(1024 * 1024)
      for (let i = 0; i < big.length; i += 97) big[i] = i & 0xff
      await driver.apply([put(key(1), big), put(long, text('long'))], 'synced')
      await driver.apply([put(key(2), text('buffered'))], 'buffered')
      await driver.close()
      driver = await place.open()
      assert.equal(Buffer.compare((await driver.get(key(1))) as Uint8Array, big), 0)
      assert.deepEqual(await driver.get(long).then((v) => Buffer.from(v as Uint8Array).toString()), 'long')
      assert.deepEqual(await driver.get(key(2)).then((v) => Buffer.from(v as Uint8Array).toString()), 'buffered')
    })

    test('close waits for what was called before it, and later calls say that it is closed', async () => {
      await empty()
      const settled: string[] = []
      const calls = [
        driver.apply([put(key(1), key(1))], 'buffered').then(() => settled.push('buffered')),
        driver.apply([put(key(2), key(2))], 'synced').then(() => settled.push('synced')),
        driver.get(key(1)).then(() => settled.push('get')),
      ]
      await driver.close()
      assert.equal(settled.length, 3)
      await Promise.all(calls)
      const closed = (error: unknown) => error instanceof AshlarError && error.code === 'CLOSED'
      await assert.rejects(driver.get(key(1)), closed)
      await assert.rejects(driver.getMany([key(1)]), closed)
      await assert.rejects(driver.apply([put(key(1), key(1))], 'synced'), closed)
      assert.throws(() => driver.scan(EVERYTHING), closed)
      driver = await place.open()
      assert.equal((await entries(driver)).length, 2)
    })

    test('compaction keeps the content, and figures are numbers', async () => {
      await empty()
      await driver.apply([put(key(1), key(1)), put(key(2), key(2))], 'synced')
      await driver.compact(EVERYTHING)
      assert.equal((await entries(driver)).length, 2)
      const { freeBytes, totalBytes } = await driver.space()
      assert.ok(freeBytes > 0 && freeBytes <= totalBytes, `${freeBytes} of ${totalBytes} bytes are free`)
      for (const [event, value] of Object.entries(driver.statistics())) assert.ok(Number.isFinite(value), event)
    })

    test('a random history reads as a plain map does', async () => {
      await empty()
      const seed = Number(process.env['ASHLAR_SEED'] ?? 20_261)
      const random = randomFrom(seed)
      const model = new Map<number, number>()
      for (let step = 0; step < 300; step++) {
        const batch: BatchOperation[] = []
        for (let i = 0; i < 1 + random(4); i++) {
          const k = random(40)
          if (random(3) === 0) {
            batch.push(del(key(k)))
            model.delete(k)
          } else {
            batch.push(put(key(k), key(step & 0xff)))
            model.set(k, step & 0xff)
          }
        }
        await driver.apply(batch, random(4) === 0 ? 'synced' : 'buffered')
        if (step % 10 !== 0) continue
        const expected = [...model].sort((a, b) => a[0] - b[0]).map(([k, v]) => [[k], [v]])
        assert.deepEqual(plain(await entries(driver)), expected, `seed ${seed}, step ${step}`)
      }
    })
  })
}

/** Numbers from 0 to below `n`, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): (n: number) => number {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}
