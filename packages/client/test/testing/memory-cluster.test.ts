import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AshlarError, StatusEvent } from '@ashlar/client'
import { type MemoryCluster, type MemoryFault, memoryCluster } from '@ashlar/client/testing'
import { pattern, waitFor } from '../kit/wait-for.ts'

const MIB = 1024 * 1024
const DEMO = { name: 'demo', sizeBytes: 40 * MIB, extentSizeBytes: 16 * MIB } as const

async function demoCluster(): Promise<MemoryCluster> {
  return await memoryCluster({ volumes: [DEMO] })
}

describe('a cluster in memory', () => {
  test('keeps what is written, over edges of blocks and extents, and gives zeroes elsewhere', async () => {
    await using cluster = await demoCluster()
    await using client = await cluster.connect()
    await using volume = await client.openVolume('demo')
    const bytes = pattern(3_000_001)
    await volume.write(16 * MIB - 1_500_000, bytes)
    assert.ok(Buffer.from(await volume.read(16 * MIB - 1_500_000, bytes.length)).equals(bytes))
    await volume.trim(16 * MIB - 1_500_000, 1_000_000)
    await volume.writeZeroes(16 * MIB - 500_000, 100, { noHole: true })
    const after = await volume.read(16 * MIB - 1_500_000, bytes.length)
    assert.ok(Buffer.from(after).equals(Buffer.from(bytes.slice().fill(0, 0, 1_000_100))))
    assert.ok((await volume.read(32 * MIB, 8 * MIB)).every((byte) => byte === 0))
  })

  test('creates, lists, describes and removes volumes by the rules of a real one', async () => {
    await using cluster = await memoryCluster()
    await using client = await cluster.connect()
    const { admin } = client
    const made = await admin.create({ name: 'one', sizeBytes: 8192 })
    assert.deepEqual(await admin.describe('one'), made)
    assert.deepEqual([made.replicas, made.minInSync, made.state, made.holders.length], [3, 2, 'healthy', 0])
    await assert.rejects(admin.create({ name: 'one', sizeBytes: 8192 }), { code: 'EXISTS' })
    await assert.rejects(admin.create({ name: 'five', sizeBytes: 8192, replicas: 5 }), { code: 'TOO_FEW_NODES' })
    const volume = await client.openVolume('one')
    await volume.write(0, pattern(8192))
    await assert.rejects(admin.remove('one'), { code: 'CONFLICT' })
    await volume.close()
    await admin.remove('one')
    await assert.rejects(client.openVolume('one'), { code: 'NOT_FOUND' })
    await admin.create({ name: 'one', sizeBytes: 8192 })
    await using again = await client.openVolume('one')
    assert.ok((await again.read(0, 8192)).every((byte) => byte === 0))
  })

  test('names the option that is wrong', async () => {
    await assert.rejects(memoryCluster({ nodes: 0 }), { code: 'USAGE', message: /nodes must be/ })
    await assert.rejects(memoryCluster({ volumes: [{ name: 'x', sizeBytes: 5 }] }), {
      code: 'USAGE',
      message: /volume 'x'/,
    })
    await assert.rejects(memoryCluster({ volumes: [DEMO, DEMO] }), { code: 'EXISTS' })
    await using cluster = await memoryCluster()
    assert.throws(() => cluster.stopNode('n9'), { code: 'NOT_FOUND', hint: 'The nodes are n1, n2, n3.' })
    assert.throws(() => cluster.fence('demo'), { code: 'NOT_FOUND' })
    await assert.rejects(cluster.connect({ ioTimeoutMs: -1 }), { code: 'USAGE' })
  })

  test('shares nothing with another one', async () => {
    await using first = await demoCluster()
    await using second = await demoCluster()
    const [one, two] = [await first.connect(), await second.connect()]
    const written = await one.openVolume('demo')
    await written.write(0, pattern(4096))
    const other = await two.openVolume('demo', { ifFree: true })
    assert.ok((await other.read(0, 4096)).every((byte) => byte === 0))
  })

  test('that is closed waits neither for holds nor for nodes that are stopped', async () => {
    const cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const hold = cluster.hold('write')
    const held = volume.write(0, pattern(4096))
    await waitFor('the write is held', () => hold.waiting === 1)
    for (const node of cluster.nodes) cluster.stopNode(node)
    const read = volume.read(MIB, 4096)
    const began = performance.now()
    await cluster.close()
    await Promise.all([held, read])
    assert.ok(performance.now() - began < 10_000, 'without a timeout')
  })

  test('that is closed closes its clients', async () => {
    const cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    await cluster.close()
    await assert.rejects(volume.read(0, 1), { code: 'CLOSED' })
  })
})

