import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { longest, Watch } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

const BLOCK = 4096
const BLOCKS = 256

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '64Mi' })
  const created = await cluster.cli(['volume', 'create', 'outage', '--size', '64Mi'])
  assert.equal(created.code, 0, created.stderr)
})
after(() => cluster?.stop())

/**
 * Writes stamped blocks until it is stopped, and remembers for each block the newest stamp that was acknowledged. `begun` is
 * called with the first of them.
 */
async function writeUntil(
  stop: AbortSignal,
  begun: () => void,
): Promise<Map<number, { acknowledged: Uint8Array; issued: Uint8Array[] }>> {
  const blocks = new Map<number, { acknowledged: Uint8Array; issued: Uint8Array[] }>()
  await using client = await connect({ servers: cluster.info.nodes.map((node) => node.peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('outage')
  const writer = async (lane: number) => {
    for (let round = 0; !stop.aborted; round++) {
      const block = (round * 8 + lane) % BLOCKS
      const bytes = new Uint8Array(randomBytes(BLOCK))
      const entry = blocks.get(block) ?? { acknowledged: new Uint8Array(BLOCK), issued: [] }
      blocks.set(block, entry)
      entry.issued = [bytes]
      await volume.write(block * BLOCK, bytes)
      entry.acknowledged = bytes
      begun()
      entry.issued = []
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, lane) => writer(lane)))
  return blocks
}

async function verify(blocks: Map<number, { acknowledged: Uint8Array; issued: Uint8Array[] }>): Promise<void> {
  await using client = await connect({ servers: cluster.info.nodes.map((node) => node.peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('outage', { mode: 'read-only' })
  for (const [block, { acknowledged, issued }] of blocks) {
    const bytes = await volume.read(block * BLOCK, BLOCK)
    const known = [acknowledged, ...issued].some((candidate) => Buffer.compare(candidate, bytes) === 0)
    assert.ok(known, `block ${block} holds neither what was acknowledged last nor what was on its way`)
  }
}

test('all nodes killed at once under load: every acknowledged write is there after the restart', {
  timeout: longest(180_000),
}, async () => {
  const stop = new AbortController()
  const begun = Promise.withResolvers<void>()
  const writing = writeUntil(stop.signal, begun.resolve)
  const ids = cluster.info.nodes.map((node) => node.id)
  await Promise.race([begun.promise, writing])
  for (let round = 0; round < 3; round++) {
    await Promise.all(ids.map((id) => cluster.kill(id)))
    for (const id of ids) cluster.start(id)
    await cluster.healthy('outage', 60_000)
  }
  stop.abort()
  await verify(await writing)
  const check = await cluster.cli(['cluster', 'check', '--deep'])
  assert.equal(check.code, 0, check.stdout + check.stderr)
})

test('the node that leads control killed: another one leads, and writes go on without it', {
  timeout: longest(120_000),
}, async (t) => {
  const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
  await using client = await connect({ servers: cluster.info.nodes.map((node) => node.peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('outage')
  await volume.write(0, new Uint8Array(BLOCK).fill(1))
  await cluster.kill(leader)
  using machine = new Watch()
  await volume.write(0, new Uint8Array(BLOCK).fill(2))
  const waitedMs = machine.elapsedMs
  t.diagnostic(`a write waited ${waitedMs.toFixed(0)} ms`)
  machine.assertBelow(10_000, waitedMs, 'a write')
  assert.equal((await volume.read(0, 1))[0], 2)
  const server = cluster.info.nodes.find((node) => node.id !== leader)?.api ?? ''
  const next = await eventually('another node leads', async () => {
    const info = await cluster.json<{ leader: string | null }>(['cluster', 'info'], server)
    return info.leader === null || info.leader === leader ? undefined : info.leader
  })
  assert.notEqual(next, leader)
  cluster.start(leader)
  await cluster.healthy('outage', 60_000, server)
})

test('the node that bootstrapped the cluster rejoins it as a new replica after its store is wiped', {
  timeout: longest(120_000),
}, async () => {
  const before = await cluster.json<{ cluster: string }>(['cluster', 'info'])
  // The address that sorts first founded the cluster.
  const victim = cluster.node('n1')
  const server = cluster.node('n2').api
  const file = join(cluster.directory, 'image.raw')
  await writeFile(file, randomBytes(8 * 1024 * 1024))
  assert.equal((await cluster.cli(['volume', 'import', file, 'outage'])).code, 0)
  const [old, ...others] = await nodesNamed(server, victim.id)
  assert.ok(old !== undefined && others.length === 0)
  const replicas = (await cluster.extents('outage', server)).length + (await cluster.extents('demo', server)).length
  await cluster.kill(victim.id)
  await rm(victim.dataDir, { recursive: true, force: true })
  cluster.start(victim.id)
  // Of the new store and of no other: until its lease has run out the old one may still be primary, and so in sync.
  await eventually('another store is in sync in every place of the old one', async () => {
    const [store] = await nodesNamed(server, victim.id)
    return store !== undefined && store.store !== old.store && store.inSync === replicas ? true : undefined
  })
  const after = await cluster.json<{ cluster: string }>(['cluster', 'info'])
  assert.equal(after.cluster, before.cluster, 'still the one cluster')
  const check = await cluster.cli(['cluster', 'check', '--deep'])
  assert.equal(check.code, 0, check.stdout + check.stderr)
  const copy = join(cluster.directory, 'copy.raw')
  assert.equal((await cluster.cli(['volume', 'export', 'outage', copy])).code, 0)
  const [written, read] = [await readFile(file), await readFile(copy)]
  assert.ok(written.equals(read.subarray(0, written.length)))
})

/** Stores that are reached at a node of this name. */
async function nodesNamed(server: string, name: string): Promise<NodeLine[]> {
  const nodes = (await (await fetch(`${server}/v1/nodes`)).json()) as NodeLine[]
  return nodes.filter(({ id, address }) => id === name && address !== '')
}

interface NodeLine {
  readonly id: string
  readonly store: string
  readonly address: string
  /** Extents of which it is in sync. */
  readonly inSync: number
}
