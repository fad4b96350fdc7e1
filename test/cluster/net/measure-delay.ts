import { batchesOf, type DelayOptions, type DelayPoint, type DelayReport } from './delay.ts'
import type { Disk } from './disk.ts'
import type { NetCluster } from './net-cluster.ts'
import type { Wire } from './wire.ts'
import { BLOCK_BYTES, EXTENT_BYTES } from './workload.ts'

const VOLUME = 'delayed'
/** Operations after each change of delay that do not count: connections get used to it. */
const WARM_UP = 3
const BLOCKS = EXTENT_BYTES / BLOCK_BYTES
/** Has no divisor in common with the number of blocks, so that a walk in such steps visits all of them. */
const STRIDE = 1009

export interface DelayWorld {
  readonly cluster: NetCluster
  readonly wire: Wire
  /** Ends the measuring early, by rejecting. */
  readonly signal: AbortSignal
}

/** Measures writes and reads of whole blocks of one extent, each after the one before was answered, behind each delay. */
export async function measureDelay({ cluster, wire, signal }: DelayWorld, options: DelayOptions): Promise<DelayReport> {
  await cluster.createVolume(VOLUME)
  await cluster.healthy(60_000)
  const disk = await cluster.openLibrary(VOLUME, 'exclusive')
  const batches = Object.fromEntries(cluster.nodes.map((node) => [node, 0]))
  const points = options.oneWayMs.map((oneWayMs): DelayPoint => ({ oneWayMs, writes: [], reads: [] }))
  const { write, read } = walkOf(disk)
  const measure = async (operation: () => Promise<void>): Promise<number[]> => {
    const latencies: number[] = []
    const end = performance.now() + options.turnMs
    while (latencies.length < options.operations || performance.now() < end) {
      signal.throwIfAborted()
      const since = performance.now()
      await operation()
      latencies.push(performance.now() - since)
    }
    return latencies
  }
  for (let turn = 0; turn < options.turns; turn++) {
    for (const { oneWayMs, writes, reads } of points) {
      const heal = await wire.add(wire.everywhere({ delayMs: oneWayMs }))
      for (let number = 0; number < WARM_UP; number++) await write()
      const before = await batchesOfAll(cluster)
      writes.push(await measure(write))
      const after = await batchesOfAll(cluster)
      for (const [node, count] of after) batches[node] = (batches[node] ?? 0) + count - (before.get(node) ?? 0)
      reads.push(await measure(read))
      await heal()
    }
  }
  await disk.close()
  return { points, batches }
}

/** Writes go over the blocks of an extent in an order that is no neighbour's; reads follow them. */
function walkOf(disk: Disk): { write(): Promise<void>; read(): Promise<void> } {
  const bytes = new Uint8Array(BLOCK_BYTES)
  const offsetOf = (step: number): number => ((step * STRIDE) % BLOCKS) * BLOCK_BYTES
  let written = 0
  let read = 0
  return {
    async write() {
      bytes.fill((written % 255) + 1)
      await disk.write(offsetOf(written++), bytes)
    },
    async read() {
      const step = read++ % written
      const [first] = await disk.read(offsetOf(step), BLOCK_BYTES)
      if (first === 0) throw new Error(`block ${step} of the walk was written and reads as zeroes`)
    },
  }
}

async function batchesOfAll(cluster: NetCluster): Promise<Map<string, number>> {
  const metrics = cluster.nodes.map(async (node) => [node, batchesOf(await cluster.metrics(node))] as const)
  return new Map(await Promise.all(metrics))
}