describe('attachment modes', () => {
  test('exclusive fences every holder of the volume, at once and without a call', async () => {
    await using cluster = await demoCluster()
    const [first, second] = [await cluster.connect({ name: 'first' }), await cluster.connect({ name: 'second' })]
    const events = first.status()
    const held = await first.openVolume('demo')
    await assert.rejects(second.openVolume('demo', { ifFree: true }), { code: 'ATTACHED', message: /first/ })
    await second.openVolume('demo')
    for await (const event of events) if (event.what === 'fenced') break
    await assert.rejects(held.write(0, pattern(4096)), (error: AshlarError) => {
      assert.deepEqual([error.code, error.retry], ['FENCED', 'never'])
      return true
    })
    await assert.rejects(held.read(0, 1), { code: 'FENCED' })
    await assert.rejects(held.flush(), { code: 'FENCED' })
    await held.close()
    assert.deepEqual((await first.admin.describe('demo')).holders, ['second'])
  })

  test('a write on its way is fenced, too, and says that it may land', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    using hold = cluster.hold('write')
    const write = volume.write(0, pattern(4096))
    await waitFor('the write is held', () => hold.waiting === 1)
    cluster.fence('demo')
    await assert.rejects(write, (error: AshlarError) => {
      assert.deepEqual([error.code, error.details['indeterminate']], ['FENCED', true])
      return true
    })
  })

  test('shared holders write side by side; an exclusive one ends them all', async () => {
    await using cluster = await demoCluster()
    const clients = [await cluster.connect(), await cluster.connect(), await cluster.connect()] as const
    const one = await clients[0].openVolume('demo', { mode: 'shared' })
    const two = await clients[1].openVolume('demo', { mode: 'shared', ifFree: true })
    await one.write(0, pattern(4096, 1))
    await two.write(4096, pattern(4096, 2))
    assert.deepEqual(await one.read(4096, 4096), pattern(4096, 2))
    assert.equal((await clients[2].admin.describe('demo')).holders.length, 2)
    const taken = await clients[2].openVolume('demo')
    for (const volume of [one, two]) await assert.rejects(volume.write(0, pattern(4096)), { code: 'FENCED' })
    await assert.rejects(clients[0].openVolume('demo', { mode: 'shared', ifFree: true }), { code: 'ATTACHED' })
    await taken.write(0, pattern(4096, 3))
  })

  test('any number read at once beside a writer, are not fenced, and change nothing', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const readers = [
      await client.openVolume('demo', { mode: 'read-only' }),
      await client.openVolume('demo', { mode: 'read-only' }),
    ]
    const writer = await client.openVolume('demo')
    await writer.write(0, pattern(4096))
    cluster.fence('demo')
    for (const reader of readers) {
      assert.deepEqual(await reader.read(0, 4096), pattern(4096))
      await assert.rejects(reader.write(0, pattern(1)), { code: 'READ_ONLY' })
      await assert.rejects(reader.writeZeroes(0, 1), { code: 'READ_ONLY' })
    }
  })
})

describe('failures on demand', () => {
  test('codes that a caller gets, with their retry class', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    cluster.failNext('write', 'NO_SPACE')
    await assert.rejects(volume.write(0, pattern(4096)), (error: AshlarError) => {
      assert.deepEqual([error.code, error.retry, error.details['indeterminate']], ['NO_SPACE', 'never', false])
      return true
    })
    cluster.failNext('read', 'DAMAGED', 5)
    await assert.rejects(volume.read(0, 4096), { code: 'DAMAGED', retry: 'same' })
    cluster.failNext('create', 'TOO_FEW_NODES')
    await assert.rejects(client.admin.create({ name: 'x', sizeBytes: 8192 }), { code: 'TOO_FEW_NODES' })
    await volume.write(0, pattern(4096))
  })

  for (const fault of ['WAIT', 'BUSY', 'NOT_PRIMARY', 'lose-request', 'lose-answer'] as const satisfies MemoryFault[]) {
    test(`${fault} reaches no caller: the client passes it, and the write takes effect once`, async () => {
      await using cluster = await demoCluster()
      const client = await cluster.connect()
      const volume = await client.openVolume('demo')
      cluster.failNext('write', fault, 3)
      await volume.write(100, pattern(5000, 1))
      await volume.write(100, pattern(5000, 2))
      assert.deepEqual(await volume.read(100, 5000), pattern(5000, 2))
    })
  }

  test('a node that stops hands its extents over: calls go on, and the state of the volume says so', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const bytes = pattern(40 * MIB)
    const writes = volume.write(0, bytes)
    cluster.stopNode('n1')
    await writes
    assert.equal((await client.admin.describe('demo')).state, 'degraded')
    assert.ok(Buffer.from(await volume.read(0, bytes.length)).equals(bytes))
    cluster.startNode('n1')
    cluster.stopNode('n2')
    assert.ok(Buffer.from(await volume.read(0, bytes.length)).equals(bytes))
    cluster.startNode('n2')
    assert.equal((await client.admin.describe('demo')).state, 'healthy')
  })

  test('with too few replicas writes wait, with a status event; reads go on; a node that comes back ends the wait', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const events: StatusEvent[] = []
    const reading = (async () => {
      for await (const event of client.status()) {
        events.push(event)
        if (event.what === 'waiting') cluster.startNode('n1')
      }
    })()
    cluster.stopNode('n1')
    cluster.stopNode('n2')
    const write = volume.write(0, pattern(4096))
    assert.equal((await volume.read(0, 4096)).length, 4096)
    assert.equal((await client.admin.describe('demo')).state, 'unavailable')
    await write
    await client.close()
    await reading
    assert.deepEqual(
      events.filter(({ what }) => what === 'waiting' || what === 'resumed').map(({ what }) => what),
      ['waiting', 'resumed'],
    )
    assert.equal(events.find((event) => event.what === 'waiting')?.reason, 'WAIT')
  })

  test('held requests go on when they are released', async () => {
    await using cluster = await demoCluster()
    const client = await cluster.connect()
    const volume = await client.openVolume('demo')
    const hold = cluster.hold('read')
    const reads = [volume.read(0, 10), volume.read(20, 10)]
    await waitFor('both reads are held', () => hold.waiting === 2)
    await volume.write(0, pattern(4096))
    hold.release()
    assert.deepEqual(await Promise.all(reads), [pattern(10), pattern(4096).slice(20, 30)])
  })
})
