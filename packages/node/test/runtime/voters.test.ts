import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeName } from '@ashlar/proto'
import { type Node, type NodeOptions, Observer, startNode } from '../../src/index.ts'
import { controlLogDirectory } from '../../src/storage/index.ts'

const DEADLINE_MS = 20_000

async function until<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const result = await attempt()
    if (result !== undefined) return result
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${DEADLINE_MS} ms`)
    await delay(20)
  }
}

/** A port that was free a moment ago: peers must know each other's before they start. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Three nodes of one process over loopback, each of which votes unless an option says otherwise. */
class ThreeVoters {
  readonly options: NodeOptions[] = []
  readonly running = new Map<number, Node>()

  static async found(t: TestContext, voterCount = 3): Promise<ThreeVoters> {
    const cluster = new ThreeVoters()
    const root = await mkdtemp(join(tmpdir(), 'ashlar-voters-'))
    const ports = [await freePort(), await freePort(), await freePort()]
    const peers = ports.map((port) => `127.0.0.1:${port}`).sort()
    for (const [index, peer] of peers.entries()) {
      const name = `n${index + 1}` as NodeName
      cluster.options.push({
        dataDir: join(root, name),
        listen: { host: '127.0.0.1', port: Number(peer.split(':')[1]) },
        advertise: undefined,
        api: '127.0.0.1:0',
        name,
        labels: {},
        peers,
        expect: 3,
        voterCount,
        observer: new Observer({ level: 'silent', name, version: '0.0.0' }),
        version: '0.0.0',
        insecure: [],
        ballastBytes: 0,
        onFatal: (reason, cause) => assert.fail(`${name}: ${reason}: ${cause}`),
      })
    }
    t.after(async () => {
      for (const node of cluster.running.values()) await node.stop()
      await rm(root, { recursive: true, force: true })
    })
    await Promise.all([0, 1, 2].map((index) => cluster.start(index)))
    return cluster
  }

  async start(index: number): Promise<void> {
    const options = this.options[index] as NodeOptions
    const observer = new Observer({ level: 'silent', name: options.name, version: '0.0.0' })
    this.running.set(index, await startNode({ ...options, observer }))
  }

  async stop(index: number): Promise<void> {
    const node = this.running.get(index)
    this.running.delete(index)
    await node?.stop()
  }

  /** A response of the API of any node, or undefined when no node responds with success. */
  async request(path: string, init?: RequestInit): Promise<Record<string, unknown> | undefined> {
    for (const { api } of this.running.values()) {
      const response = await fetch(`http://${api}${path}`, init)
      if (response.ok) return (await response.json()) as Record<string, unknown>
    }
    return undefined
  }

  async ready(): Promise<void> {
    for (const { api } of this.running.values())
      await until(`${api} is ready`, async () => ((await fetch(`http://${api}/readyz`)).ok ? true : undefined))
  }

  async createVolume(name: string): Promise<void> {
    const body = JSON.stringify({ name, sizeBytes: 2 ** 24, replicas: 1 })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    await until(`volume ${name} is made`, async () => await this.request('/v1/volumes', init))
  }

  async post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const [node] = this.running.values()
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const response = await fetch(`http://${node?.api}${path}`, init)
    const answer = (await response.json()) as Record<string, unknown>
    assert.equal(response.status, 200, JSON.stringify(answer))
    return answer
  }

  /** Members of control's log: name and role, sorted. */
  async members(): Promise<string[]> {
    const answer = (await this.request('/v1/control')) as { members: { node: string; role: string }[] } | undefined
    return (answer?.members ?? []).map(({ node, role }) => `${node} ${role}`).sort()
  }

  /** The directory of a node that does not run is lost. */
  async wipe(index: number): Promise<void> {
    await rm(this.options[index]?.dataDir ?? '', { recursive: true })
  }

  /** Place of the node that leads control. */
  async leader(): Promise<number> {
    const name = await until(
      'a leader is known',
      async () => (await this.request('/v1/cluster'))?.['leader'] ?? undefined,
    )
    return this.options.findIndex((options) => options.name === name)
  }
}

