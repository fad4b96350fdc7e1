import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BLOCK_DATA, BLOCK_TRIM, BLOCK_ZERO, extentId, type VolumeId } from '@ashlar/proto'
import { UNKNOWN_SPAN } from '../../src/core/replication/index.ts'
import { controlLogDirectory, openControlLog, openStore } from '../../src/storage/index.ts'
import { content, EXTENT, hex, StoreRunner } from './store-kit.ts'

const FIXTURE = fileURLToPath(new URL('../fixtures/data-directory-1', import.meta.url))
/** Where the operations of a store of before they had spans may have written. */
const ANYWHERE = [UNKNOWN_SPAN.first, UNKNOWN_SPAN.count] as const
const STORE = '01a20d87-a605-7902-9fe3-1481068f985c'

const made: string[] = []
after(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true })
})

test('a data directory of the first format, left by a kill, opens with all of its content', async () => {
  const directory = join(await mkdtemp(join(tmpdir(), 'ashlar-format-')), 'data')
  made.push(join(directory, '..'))
  await cp(FIXTURE, directory, { recursive: true })
  const runner = new StoreRunner()
  runner.use(await openStore({ directory, ballastBytes: 0 }, runner.complete))
  const { identity, replicas } = runner.store
  assert.deepEqual(
    { ...identity, incarnation: identity.incarnation.counter },
    {
      store: STORE,
      cluster: '0189aaaa-0000-7000-8000-000000000001',
      voters: [{ store: STORE, address: '127.0.0.1:7580' }],
      founded: true,
      featureLevel: 0,
      incarnation: 3,
      trust: 'trusted',
      suspicion: undefined,
    },
  )
  const other = extentId(8 as VolumeId, 0)
  assert.deepEqual(replicas, [
    {
      extent: EXTENT,
      head: {
        promised: 2,
        led: 2,
        lastEpoch: 2,
        lastSeq: 16,
        commitSeq: 15,
        generation: 3,
        record: {
          revision: 4,
          epoch: 2,
          primary: STORE,
          inSync: [STORE],
          eligible: [],
          assigned: [STORE, '01a20d78-7db8-7259-a606-72b13002eabe'],
          minInSync: 1,
          blockSizeBytes: 4096,
          lengthBytes: 16777216,
          volumeName: 'demo',
        },
      },
      windows: [
        {
          session: 77,
          generation: 3,
          lowMark: 14,
          applied: [
            [14, 14, ...ANYWHERE],
            [15, 15, ...ANYWHERE],
            [16, 16, ...ANYWHERE],
          ],
          cancelled: [15],
        },
      ],
      damaged: [120],
    },
    {
      extent: other,
      head: { promised: 0, led: 0, lastEpoch: 1, lastSeq: 1, commitSeq: 0, generation: 0, record: undefined },
      windows: [],
      damaged: [],
    },
  ])
  const loaded = await runner.load([0, 14, 16, 30, 60, 90, 120, 301, 360])
  assert.deepEqual(
    loaded.map(({ block, version: { epoch, seq, kind }, damaged }) => [block, epoch, seq, kind, damaged]),
    [
      [0, 0, 0, 0, false],
      [14, 2, 14, BLOCK_DATA, false],
      [16, 2, 16, BLOCK_DATA, false],
      [30, 1, 1, BLOCK_DATA, false],
      [60, 1, 13, BLOCK_ZERO, false],
      [90, 1, 13, BLOCK_TRIM, false],
      [120, 1, 4, BLOCK_DATA, true],
      [301, 1, 13, BLOCK_DATA, false],
      [360, 1, 12, BLOCK_DATA, false],
    ],
  )
  assert.equal(hex(loaded[7]?.bytes as Uint8Array), hex(content(301, 13)))
  assert.equal((await runner.digests()).root, '46c1602d74dd5caab7eb336f50c3f9bf')
  assert.equal((await runner.load([2], other))[0]?.version.seq, 1)
  const log = await openControlLog(controlLogDirectory(directory))
  assert.deepEqual(log.entries, [
    { index: 1, term: 1, command: { do: 'remove-volume', name: 'one' } },
    { index: 2, term: 1, command: { do: 'remove-volume', name: 'two' } },
  ])
  await log.close()
  await runner.store.close()
})
