import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AshlarError, Volume } from '@ashlar/client'
import { connectClient } from '@ashlar/client/internal'
import { type MemoryCluster, memoryCluster } from '@ashlar/client/testing'
import { LIMITS } from '@ashlar/proto'
import { FakeCluster } from '../kit/fake-cluster.ts'
import { pattern, waitFor } from '../kit/wait-for.ts'

const MIB = 1024 * 1024
/** What is left of the bound when each extent that works has its share: the rest is kept for first requests (amendment 30). */
const SHARED_MIB = (LIMITS.clientInFlightBytes - LIMITS.clientFirstBytes) / MIB

/** A cluster in memory with one volume of many extents, open. */
async function opened(): Promise<{ cluster: MemoryCluster; volume: Volume } & AsyncDisposable> {
  const cluster = await memoryCluster({ volumes: [{ name: 'demo', sizeBytes: 256 * MIB, extentSizeBytes: 16 * MIB }] })
  const client = await cluster.connect()
  const volume = await client.openVolume('demo')
  return { cluster, volume, [Symbol.asyncDispose]: () => cluster.close() }
}

describe('bytes', () => {
  test('of a write are the caller’s again once it resolved, and were never changed', async () => {
    await using scene = await opened()
    const bytes = pattern(5_000_000)
    await scene.volume.write(12_345, bytes)
    assert.deepEqual(bytes, pattern(5_000_000))
    bytes.fill(0)
    assert.ok(Buffer.from(await scene.volume.read(12_345, bytes.length)).equals(pattern(5_000_000)))
  })

  test('of a write that was aborted are the caller’s at once, wherever its pieces were', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    using hold = cluster.hold('write')
    const stop = new AbortController()
    const bytes = new Uint8Array(200 * MIB).fill(1)
    const write = volume.write(0, bytes, { signal: stop.signal })
    await waitFor('pieces are held', () => hold.waiting >= 32)
    stop.abort()
    await assert.rejects(write, { code: 'ABORTED' })
    bytes.fill(2)
    hold.release()
    await volume.write(0, new Uint8Array(1).fill(3))
    await volume.flush()
    const after = await volume.read(0, bytes.length)
    assert.equal(after[0], 3)
    assert.ok(
      after.subarray(1).every((byte) => byte < 2),
      'what was on its way may have landed as it was then; none of the later bytes is there',
    )
  })

  test('that change while a write has them are noticed: CHECKSUM', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.create('demo', 16 * MIB)
    await using client = await connectClient({ servers: cluster.servers, waitRetryMs: 10 })
    const volume = await client.openVolume('demo')
    const bytes = pattern(4096)
    const write = volume.write(0, bytes)
    bytes[7] = (bytes[7] ?? 0) ^ 1
    await assert.rejects(write, (error: AshlarError) => {
      assert.deepEqual([error.code, error.details['indeterminate']], ['CHECKSUM', false])
      return true
    })
    assert.equal(cluster.applied.length, 0)
  })

  test('of a read into a target that was aborted do not come late', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    await volume.write(0, pattern(4096))
    const hold = cluster.hold('read')
    const stop = new AbortController()
    const target = new Uint8Array(4096)
    const read = volume.readInto(0, target, { signal: stop.signal })
    await waitFor('the read is held', () => hold.waiting === 1)
    stop.abort()
    await assert.rejects(read, { code: 'ABORTED' })
    target.fill(9)
    hold.release()
    // Answers come in order: when this one is there, the late one has been.
    assert.deepEqual(await volume.read(0, 4096), pattern(4096))
    assert.ok(target.every((byte) => byte === 9))
  })

  test('of one read belong to its caller: two reads of one range share no memory', async () => {
    await using scene = await opened()
    await scene.volume.write(0, pattern(8192))
    const [one, two] = await Promise.all([scene.volume.read(0, 8192), scene.volume.read(0, 8192)])
    one.fill(0)
    assert.deepEqual(two, pattern(8192))
    assert.equal(two.buffer.byteLength, 8192)
  })
})

