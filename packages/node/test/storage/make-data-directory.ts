/**
 * Writes a small data directory as this version of the software leaves it when it is killed: argument: where. The one in
 * test/fixtures/data-directory-1 was made by it and never changes; a new format gets a new directory beside it.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClusterId, type Epoch, extentId, KIB, type Seq, type StoreId, type VolumeId } from '@ashlar/proto'
import { blockKey } from '../../src/storage/encoding/keyspace.ts'
import { controlLogDirectory, openControlLog, openStore } from '../../src/storage/index.ts'
import { openLevelDbDriver } from '../../src/storage/leveldb/leveldb-driver.ts'
import { bare, D, data, EXTENT, EXTENT_BYTES, operation, StoreRunner } from './store-kit.ts'

const [target] = process.argv.slice(2)
if (target === undefined) throw new Error('say where to write the data directory')
const root = await mkdtemp(join(tmpdir(), 'ashlar-fixture-'))
const directory = join(root, 'data')
const options = { directory, ballastBytes: 0, engine: { writeBufferBytes: 64 * KIB } }
const other = extentId(8 as VolumeId, 0)

const runner = new StoreRunner()
runner.use(await openStore(options, runner.complete))
const { store } = runner.store.identity
await runner.store.saveCluster(
  '0189aaaa-0000-7000-8000-000000000001' as ClusterId,
  [{ store, address: '127.0.0.1:7580' }],
  true,
)
const log = await openControlLog(controlLogDirectory(directory))
await log.append([
  { index: 1, term: 1, command: { do: 'remove-volume', name: 'one' } },
  { index: 2, term: 1, command: { do: 'remove-volume', name: 'two' } },
])
await log.close()
runner.create()
runner.create(other, 3 * D)
const record = {
  ...{ revision: 4, epoch: 2 as Epoch, primary: store, inSync: [store], eligible: [], minInSync: 1 },
  ...{ assigned: [store, '01a20d78-7db8-7259-a606-72b13002eabe' as StoreId], volumeName: 'demo' },
  ...{ blockSizeBytes: D, lengthBytes: EXTENT_BYTES },
}
await runner.commit({ head: { promised: 2 as Epoch, led: 2 as Epoch, record } })
for (let seq = 1; seq <= 12; seq++) await runner.write(seq, [data(seq * 30, seq)])
await runner.write(13, [bare(60, 13, 2), bare(90, 13, 3), data(301, 13)])
await runner.commit({ extent: other, blocks: [data(2, 1)], head: { lastEpoch: 1 as Epoch, lastSeq: 1 as Seq } })
await runner.store.close()

// Block 120 rots, and the next incarnation of the store finds it.
const driver = await openLevelDbDriver(join(directory, 'store/db'), {
  ...{ writeBufferBytes: 64 * KIB, maxFileBytes: 1024 * KIB, tableBlockBytes: 4 * KIB },
  ...{ cacheBytes: 1024 * KIB, maxOpenFiles: 100 },
})
await driver.apply([{ type: 'put', key: blockKey('bytes', EXTENT, 120), value: new Uint8Array(D) }], 'synced')
await driver.close()
runner.use(await openStore(options, runner.complete))
await runner.load([120])
for (let seq = 14; seq <= 16; seq++) {
  const head = { lastEpoch: 2 as Epoch, lastSeq: seq as Seq, commitSeq: (seq - 1) as Seq, generation: 3 }
  await runner.commit({ blocks: [data(seq, seq, 2)], head, operation: operation(77, seq, seq, 14, 3, seq === 15) })
}
await cp(directory, target, { recursive: true })
await runner.store.close()
await rm(root, { recursive: true })
