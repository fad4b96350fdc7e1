import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../../kit/statistics.ts'
import { allInSync, processesOf, startEmptyCluster } from '../empty-cluster.ts'
import type { BenchOptions } from '../options.ts'
import { CpuSampler, type MeasuredProcess, readMemory, settle } from '../processes.ts'
import { Holder } from './holder.ts'
import type { IdleCluster, IdleProcess, IdleResult } from './report.ts'

const SETTLE_MS = 30_000
const SAMPLE_MS = 1000

/**
 * Watches a cluster without a volume, then the same one while one more process has `options.volumes` attached and asks
 * nothing of them. The difference is what idle volumes cost.
 */
export async function runIdle(
  options: BenchOptions,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<IdleResult> {
  const { nodes, volumes, seconds, sizeBytes } = options
  const cluster = await startEmptyCluster(options.directory, nodes)
  let holder: Holder | undefined
  try {
    const serving = processesOf(cluster)
    // Asked now as later: what a node needs to answer the API is not what volumes cost.
    await allInSync(cluster)
    log(`watching ${nodes} nodes without a volume for ${seconds} s`)
    const without = await watch(serving, seconds, signal)
    log(`attaching ${volumes} volumes`)
    const names = Array.from({ length: volumes }, (_, index) => `idle-${index + 1}`)
    const servers = cluster.info.nodes.map(({ peer }) => peer)
    holder = await Holder.start({ servers, volumes: names, sizeBytes, replicas: Math.min(3, nodes) }, signal)
    const extents = await allInSync(cluster)
    log(`watching them with ${volumes} volumes of ${extents} extents for ${seconds} s`)
    const withVolumes = await watch([...serving, { name: 'holder', pid: holder.pid }], seconds, signal)
    return { volumes, extents, seconds, without, with: withVolumes }
  } finally {
    await holder?.end()
    await cluster.stop()
  }
}

async function watch(
  processes: readonly MeasuredProcess[],
  seconds: number,
  signal: AbortSignal,
): Promise<IdleCluster> {
  await settle(processes, SETTLE_MS, signal)
  const cpu = new CpuSampler(processes)
  const memory = processes.map((): number[] => [])
  const fromMs = Date.now()
  cpu.start()
  try {
    while (Date.now() < fromMs + seconds * 1000) {
      await delay(SAMPLE_MS, undefined, { signal })
      for (const [index, process] of processes.entries())
        memory[index]?.push((await readMemory(process)).anonymousBytes)
    }
  } finally {
    await cpu.end()
  }
  const toMs = Date.now()
  const used = cpu.between(fromMs, toMs)
  const share = (cpuSeconds: number) => (cpuSeconds * 1000) / (toMs - fromMs)
  const own = used.processes.reduce((sum, each) => sum + each, 0)
  return {
    processes: processes.map(
      ({ name }, index): IdleProcess => ({
        name,
        cpuShare: share(used.processes[index] ?? 0),
        anonymousBytes: median(memory[index] ?? []),
      }),
    ),
    otherProcessors: share(Math.max(0, used.machine - own)),
  }
}
