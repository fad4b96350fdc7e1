import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AshlarError, type Client, connect, type Volume } from '@ashlar/client'
import { connectClient } from '@ashlar/client/internal'
import { BLOCK_ABSENT, BLOCK_DATA, BLOCK_TRIM, BLOCK_ZERO } from '@ashlar/proto'
import { FakeCluster } from '../kit/fake-cluster.ts'
import { pattern } from '../kit/wait-for.ts'

const MIB = 1024 * 1024
const EXTENT = 16 * MIB

describe('a volume', () => {
  let cluster: FakeCluster
  let client: Client
  let volume: Volume

  before(async () => {
    cluster = await FakeCluster.start()
    cluster.create('demo', 3 * EXTENT)
    client = await connect({ servers: cluster.servers, ioTimeoutMs: 20_000 })
    volume = await client.openVolume('demo')
  })
  after(async () => {
    await client.close()
    await cluster[Symbol.asyncDispose]()
  })

  test('says its name and sizes', () => {
    assert.deepEqual([volume.name, volume.sizeBytes, volume.blockSizeBytes], ['demo', 3 * EXTENT, 4096])
  })

  test('reads what was written: over an extent edge, unaligned, in many pieces', async () => {
    const bytes = pattern(5_000_001)
    await volume.write(EXTENT - 2_222_222, bytes)
    assert.ok(Buffer.from(await volume.read(EXTENT - 2_222_222, bytes.length)).equals(bytes))
    const inside = await volume.read(EXTENT - 100, 200)
    assert.deepEqual(inside, bytes.slice(2_222_122, 2_222_322))
  })

  test('reads zeroes where nothing was written', async () => {
    assert.ok((await volume.read(2 * EXTENT + 5 * MIB, 10_000)).every((byte) => byte === 0))
  })

  test('fills the target of readInto, over what was in it', async () => {
    const bytes = pattern(8192, 2)
    await volume.write(4096, bytes)
    const target = new Uint8Array(12_288).fill(0xff)
    await volume.readInto(0, target)
    assert.ok(target.subarray(0, 4096).every((byte) => byte === 0))
    assert.deepEqual(target.slice(4096), bytes)
  })

  test('gives memory that the caller owns: changing it changes nothing', async () => {
    const bytes = pattern(4096, 3)
    await volume.write(MIB, bytes)
    const read = await volume.read(MIB, 4096)
    read.fill(0)
    assert.deepEqual(await volume.read(MIB, 4096), bytes)
    assert.equal(read.byteOffset, 0)
    assert.equal(read.buffer.byteLength, 4096)
  })

  test('trims and zeroes, aligned or not, and says what holds data', async () => {
    const base = 2 * EXTENT
    await volume.write(base, pattern(64 * 1024, 4))
    await volume.trim(base + 4096, 8192)
    await volume.writeZeroes(base + 16_384, 4096, { noHole: true })
    await volume.writeZeroes(base + 24_576 + 100, 200)
    const read = await volume.read(base, 64 * 1024)
    const expected = pattern(64 * 1024, 4)
    expected.fill(0, 4096, 12_288).fill(0, 16_384, 20_480).fill(0, 24_676, 24_876)
    assert.deepEqual(read, expected)
    const opened = await openReadOnly(cluster)
    assert.deepEqual(await opened.volume.allocation(base, 72 * 1024), [
      { length: 4096, kind: BLOCK_DATA },
      { length: 8192, kind: BLOCK_TRIM },
      { length: 4096, kind: BLOCK_DATA },
      { length: 4096, kind: BLOCK_ZERO },
      { length: 44 * 1024, kind: BLOCK_DATA },
      { length: 8192, kind: BLOCK_ABSENT },
    ])
    await opened.client.close()
  })

  test('trims the whole of itself in operations of at most 1,024 blocks', async () => {
    const before = cluster.nodes.flatMap((node) => node.requests('zero')).length
    await volume.trim(0, volume.sizeBytes)
    const sent = cluster.nodes.flatMap((node) => node.requests('zero')).slice(before)
    assert.ok(sent.every((zero) => zero.length <= 1024 * 4096))
    assert.ok((await volume.read(EXTENT - MIB, 2 * MIB)).every((byte) => byte === 0))
  })

  test('takes calls of no bytes at all', async () => {
    assert.equal((await volume.read(0, 0)).length, 0)
    await volume.write(volume.sizeBytes, new Uint8Array(0))
    await volume.trim(0, 0)
  })

  test('keeps the order of one caller: a read after a write sees it, overlapping writes land in order', async () => {
    const rounds = Array.from({ length: 50 }, (_, i) => volume.write(100, new Uint8Array(5000).fill(i + 1)))
    await Promise.all(rounds)
    assert.ok((await volume.read(100, 5000)).every((byte) => byte === 50))
  })

  test('does thousands of small writes and reads at once', async () => {
    const blocks = Array.from({ length: 3000 }, (_, i) => i)
    await Promise.all(blocks.map((i) => volume.write(i * 4096, new Uint8Array(4096).fill(i % 255))))
    const reads = await Promise.all(blocks.map((i) => volume.read(i * 4096, 4096)))
    assert.ok(reads.every((bytes, i) => bytes.every((byte) => byte === i % 255)))
  })

  test('streams out what was streamed in', async () => {
    const bytes = pattern(9_999_999, 5)
    const writer = volume.writable({ start: 12_345 }).getWriter()
    for (let at = 0; at < bytes.length; at += 700_001) await writer.write(bytes.subarray(at, at + 700_001))
    await writer.close()
    const chunks: Uint8Array[] = []
    for await (const chunk of volume.readable({ start: 12_345, end: 12_345 + bytes.length })) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(bytes))
  })

  test('a stream that is left early ends its reads', async () => {
    for await (const chunk of volume.readable()) {
      assert.ok(chunk.length > 0)
      break
    }
    await volume.flush()
  })

  test('refuses ranges outside of it and names what is wrong with arguments, with the stack of the caller', async () => {
    const failures: readonly [Promise<unknown>, string, RegExp][] = [
      [volume.read(volume.sizeBytes - 1, 2), 'OUT_OF_RANGE', /offset 50331647 and length 2/],
      [volume.write(volume.sizeBytes, new Uint8Array(1)), 'OUT_OF_RANGE', /demo/],
      [volume.read(-1, 2), 'USAGE', /offset must be/],
      [volume.read(0, 1.5), 'USAGE', /length must be/],
      [volume.write(0, 'text' as never), 'USAGE', /bytes must be a Uint8Array, not 'text'/],
      [volume.readInto(0, [] as never), 'USAGE', /target must be a Uint8Array/],
      [volume.read(0, 1, { signal: 1 as never }), 'USAGE', /signal must be an AbortSignal/],
    ]
    for (const [promise, code, message] of failures) {
      await assert.rejects(promise, (error: AshlarError) => {
        assert.equal(error.code, code)
        assert.match(error.message, message)
        assert.match(error.stack ?? '', /volume\.test\.ts/)
        return true
      })
    }
  })
})

