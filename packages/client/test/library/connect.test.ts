import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { type AshlarError, connect } from '@ashlar/client'
import { Registry } from 'prom-client'
import { FakeCluster } from '../kit/fake-cluster.ts'
import { pattern, waitFor } from '../kit/wait-for.ts'

describe('connect', () => {
  test('names the option that is wrong', async () => {
    const bad: readonly [unknown, RegExp][] = [
      [{}, /servers must be a list/],
      [{ servers: [] }, /servers must be a list/],
      [{ servers: ['http://n1:7580'] }, /servers has 'http:\/\/n1:7580'/],
      [{ servers: ['n1'] }, /servers has 'n1'/],
      [{ servers: ['user@n1:80'] }, /servers has 'user@n1:80'/],
      [{ servers: ['[::::]:80'] }, /servers has/],
      [{ servers: ['n1:99999'] }, /servers has 'n1:99999'/],
      [{ servers: ['n1:1'], ioTimeoutMs: 0 }, /ioTimeoutMs must be/],
      [{ servers: ['n1:1'], name: 5 }, /name must be text/],
      [{ servers: ['n1:1'], signal: {} }, /signal must be an AbortSignal/],
    ]
    for (const [options, message] of bad) await assert.rejects(connect(options as never), { code: 'USAGE', message })
  })

  test('says of each server why it cannot be reached', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.node(0).refuseHello = 'wrong version'
    const closed = await unusedAddress()
    await assert.rejects(connect({ servers: [closed, ...cluster.servers] }), (error: AshlarError) => {
      assert.equal(error.code, 'NO_CONTROL')
      assert.match(error.message, /ECONNREFUSED/)
      assert.match(error.message, /wrong version \(HANDSHAKE\)/)
      assert.ok(error.message.includes(closed) && error.message.includes(cluster.node(0).address))
      assert.match(error.stack ?? '', /connect\.test\.ts/)
      return true
    })
  })

  test('needs one of its servers', async () => {
    await using cluster = await FakeCluster.start(1)
    await using client = await connect({ servers: [await unusedAddress(), ...cluster.servers] })
    assert.deepEqual(await client.admin.list(), [])
  })

  test('fails after ioTimeoutMs when a server responds to the handshake only', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.node(0).failAlways('get-map', { do: 'ignore' })
    await assert.rejects(connect({ servers: cluster.servers, ioTimeoutMs: 200 }), { code: 'TIMEOUT' })
    await waitFor('the connection is closed', () => cluster.node(0).connections === 0)
  })

  test('is aborted by its signal', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.node(0).failAlways('get-map', { do: 'ignore' })
    const stop = new AbortController()
    const connecting = connect({ servers: cluster.servers, signal: stop.signal })
    stop.abort()
    await assert.rejects(connecting, { code: 'ABORTED' })
  })
})

describe('a client', () => {
  test('that is closed leaves no connection, ends its status, and fails its calls', async () => {
    await using cluster = await FakeCluster.start()
    cluster.create('demo', 16 * 1024 * 1024)
    const client = await connect({ servers: cluster.servers })
    const events = client.status()
    const volume = await client.openVolume('demo')
    await client.close()
    await client.close()
    await waitFor('every connection is closed', () => cluster.nodes.every((node) => node.connections === 0))
    for await (const event of events) assert.ok(event.what.length > 0)
    await assert.rejects(volume.read(0, 1), { code: 'CLOSED' })
    await assert.rejects(client.admin.list(), { code: 'CLOSED' })
    assert.equal(cluster.volume('demo')?.holders.length, 0)
  })

  test('connects again to a server that comes back', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.create('demo', 16 * 1024 * 1024)
    await using client = await connect({ servers: cluster.servers })
    const volume = await client.openVolume('demo')
    cluster.node(0).disconnectAll()
    await volume.write(0, pattern(4096))
    assert.deepEqual(await volume.read(0, 4096), pattern(4096))
  })

  test('does not share anything with another one of the same process', async () => {
    await using cluster = await FakeCluster.start()
    cluster.create('demo', 16 * 1024 * 1024)
    await using first = await connect({ servers: cluster.servers, name: 'first' })
    await using second = await connect({ servers: cluster.servers, name: 'second' })
    const held = await first.openVolume('demo')
    await held.write(0, pattern(4096))
    const taken = await second.openVolume('demo')
    assert.deepEqual((await second.admin.describe('demo')).holders, ['second'])
    assert.deepEqual(await taken.read(0, 4096), pattern(4096))
    await assert.rejects(held.write(0, pattern(4096)), { code: 'FENCED' })
    await taken.write(0, pattern(4096, 2))
  })

  test('counts its calls in a registry of prom-client', async () => {
    await using cluster = await FakeCluster.start(1)
    cluster.create('demo', 16 * 1024 * 1024)
    const register = new Registry()
    await using client = await connect({ servers: cluster.servers, register })
    const volume = await client.openVolume('demo')
    await volume.write(0, pattern(4096))
    await volume.write(0, pattern(4096))
    await assert.rejects(volume.read(-1, 1))
    await assert.rejects(volume.read(volume.sizeBytes, 1))
    const text = await register.metrics()
    assert.match(text, /ashlar_client_calls_total\{call="write",code="OK"\} 2/)
    assert.match(text, /ashlar_client_calls_total\{call="read",code="OUT_OF_RANGE"\} 1/)
    assert.match(text, /ashlar_client_call_seconds_bucket\{call="write",le="\+Inf"\} 2/)
    assert.match(text, /ashlar_client_call_seconds_count\{call="write"\} 2/)
    assert.match(text, /ashlar_client_sent_bytes_total [1-9]/)
  })

  test('leaves its registry when it is closed, and a registry takes one client at a time', async () => {
    await using cluster = await FakeCluster.start(1)
    const register = new Registry()
    const first = await connect({ servers: cluster.servers, register })
    await assert.rejects(connect({ servers: cluster.servers, register }), (error: AshlarError) => {
      assert.equal(error.code, 'USAGE')
      assert.match(error.message, /register does not take ashlar_client_calls_total/)
      assert.match(error.stack ?? '', /connect\.test\.ts/)
      return true
    })
    assert.ok((await register.metrics()).includes('ashlar_client_calls_total'), 'the first client keeps its place')
    await first.close()
    assert.equal((await register.metrics()).trim(), '')
    await using second = await connect({ servers: cluster.servers, register })
    assert.deepEqual(await second.admin.list(), [])
    assert.match(await register.metrics(), /ashlar_client_calls_total\{call="list-volumes",code="OK"\} 1/)
  })

  test('logs connections', async () => {
    await using cluster = await FakeCluster.start(1)
    const lines: string[] = []
    const log = (_fields: object, message: string): void => {
      lines.push(message)
    }
    const logger = { debug: log, info: log, warn: log }
    await using client = await connect({ servers: cluster.servers, logger })
    assert.ok(lines.includes('connected'))
    assert.deepEqual(await client.admin.list(), [])
  })
})

/** An address of loopback at which nobody listens. */
async function unusedAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  assert.ok(address !== null && typeof address === 'object')
  return `127.0.0.1:${address.port}`
}
