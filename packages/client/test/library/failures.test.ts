import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AshlarError, StatusEvent } from '@ashlar/client'
import { type ConnectedClient, connectClient, type OpenedVolume } from '@ashlar/client/internal'
import { FakeCluster } from '../kit/fake-cluster.ts'
import type { Fault } from '../kit/fake-node.ts'
import { gate, pattern, waitFor } from '../kit/wait-for.ts'

const EXTENT = 16 * 1024 * 1024

/** A cluster with a volume of two extents, a client with short timers, the volume open. */
class Scene implements AsyncDisposable {
  readonly cluster: FakeCluster
  readonly client: ConnectedClient
  readonly volume: OpenedVolume

  private constructor(cluster: FakeCluster, client: ConnectedClient, volume: OpenedVolume) {
    this.cluster = cluster
    this.client = client
    this.volume = volume
  }

  static async open(ioTimeoutMs = 20_000): Promise<Scene> {
    const cluster = await FakeCluster.start()
    cluster.create('demo', 2 * EXTENT)
    const timers = { answerTimeoutMs: 200, waitRetryMs: 50, cancelGraceMs: 200 }
    const client = await connectClient({ servers: cluster.servers, ioTimeoutMs, ...timers })
    return new Scene(cluster, client, await client.openVolume('demo'))
  }

  /** Every operation took effect at most once. */
  assertOnce(): void {
    assert.equal(new Set(this.cluster.applied).size, this.cluster.applied.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await this.cluster[Symbol.asyncDispose]()
  }
}

describe('a write takes effect once and its caller learns of it', () => {
  const faults: Readonly<Record<string, readonly Fault[]>> = {
    'when its answer is lost': [{ do: 'drop-answer' }],
    'when it is ignored': [{ do: 'ignore' }],
    'when the connection breaks before it arrives': [{ do: 'disconnect-before' }],
    'when the connection breaks before it is answered': [{ do: 'disconnect' }],
    'when it is answered twice': [{ do: 'answer-twice' }],
    'when it is told WAIT for a while': Array.from({ length: 5 }, () => ({ do: 'refuse', code: 'WAIT' }) as const),
    'when it is told BUSY': [{ do: 'refuse', code: 'BUSY' }],
    'when it is told NOT_PRIMARY once': [{ do: 'refuse', code: 'NOT_PRIMARY' }],
    'when it is told INDETERMINATE': [{ do: 'refuse', code: 'INDETERMINATE' }],
    'when all of that comes together': [
      { do: 'drop-answer' },
      { do: 'disconnect' },
      { do: 'refuse', code: 'WAIT' },
      { do: 'ignore' },
      { do: 'refuse', code: 'NOT_PRIMARY' },
      { do: 'disconnect-before' },
      { do: 'answer-twice' },
    ],
  }
  for (const [name, list] of Object.entries(faults)) {
    test(name, async () => {
      await using scene = await Scene.open()
      const node = scene.cluster.primaryOf('demo')
      node.failNext('write', ...list)
      const bytes = pattern(3 * 1024 * 1024)
      await scene.volume.write(1000, bytes)
      assert.ok(Buffer.from(await scene.volume.read(1000, bytes.length)).equals(bytes))
      scene.assertOnce()
    })
  }
})

describe('a request follows the primary', () => {
  test('that the map names', async () => {
    await using scene = await Scene.open()
    await scene.volume.write(0, pattern(4096))
    scene.cluster.move('demo', 0, scene.cluster.node(2), true)
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096))
    assert.equal(scene.cluster.node(2).requests('read').length, 1)
  })

  test('when the client has no new map: NOT_PRIMARY makes it request one', async () => {
    await using scene = await Scene.open()
    scene.cluster.move('demo', 0, scene.cluster.node(1), false)
    await scene.volume.write(0, pattern(4096))
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096))
  })

  test('when the old one stops while it has the write', async () => {
    await using scene = await Scene.open()
    const old = scene.cluster.primaryOf('demo')
    old.failAlways('write', { do: 'ignore' })
    const write = scene.volume.write(0, pattern(4096))
    await waitFor('the write reached the old primary', () => old.requests('write').length > 0)
    await old.stop()
    scene.cluster.move('demo', 0, scene.cluster.node(1), true)
    await write
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096))
    scene.assertOnce()
  })

  test('a read whose bytes do not match their checksum is sent again over a new connection', async () => {
    await using scene = await Scene.open()
    await scene.volume.write(0, pattern(4096))
    scene.cluster.primaryOf('demo').failNext('read', { do: 'corrupt' })
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096))
    assert.equal(scene.cluster.primaryOf('demo').requests('read').length, 2)
  })
})

