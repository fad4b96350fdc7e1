import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { AshlarError, type Epoch, ERRORS, extentId, type NodeName, type SessionId, type VolumeId } from '@ashlar/proto'
import { type Node, type NodeOptions, Observer, startNode } from '../../src/index.ts'
import { PendingCalls } from '../../src/runtime/pending-calls.ts'
import { NodeRuntime } from '../../src/runtime/runtime.ts'
import { MemoryDriver, openStoreOnDriver, runtimeDirectory } from '../../src/storage/index.ts'
import { clientHello, RawPeer } from '../transport/raw-peer.ts'

const DEADLINE_MS = 10_000

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${DEADLINE_MS} ms`)
    await delay(20)
  }
}

function silentObserver(): Observer {
  return new Observer({ level: 'silent', name: 'n1', version: '0.0.0' })
}

/** Options of a node that bootstraps a cluster of itself, in a directory that is removed after the test. */
async function optionsFor(t: TestContext): Promise<NodeOptions> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ashlar-node-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  return {
    dataDir,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: undefined,
    api: '127.0.0.1:0',
    name: 'n1' as NodeName,
    labels: { zone: 'a' },
    peers: [],
    expect: 1,
    observer: silentObserver(),
    version: '0.0.0',
    insecure: [],
    ballastBytes: 0,
    onFatal: (reason, cause) => assert.fail(`${reason}: ${cause}`),
  }
}

async function started(t: TestContext): Promise<Node> {
  const node = await startNode(await optionsFor(t))
  t.after(() => node.stop())
  await until('the node becomes ready', async () => (await fetch(`http://${node.api}/readyz`)).ok)
  return node
}

describe('a node in its own process', () => {
  it('leaves nothing open when it cannot start: the same directory starts at once afterwards', async (t) => {
    const options = await optionsFor(t)
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const { port } = taken.address() as { port: number }
    const blocked = { ...options, listen: { host: '127.0.0.1', port }, observer: silentObserver() }
    await assert.rejects(startNode(blocked), { code: 'USAGE', message: new RegExp(`127\\.0\\.0\\.1:${port}`) })
    const node = await startNode(options)
    await Promise.all([node.stop(), node.stop()])
    await assert.rejects(fetch(`http://${node.api}/healthz`))
  })

  it('marks outside its data directory what it said in a log that began in this process (A2.20-5)', async (t) => {
    const node = await started(t)
    const [own] = (await (await fetch(`http://${node.api}/v1/nodes`)).json()) as { store: string }[]
    const mark = await readFile(join(await runtimeDirectory(), own?.store ?? ''), 'utf8')
    const { term, index } = JSON.parse(mark) as { term: number; index: number }
    assert.ok(term >= 1 && index >= 1, mark)
  })

  it('reports its labels', async (t) => {
    const node = await started(t)
    for (const path of ['local', 'nodes/n1']) {
      const response = (await (await fetch(`http://${node.api}/v1/${path}`)).json()) as { labels: unknown }
      assert.deepEqual(response.labels, { zone: 'a' }, path)
    }
  })

  it('refuses a write whose bytes do not match their checksum, and counts the response', async (t) => {
    const node = await started(t)
    const created = await fetch(`http://${node.api}/v1/volumes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'disk', sizeBytes: 16 * 2 ** 20, replicas: 1 }),
    })
    assert.equal(created.status, 201)
    const client = await RawPeer.join(node.address, clientHello())
    t.after(() => client.socket.terminate())
    client.send({
      type: 'write',
      request: 1,
      extent: extentId(1 as VolumeId, 0),
      epoch: 1 as Epoch,
      operation: { session: 1 as SessionId, op: 1, lowMark: 1, generation: 0 },
      offset: 0,
      checksums: [0],
      payload: new Uint8Array(4096).fill(7),
    })
    await until('the response arrives', async () => client.received.some(({ type }) => type === 'answer'))
    const response = client.received.find((message) => message.type === 'answer')
    assert.equal(response?.code, ERRORS.CHECKSUM.number)
    const metrics = await (await fetch(`http://${node.api}/metrics`)).text()
    assert.match(
      metrics,
      /ashlar_replication_operations_total\{volume="disk",operation="write",code="CHECKSUM"[^}]*\} 1/,
    )
  })

  it('ends when its store failed before the machines began', async (t) => {
    const { dataDir } = await optionsFor(t)
    const store = await openStoreOnDriver(new MemoryDriver(), {}, () => undefined)
    const failures: string[] = []
    const options = {
      ...{ dataDir, name: 'n1' as NodeName, version: '0.0.0', labels: {}, insecure: [], peers: [], expect: 1 },
      observer: silentObserver(),
      onFatal: (reason: string) => void failures.push(reason),
    }
    const node = new NodeRuntime(options, store, undefined, undefined)
    node.onStoreCompletion({ type: 'store-failed', reason: 'the disk failed' })
    const transport = {
      ...{ setDialed: () => undefined, send: () => 'down' as const, flush: () => undefined },
      ...{ closeLink: () => undefined, linkStatuses: () => [], close: async () => undefined },
    }
    node.begin(transport, '127.0.0.1:1', '127.0.0.1:2')
    await until('the failure is reported', async () => failures.length > 0)
    assert.deepEqual(failures, ['the store failed: the disk failed'])
    await node.stop()
  })
})

describe('pending calls', () => {
  const late = () => new AshlarError('TIMEOUT', 'late')

  it('settle by their response, by their deadline, or when all are ended', async () => {
    const responses = new PendingCalls<string>()
    const [resolved, expired, ended] = [
      responses.wait(1, 60_000, late),
      responses.wait(2, 1, late),
      responses.wait(3, 60_000, late),
    ]
    responses.resolve(1, 'yes')
    responses.resolve(4, 'unknown token')
    assert.equal(await resolved, 'yes')
    await assert.rejects(expired, { code: 'TIMEOUT' })
    responses.endAll(new AshlarError('CLOSED', 'over'))
    await assert.rejects(ended, { code: 'CLOSED' })
    responses.resolve(3, 'too late')
  })
})
