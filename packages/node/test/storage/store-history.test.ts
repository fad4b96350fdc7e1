import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BLOCK_DATA, BLOCK_TRIM, BLOCK_ZERO } from '@ashlar/proto'
import type { BlockChange } from '../../src/core/machine.ts'
import { blockKey, wholeSpace } from '../../src/storage/encoding/keyspace.ts'
import { MemoryDisk, MemoryDriver } from '../../src/storage/index.ts'
import { entries, randomFrom } from '../conformance/storage-driver-suite.ts'
import { absent, BLOCKS, bare, data, EXTENT, hex, Model, memoryStore } from './store-kit.ts'

describe('a random history', () => {
  for (const leafCapacity of [1 / 8, 3 / 8, 1, 8192]) {
    test(`with ${leafCapacity} full leaves in memory has the reads, digests and restarts of a model`, async () => {
      const seed = Number(process.env['ASHLAR_SEED'] ?? Date.now() % 1_000_000)
      const random = randomFrom(seed)
      const disk = new MemoryDisk()
      const tuning = { leafCapacity, checkpointBatches: 7 }
      let { runner, driver: engine } = await memoryStore(disk, { tuning })
      runner.create()
      const model = new Model()
      const note = `seed ${seed}`
      let seq = 0
      for (let step = 0; step < 250; step++) {
        const waits: Promise<unknown>[] = []
        for (let i = random(6); i >= 0; i--) {
          seq++
          const blocks: BlockChange[] = []
          for (let n = random(5); n >= 0; n--) {
            const block = random(12) * 256 + random(6)
            const kind = random(8)
            if (blocks.some((change) => change.block === block)) continue
            if (kind === 0) blocks.push(bare(block, seq, BLOCK_TRIM))
            else if (kind === 1) blocks.push(bare(block, seq, BLOCK_ZERO))
            else if (kind === 2) blocks.push(absent(block))
            else blocks.push(data(block, seq))
          }
          model.apply(blocks)
          waits.push(runner.write(seq, blocks))
        }
        if (random(3) === 0) {
          const expected = model.digests
          waits.push(runner.digests().then((found) => assert.deepEqual(found, expected, `${note}, step ${step}`)))
        }
        const wanted = Array.from({ length: 10 }, () => random(12) * 256 + random(6))
        model.assertLoaded(await runner.load(wanted), `${note}, step ${step}`)
        if (random(2) === 0) await Promise.all(waits)
        if (random(10) !== 0) continue
        await Promise.all(waits)
        if (random(2) === 0) await runner.store.close()
        else engine.kill()
        ;({ runner, driver: engine } = await memoryStore(disk, { tuning }))
        assert.equal(runner.store.identity.trust, 'trusted', note)
        assert.equal(runner.store.replicas[0]?.head.lastSeq, seq, note)
        assert.deepEqual(await runner.digests(), model.digests, `${note}, step ${step}, reopened`)
      }
      const leaves = Array.from({ length: BLOCKS / 256 }, (_, i) => i)
      for (const { leaf, versions } of await runner.versions(leaves)) {
        assert.deepEqual(versions, model.versions.versionsOf(leaf), `${note}, leaf ${leaf}`)
      }
      assert.deepEqual(await runner.allocation(0, BLOCKS), model.versions.runs(0, BLOCKS), note)
      assert.equal(runner.store.metrics.leafMismatches, 0, note)
      // No bytes are left of a block that has none.
      const driver = new MemoryDriver(disk)
      await runner.store.close()
      const kept = (await entries(driver, wholeSpace('bytes'), { keysOnly: true })).map(({ key }) => hex(key))
      const expected = leaves
        .flatMap((leaf) => model.versions.versionsOf(leaf))
        .filter(({ kind }) => kind === BLOCK_DATA)
        .map(({ block }) => hex(blockKey('bytes', EXTENT, block)))
      assert.deepEqual(kept, expected, note)
    })
  }
})
