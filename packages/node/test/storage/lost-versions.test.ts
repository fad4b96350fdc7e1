import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { blockKey, wholeSpace } from '../../src/storage/encoding/keyspace.ts'
import { MemoryDriver } from '../../src/storage/index.ts'
import { del, entries, put } from '../conformance/storage-driver-suite.ts'
import { data, EXTENT, Model, memoryStore } from './store-kit.ts'

describe('A2.17-5: versions that a suspect store finds lost', () => {
  const lost = ({ completions }: { completions: readonly { type: string }[] }) =>
    completions.filter(({ type }) => type === 'versions-lost' || type === 'store-suspect').map(({ type }) => type)

  /** A store of two leaves whose versions of block 1 and 300 are gone from its disk, opened as suspect. */
  async function suspectWithLosses() {
    const first = await memoryStore()
    first.runner.create()
    await first.runner.write(1, [data(1, 1), data(2, 1), data(300, 1), data(301, 1)])
    await first.runner.store.close()
    const driver = new MemoryDriver(first.disk)
    await driver.apply([del(blockKey('version', EXTENT, 1)), del(blockKey('version', EXTENT, 300))], 'synced')
    const found = await memoryStore(first.disk)
    await found.runner.load([1])
    await found.runner.digests()
    assert.deepEqual(lost(found.runner), ['store-suspect'], 'a trusted one ends')
    return first.disk
  }
  const model = new Model()
  model.apply([data(2, 1), data(301, 1)])

  test('do not end the incarnation on any read, and are listed for the comparison', async () => {
    const disk = await suspectWithLosses()
    // It was killed, and its digests are still those of before: each start meets them again.
    for (const _ of [1, 2]) {
      const { runner } = await memoryStore(disk)
      assert.equal(runner.store.identity.trust, 'suspect')
      const listed = (await runner.versions([0, 1])).flatMap(({ versions }) => versions.map(({ block }) => block))
      assert.deepEqual(listed, [2, 301])
      assert.deepEqual(await runner.digests(), model.digests, 'what a primary compares with')
      assert.deepEqual(lost(runner), ['versions-lost', 'versions-lost'])
    }
  })

  test('are restored by the MARK, after which it is trusted, and so is its next incarnation', async () => {
    const disk = await suspectWithLosses()
    const { runner } = await memoryStore(disk)
    await runner.versions([0, 1])
    await runner.digests()
    await runner.commit({ blocks: [data(1, 1), data(300, 1)], windows: [], marked: true })
    assert.equal(runner.completions.filter(({ type }) => type === 'store-cleared').length, 1)
    // It is killed at once: what replaced the digests is on stable storage with the MARK.
    const again = await memoryStore(disk)
    assert.equal(again.runner.store.identity.trust, 'trusted')
    const read = await again.runner.load([1, 2, 300, 301])
    assert.deepEqual([read.map(({ damaged }) => damaged), lost(again.runner)], [[false, false, false, false], []])
  })

  test('after the digests were read make the MARK count for nothing, until they are read again', async () => {
    const disk = await suspectWithLosses()
    const { runner } = await memoryStore(disk)
    await runner.versions([0])
    await runner.digests()
    await runner.versions([1])
    assert.deepEqual(lost(runner), ['versions-lost', 'versions-lost'])
    await runner.commit({ blocks: [data(1, 1)], windows: [], marked: true })
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'suspect')
    await runner.digests()
    await runner.commit({ blocks: [data(300, 1)], windows: [], marked: true })
    assert.equal((await memoryStore(disk)).runner.store.identity.trust, 'trusted')
  })

  test('are lost too where a flipped bit made their numbers larger than a peer can be sent', async () => {
    for (const at of [0, 8]) {
      const first = await memoryStore()
      first.runner.create()
      await first.runner.write(1, [data(1, 1), data(2, 1)])
      await first.runner.store.close()
      const driver = new MemoryDriver(first.disk)
      const key = blockKey('version', EXTENT, 1)
      const value = (await driver.get(key)) as Uint8Array
      value[at] = (value[at] as number) ^ 0x10
      await driver.apply([put(key, value)], 'synced')
      const found = await memoryStore(first.disk)
      await found.runner.load([1])
      // The suspicion is on stable storage with what comes after it.
      await found.runner.digests()
      const { runner } = await memoryStore(first.disk)
      const [listed] = await runner.versions([0])
      const sent = listed?.versions.every(({ epoch, seq }) => Number.isSafeInteger(epoch) && Number.isSafeInteger(seq))
      assert.ok(sent, `byte ${at}`)
    }
  })

  test('are found where the digest of their leaf was lost with them', async () => {
    const disk = await suspectWithLosses()
    const driver = new MemoryDriver(disk)
    await driver.apply(
      (await entries(driver, wholeSpace('digests'))).map(({ key }) => del(key)),
      'synced',
    )
    const { runner } = await memoryStore(disk)
    await runner.versions([0, 1])
    assert.deepEqual(await runner.digests(), model.digests)
  })
})