describe('back-pressure', () => {
  test('a client has at most 64 MiB on its way, an extent half of it, and the rest waits in order', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    const hold = cluster.hold('write')
    const block = pattern(MIB)
    const settled: number[] = []
    const writes = Array.from({ length: 100 }, (_, i) => volume.write(i * 2 * MIB, block).then(() => settled.push(i)))
    await waitFor('what extents share is on its way', () => hold.waiting >= SHARED_MIB)
    // Nothing more comes, however long it takes: what could come is there after a turn.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    // Some is left to extents that have nothing on their way, and the last of it to small requests (amendment 30).
    assert.ok(hold.waiting < 64, `${hold.waiting} MiB are on their way`)
    const before = hold.waiting
    const small = volume.write(14 * 16 * MIB, pattern(4096))
    await waitFor('a small first request of an extent goes out', () => hold.waiting === before + 1)
    hold.release()
    await Promise.all([...writes, small])
    assert.equal(settled.length, 100)

    const second = cluster.hold('write')
    const one = Array.from({ length: 16 * 3 }, (_, i) => volume.write((i % 16) * MIB, block))
    const distinct = Array.from({ length: 40 }, (_, i) => volume.write(i * 256 * 1024, block.subarray(0, 4096)))
    await waitFor('the bound of an extent is reached', () => second.waiting > 0)
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(second.waiting <= 32, `${second.waiting} MiB to one extent`)
    second.release()
    await Promise.all([...one, ...distinct])
  })

  test('a writable makes its source wait while four chunks are on their way', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    const hold = cluster.hold('write')
    const writer = volume.writable().getWriter()
    let taken = 0
    const feeding = (async () => {
      for (let i = 0; i < 12; i++) {
        await writer.write(pattern(MIB, i))
        taken++
      }
      await writer.close()
    })()
    await waitFor('four chunks are on their way', () => hold.waiting === 4)
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([hold.waiting, taken], [4, 3])
    hold.release()
    await feeding
    assert.deepEqual(await volume.read(11 * MIB, MIB), pattern(MIB, 11))
  })

  test('a readable reads four chunks ahead of its reader and no further', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.create('demo', 64 * MIB)
    await using client = await connectClient({ servers: cluster.servers })
    const volume = await client.openVolume('demo')
    const reader = volume.readable().getReader()
    await reader.read()
    await waitFor('it reads ahead', () => cluster.node(0).requests('read').length >= 4)
    await volume.flush()
    const ahead = cluster.node(0).requests('read').length
    assert.ok(ahead <= 6, `${ahead} reads for one chunk that was taken`)
    await reader.cancel()
  })

  test('a stream ends with what ended its volume', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    const hold = cluster.hold('write')
    const writer = volume.writable().getWriter()
    const writing = writer.write(pattern(6 * MIB))
    await waitFor('chunks are on their way', () => hold.waiting === 4)
    const reader = volume.readable().getReader()
    await reader.read()
    cluster.fence('demo')
    await assert.rejects(writing, { code: 'FENCED' })
    await assert.rejects(writer.closed, { code: 'FENCED' })
    await assert.rejects(
      (async () => {
        while (!(await reader.read()).done);
      })(),
      { code: 'FENCED' },
    )
  })

  test('a writable that is aborted aborts its writes and waits for none of them', async () => {
    await using scene = await opened()
    const { cluster, volume } = scene
    using hold = cluster.hold('write')
    const writer = volume.writable().getWriter()
    const writing = writer.write(pattern(2 * MIB))
    await waitFor('chunks are on their way', () => hold.waiting === 2)
    await writing
    const reason = new Error('the source failed')
    await writer.abort(reason)
    await assert.rejects(writer.closed, reason)
    assert.equal(hold.waiting, 2, 'the writes still wait at the nodes')
  })
})
