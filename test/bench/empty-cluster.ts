import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { AshlarError } from '@ashlar/proto'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import type { MeasuredProcess } from './processes.ts'

const HEALTHY_MS = 180_000

/** A cluster of `ashlar dev` without a volume, in a directory of its own below `directory`. */
export async function startEmptyCluster(directory: string, nodes: number): Promise<DevCluster> {
  const cluster = await DevCluster.start({ directory: await mkdtemp(join(directory, 'ashlar-bench-')), nodes })
  const removed = await cluster.cli(['volume', 'rm', 'demo'])
  if (removed.code === 0) return cluster
  await cluster.stop()
  throw new AshlarError('INTERNAL', `the volume demo stays: ${removed.stderr}`)
}

/** Its nodes, and its gateway by the name `gateway`. */
export function processesOf({ info }: DevCluster): MeasuredProcess[] {
  return [...info.nodes.map(({ id, pid }) => ({ name: id, pid })), { name: 'gateway', pid: info.gateway.pid }]
}

/** How many extents the cluster has, once every replica of all of them is in sync. */
export async function allInSync(cluster: DevCluster): Promise<number> {
  const inSync = async () => {
    const { state, extents } = await cluster.json<{ state: string; extents: { healthy: number } }>(['cluster', 'info'])
    return state === 'healthy' ? extents.healthy : undefined
  }
  return await eventually('every replica of every volume is in sync', inSync, HEALTHY_MS)
}