describe('a call that cannot be done', () => {
  test('in time fails with TIMEOUT; a write that may still land says so and keeps its range', async () => {
    await using scene = await Scene.open(300)
    const node = scene.cluster.primaryOf('demo')
    node.failAlways('write', { do: 'ignore' })
    node.failAlways('cancel', { do: 'refuse', code: 'WAIT' })
    await assert.rejects(scene.volume.write(0, pattern(4096)), (error: AshlarError) => {
      assert.deepEqual([error.code, error.details['indeterminate']], ['TIMEOUT', true])
      return true
    })
    node.failAlways('write', undefined)
    const writes = node.requests('write').length
    const next = scene.volume.write(0, pattern(4096, 2))
    await scene.volume.write(8192, pattern(4096, 3))
    assert.equal(node.requests('write').length, writes + 1, 'the overlapping write waits')
    node.failAlways('cancel', undefined)
    await next
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096, 2))
  })

  test('in time fails for certain when the primary cancels it', async () => {
    await using scene = await Scene.open(300)
    scene.cluster.primaryOf('demo').failAlways('write', { do: 'ignore' })
    await assert.rejects(scene.volume.write(0, pattern(4096)), (error: AshlarError) => {
      assert.deepEqual([error.code, error.details['indeterminate']], ['TIMEOUT', false])
      return true
    })
  })

  test('is aborted by its signal, with the reason as cause', async () => {
    await using scene = await Scene.open()
    scene.cluster.primaryOf('demo').failAlways('read', { do: 'ignore' })
    const stop = new AbortController()
    const read = scene.volume.read(0, 4096, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await assert.rejects(read, { code: 'ABORTED', cause: new Error('enough') })
    await assert.rejects(scene.volume.read(0, 4096, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    await assert.rejects(scene.volume.flush({ signal: AbortSignal.abort() }), { code: 'ABORTED' })
  })

  test('is aborted at once when it is a write: the error is indeterminate, and the next write wins', async () => {
    await using scene = await Scene.open()
    const node = scene.cluster.primaryOf('demo')
    const held = gate()
    node.failNext('write', { do: 'hold', gate: held.opened })
    node.failNext('cancel', { do: 'hold', gate: held.opened })
    const stop = new AbortController()
    const bytes = pattern(4096)
    const write = scene.volume.write(0, bytes, { signal: stop.signal })
    await waitFor('the write reached the primary', () => node.requests('write').length === 1)
    stop.abort(new Error('enough'))
    await assert.rejects(write, (error: AshlarError) => {
      assert.deepEqual([error.code, error.retry, error.details['indeterminate']], ['ABORTED', 'never', true])
      assert.deepEqual(error.cause, new Error('enough'))
      assert.match(error.stack ?? '', /failures\.test\.ts/)
      return true
    })
    bytes.fill(0)
    const next = scene.volume.write(0, pattern(4096, 2))
    held.open()
    await next
    assert.deepEqual(await scene.volume.read(0, 4096), pattern(4096, 2))
    scene.assertOnce()
  })

  test('because the cluster is down delays neither the exit of the process nor close', async () => {
    const scene = await Scene.open(300)
    await scene.cluster[Symbol.asyncDispose]()
    await assert.rejects(scene.volume.write(0, pattern(4096)), { code: 'TIMEOUT' })
    await scene.client.close()
  })
})

describe('a session that is fenced', () => {
  test('fails pending and later calls, and reports an event', async () => {
    await using scene = await Scene.open()
    const events: StatusEvent[] = []
    const reading = (async () => {
      for await (const event of scene.client.status()) events.push(event)
    })()
    const held = gate()
    scene.cluster.primaryOf('demo').failNext('read', { do: 'hold', gate: held.opened })
    const pending = scene.volume.read(0, 4096)
    scene.cluster.attach('demo', false)
    await assert.rejects(scene.volume.write(0, pattern(4096)), { code: 'FENCED' })
    await assert.rejects(pending, { code: 'FENCED' })
    await assert.rejects(scene.volume.flush(), { code: 'FENCED' })
    await assert.rejects(scene.volume.read(0, 1), { code: 'FENCED' })
    held.open()
    assert.equal(scene.cluster.applied.length, 0)
    await scene.client.close()
    await reading
    assert.equal(events.filter((event) => event.what === 'fenced').length, 1)
  })

  test('learns it from the map without a call', async () => {
    await using scene = await Scene.open()
    const events = scene.client.status()[Symbol.asyncIterator]()
    scene.cluster.attach('demo', true)
    for (;;) {
      const { value, done } = await events.next()
      assert.notEqual(done, true)
      if (value?.what === 'fenced') break
    }
    await assert.rejects(scene.volume.write(0, pattern(4096)), { code: 'FENCED' })
  })
})