describe('opening and closing', () => {
  test('a read-only volume reads and refuses to change', async () => {
    await using cluster = await FakeCluster.start()
    cluster.create('demo', EXTENT)
    const { client, volume } = await openReadOnly(cluster)
    assert.equal((await volume.read(0, 10)).length, 10)
    await assert.rejects(volume.write(0, new Uint8Array(1)), { code: 'READ_ONLY' })
    await assert.rejects(volume.trim(0, 4096), { code: 'READ_ONLY' })
    await client.close()
  })

  test('a closed volume is free for the next one, and fails its own calls with CLOSED', async () => {
    await using cluster = await FakeCluster.start()
    cluster.create('demo', EXTENT)
    await using client = await connect({ servers: cluster.servers })
    const first = await client.openVolume('demo')
    await assert.rejects(client.openVolume('demo', { ifFree: true }), { code: 'ATTACHED' })
    const write = first.write(0, pattern(4096))
    await first.close()
    await write
    await first.close()
    await assert.rejects(first.read(0, 1), { code: 'CLOSED' })
    await using second = await client.openVolume('demo', { ifFree: true })
    assert.deepEqual(await second.read(0, 4096), pattern(4096))
  })

  test('names the option that is wrong', async () => {
    await using cluster = await FakeCluster.start(1)
    await using client = await connect({ servers: cluster.servers })
    const bad: readonly [Promise<unknown>, RegExp][] = [
      [client.openVolume('No Such Name'), /name is 'No Such Name'/],
      [client.openVolume('demo', { mode: 'both' as never }), /mode must be/],
      [client.openVolume('demo', { ifFree: 1 as never }), /ifFree must be/],
      [client.admin.create({ name: 'x', sizeBytes: 5000 }), /multiple of the block size/],
      [client.admin.create({ name: 'x', sizeBytes: 8192, replicas: 9 }), /replicas must be/],
      [client.admin.create({ name: 'x', sizeBytes: 8192, minInSync: 4 }), /minInSync must be/],
    ]
    for (const [promise, message] of bad) await assert.rejects(promise, { code: 'USAGE', message })
    await assert.rejects(client.openVolume('demo'), { code: 'NOT_FOUND' })
    await assert.rejects(client.openVolume('demo', { mode: 'read-only' }), { code: 'NOT_FOUND' })
  })

  test('volumes are created, listed, described and removed', async () => {
    await using cluster = await FakeCluster.start()
    await using client = await connect({ servers: cluster.servers })
    const created = await client.admin.create({ name: 'one', sizeBytes: 40 * MIB, blockSizeBytes: 65_536 })
    assert.deepEqual(created, await client.admin.describe('one'))
    assert.deepEqual(
      [created.name, created.sizeBytes, created.blockSizeBytes, created.replicas, created.minInSync, created.state],
      ['one', 40 * MIB, 65_536, 3, 2, 'healthy'],
    )
    await client.admin.create({ name: 'another', sizeBytes: 8192 })
    const names = async (): Promise<string[]> => (await client.admin.list()).map((volume) => volume.name)
    assert.deepEqual(await names(), ['another', 'one'])
    await assert.rejects(client.admin.create({ name: 'one', sizeBytes: 8192 }), { code: 'EXISTS' })
    await client.admin.remove('one')
    assert.deepEqual(await names(), ['another'])
    await assert.rejects(client.admin.describe('one'), { code: 'NOT_FOUND' })
    await assert.rejects(client.admin.remove('one'), { code: 'NOT_FOUND' })
  })
})

async function openReadOnly(cluster: FakeCluster) {
  const client = await connectClient({ servers: cluster.servers })
  return { client, volume: await client.openVolume('demo', { mode: 'read-only' }) }
}