describe('a control log over three voters', { timeout: 120_000 }, () => {
  it('goes on without its leader, and comes back from all three being stopped', async (t) => {
    const cluster = await ThreeVoters.found(t)
    await cluster.ready()
    await cluster.createVolume('one')
    for (const { dataDir } of cluster.options) {
      const files = await readdir(controlLogDirectory(dataDir))
      assert.ok(files.includes('vote.0') && files.some((name) => name.endsWith('.log')), files.join())
    }
    const first = await cluster.leader()
    await cluster.stop(first)
    await cluster.createVolume('two')
    assert.notEqual(await cluster.leader(), first)
    await cluster.start(first)
    await cluster.ready()
    for (const index of [0, 1, 2]) await cluster.stop(index)
    await Promise.all([0, 1, 2].map((index) => cluster.start(index)))
    await cluster.ready()
    for (const name of ['one', 'two'])
      assert.ok(await until(`volume ${name}`, async () => await cluster.request(`/v1/volumes/${name}`)))
  })

  it('takes the new store of a node whose directory was lost for the old one, so that the next may be lost too', async (t) => {
    const cluster = await ThreeVoters.found(t)
    await cluster.ready()
    await cluster.createVolume('one')
    for (const lost of [0, 1, 2]) {
      await cluster.stop(lost)
      await cluster.wipe(lost)
      await cluster.start(lost)
      await until(`n${lost + 1} votes again`, async () => {
        const members = await cluster.members()
        const all = members.map((member) => member.split(' ')[0]).join()
        return all === 'n1,n2,n3' && members.every((member) => /leader|follower/.test(member)) ? true : undefined
      })
      await cluster.ready()
    }
    assert.ok(await cluster.request('/v1/volumes/one'))
  })

  it('that one voter founded grows to three, and then goes on without the first', async (t) => {
    const cluster = await ThreeVoters.found(t, 1)
    await cluster.ready()
    assert.deepEqual(await cluster.members(), ['n1 leader'])
    await cluster.createVolume('one')
    for (const node of ['n2', 'n3']) {
      await cluster.post('/v1/control/members', { change: 'add', node })
      await until(`${node} has caught up`, async () => {
        const body = JSON.stringify({ change: 'promote', node })
        const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
        return await cluster.request('/v1/control/members', init)
      })
    }
    assert.deepEqual(await cluster.members(), ['n1 leader', 'n2 follower', 'n3 follower'])
    await cluster.post('/v1/control/leader', { node: 'n3' })
    await until('n3 leads', async () => ((await cluster.leader()) === 2 ? true : undefined))
    await cluster.stop(0)
    await cluster.createVolume('two')
    const removed = await cluster.post('/v1/control/members', { change: 'remove', node: 'n1' })
    assert.equal((removed['members'] as unknown[]).length, 2)
    await cluster.start(0)
    await cluster.ready()
    assert.deepEqual(
      (await cluster.members()).map((member) => member.slice(0, 2)),
      ['n2', 'n3'],
    )
  })

  it('hands leadership over when its leader stops, and no stopping node waits for one that stopped before', async (t) => {
    const cluster = await ThreeVoters.found(t)
    await cluster.ready()
    await cluster.createVolume('one')
    const first = await cluster.leader()
    await cluster.stop(first)
    const since = performance.now()
    await cluster.createVolume('two')
    assert.notEqual(await cluster.leader(), first)
    t.diagnostic(`the next leader took ${(performance.now() - since).toFixed(0)} ms to make a volume`)
    const others = [0, 1, 2].filter((index) => index !== first)
    const stopping = performance.now()
    await Promise.all(others.map((index) => cluster.stop(index)))
    const stoppedMs = performance.now() - stopping
    assert.ok(stoppedMs < 5500, `two of two stopped within ${stoppedMs.toFixed(0)} ms`)
  })
})
