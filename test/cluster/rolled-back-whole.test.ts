import assert from 'node:assert/strict'
import { cp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'

type Node = DevCluster['info']['nodes'][number]

/**
 * Puts the whole data directory of a node back to a copy that is made first. Between the two its process runs until its
 * own map counts it as registered again, which is an entry of its log that the copy lacks.
 */
async function rollBack(cluster: DevCluster, { id, dataDir, api }: Node): Promise<void> {
  const before = (await startCounter(cluster, id, api)) ?? 0
  await cluster.kill(id)
  await cp(dataDir, `${dataDir}-before`, { recursive: true })
  cluster.start(id)
  await eventually('its log has an entry that the copy lacks', async () =>
    ((await startCounter(cluster, id, api)) ?? 0) > before ? true : undefined,
  )
  await cluster.healthy('demo', 60_000, api)
  await cluster.kill(id)
  await rename(dataDir, `${dataDir}-newer`)
  await rename(`${dataDir}-before`, dataDir)
}

/** How often the map of the node behind `server` says that the store of node `id` was opened. */
async function startCounter(cluster: DevCluster, id: string, server: string): Promise<number | undefined> {
  const nodes = await cluster.json<{ id: string; startCounter: number }[]>(['node', 'ls'], server)
  return nodes.find((node) => node.id === id)?.startCounter
}

async function recovering(api: string): Promise<boolean | undefined> {
  const response = await fetch(`${api}/v1/local`).catch(() => undefined)
  if (response?.ok !== true) return undefined
  return ((await response.json()) as { control: { recovering: boolean } | null }).control?.recovering
}

test('a voter whose whole data directory was rolled back on the same boot gives no vote until its log is filled', {
  timeout: longest(120_000),
}, async () => {
  const cluster = await DevCluster.start({ size: '64Mi' })
  try {
    const { leader } = await cluster.json<{ leader: string }>(['cluster', 'info'])
    const leading = cluster.info.nodes.find(({ id }) => id === leader)
    const victim = cluster.info.nodes.find(({ id }) => id !== leader)
    assert.ok(leading !== undefined && victim !== undefined)
    await rollBack(cluster, victim)

    // With the leader down too the remaining voter would lead by the vote of the one that forgot.
    await cluster.kill(leading.id)
    cluster.start(victim.id)
    await eventually('it says that it lost its log', async () => ((await recovering(victim.api)) ? true : undefined))

    cluster.start(leading.id)
    await eventually('it has its log again', async () => ((await recovering(victim.api)) === false ? true : undefined))
  } finally {
    await cluster.stop()
  }
})

test('a lone voter whose whole data directory was rolled back on the same boot does not start, until the map is rebuilt', {
  timeout: longest(120_000),
}, async () => {
  const cluster = await DevCluster.start({ nodes: 1, size: '64Mi' })
  try {
    const [node] = cluster.info.nodes
    assert.ok(node !== undefined)
    await rollBack(cluster, node)
    cluster.start(node.id)
    const log = join(cluster.directory, 'logs', `${node.id}-again.log`)
    const refusal = /the control log in \S+ is an old copy: this store wrote entry \d+ of term \d+, according to \S+/
    await eventually('it refuses to start', async () => (refusal.test(await readFile(log, 'utf8')) ? true : undefined))
    await cluster.ended(node.id)

    // The newer directory is as good as ever, and the older one is when an operator accepts it.
    await rename(node.dataDir, `${node.dataDir}-older`)
    await rename(`${node.dataDir}-newer`, node.dataDir)
    cluster.start(node.id)
    await cluster.healthy('demo', 60_000, node.api)
    await cluster.kill(node.id)
    await rm(node.dataDir, { recursive: true })
    await rename(`${node.dataDir}-older`, node.dataDir)
    const done = await cluster.cli(['cluster', 'recover', '--from', node.dataDir, '--yes'])
    assert.equal(done.code, 0, done.stderr)
    cluster.start(node.id)
    await cluster.healthy('demo', 60_000, node.api)
  } finally {
    await cluster.stop()
  }
})
