import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MIB } from '@ashlar/proto'
import type { Disk } from './disk.ts'
import type { NetCluster } from './net-cluster.ts'
import type { Line, Wire } from './wire.ts'
import { VOLUME_BYTES } from './workload.ts'

const VOLUME = 'slow'
/** Writes of this size that are in flight at once: more than a line carries in the time of a lease. */
const PIECE_BYTES = MIB
const DEPTH = 16

export interface SlowLineOptions {
  /** The way out of every storage node. */
  readonly line: Line
  /** How long clients write before a store is lost, and while it is rebuilt. */
  readonly beforeMs: number
  readonly rebuildMs: number
}

export interface SlowLineReport {
  /** The node whose store was lost. */
  readonly rebuilt: string
  /** What happened between the moment at which lines became slow and the end of the rebuild, to each other node. */
  readonly leasesLost: Readonly<Record<string, number>>
  readonly becameLeader: Readonly<Record<string, number>>
  readonly copiedBytes: number
  readonly writes: number
  /** Of all writes, over slow lines. */
  readonly medianMs: number
  readonly longestMs: number
}

export interface SlowLineWorld {
  readonly cluster: NetCluster
  readonly wire: Wire
  readonly directory: string
  readonly log: (line: string) => void
}

/**
 * Loses a store that does not lead control, and lets it be rebuilt over slow lines while a client writes as much as
 * they carry.
 */
export async function rebuildOverSlowLines(world: SlowLineWorld, options: SlowLineOptions): Promise<SlowLineReport> {
  const { cluster, wire, directory, log } = world
  await cluster.createVolume(VOLUME)
  await cluster.healthy(60_000)
  const disk = await cluster.openLibrary(VOLUME, 'exclusive')
  await writeOnce(disk)
  const before = await countsOf(cluster)
  const rebuilt = [...before].findLast(([, { leader }]) => leader === 0)?.[0]
  if (rebuilt === undefined) throw new Error('every node led control')
  const survivors = cluster.nodes.filter((node) => node !== rebuilt)
  await wire.setLines(Object.fromEntries(cluster.nodes.map((node) => [node, options.line])))
  const writing = keepWriting(disk)
  await delay(options.beforeMs)
  await cluster.kill(rebuilt)
  await rm(join(directory, rebuilt), { recursive: true })
  log(`${rebuilt} lost its store`)
  cluster.startProcess(rebuilt)
  await delay(options.rebuildMs)
  const latencies = await writing.stop()
  const after = await countsOf(cluster, survivors)
  await wire.setLines({})
  await cluster.healthy(60_000)
  const end = await countsOf(cluster, survivors)
  await disk.close()
  const rise = (what: keyof Counts): Record<string, number> =>
    Object.fromEntries(survivors.map((node) => [node, value(after, node)[what] - value(before, node)[what]]))
  const copied = survivors.map((node) => value(end, node).copied - value(before, node).copied)
  return {
    rebuilt,
    leasesLost: rise('lost'),
    becameLeader: rise('leader'),
    copiedBytes: copied.reduce((sum, bytes) => sum + bytes, 0),
    writes: latencies.length,
    medianMs: Math.round(latencies.toSorted((a, b) => a - b)[latencies.length >> 1] ?? 0),
    longestMs: Math.round(Math.max(...latencies)),
  }
}

/** Gives every block content, so that there is something to rebuild. */
async function writeOnce(disk: Disk): Promise<void> {
  const bytes = new Uint8Array(PIECE_BYTES).fill(1)
  const offsets = Array.from({ length: VOLUME_BYTES / PIECE_BYTES }, (_, piece) => piece * PIECE_BYTES)
  for (let first = 0; first < offsets.length; first += DEPTH)
    await Promise.all(offsets.slice(first, first + DEPTH).map((offset) => disk.write(offset, bytes)))
}

function keepWriting(disk: Disk): { stop(): Promise<number[]> } {
  const latencies: number[] = []
  let stopped = false
  const work = async (worker: number): Promise<void> => {
    const bytes = new Uint8Array(PIECE_BYTES).fill(worker + 2)
    const pieces = VOLUME_BYTES / PIECE_BYTES
    for (let piece = worker; !stopped; piece += DEPTH) {
      const since = performance.now()
      await disk.write((piece % pieces) * PIECE_BYTES, bytes)
      latencies.push(performance.now() - since)
    }
  }
  const workers = Promise.all(Array.from({ length: DEPTH }, (_, worker) => work(worker)))
  // `stop` reports a failure; until then no caller waits for it.
  workers.catch(() => {})
  return {
    async stop() {
      stopped = true
      await workers
      return latencies
    },
  }
}

interface Counts {
  readonly lost: number
  readonly leader: number
  readonly copied: number
}

async function countsOf(cluster: NetCluster, nodes = cluster.nodes): Promise<Map<string, Counts>> {
  const all = nodes.map(async (node): Promise<[string, Counts]> => {
    const text = await cluster.metrics(node)
    const value = (name: string): number =>
      Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
    const became = /^ashlar_process_events_total\{[^}]*what="raft-leader"[^}]*\} (\d+)$/m.exec(text)?.[1]
    return [
      node,
      {
        lost: value('ashlar_control_leases_lost_total'),
        leader: Number(became ?? 0),
        copied: value('ashlar_recovery_copied_bytes_total'),
      },
    ]
  })
  return new Map(await Promise.all(all))
}

function value(counts: ReadonlyMap<string, Counts>, node: string): Counts {
  const found = counts.get(node)
  if (found === undefined) throw new Error(`nothing was counted at ${node}`)
  return found
}
