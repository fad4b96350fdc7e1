import { median } from '../../kit/statistics.ts'

/** What is measured over wires that delay every packet, one operation of one block at a time. */
export interface DelayOptions {
  /** Delays of one direction of every wire, milliseconds; measured in turns, so that what disturbs one disturbs all. */
  readonly oneWayMs: readonly number[]
  readonly turns: number
  /** Writes of a turn, and reads, are at least so many … */
  readonly operations: number
  /** … and take at least so long each, milliseconds. */
  readonly turnMs: number
}

/** What a cluster did behind one delay. */
export interface DelayPoint {
  readonly oneWayMs: number
  /** Latencies of each turn, milliseconds. */
  readonly writes: number[][]
  readonly reads: number[][]
}

export interface DelayReport {
  readonly points: readonly DelayPoint[]
  /**
   * Batches that each node synced while writes were measured, all together; those of checkpoints are not among them.
   */
  readonly batches: Record<string, number>
}

/** Batches on stable storage of one node by its metrics, less those of checkpoints, which are no part of a write. */
export function batchesOf(metrics: string): number {
  const value = (name: string): number => {
    const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1]
    if (found === undefined) throw new Error(`the node exposes no ${name}`)
    return Number(found)
  }
  return value('ashlar_storage_sync_seconds_count') - value('ashlar_storage_checkpoints_total')
}

/**
 * Round trips that an operation waits for, one after the other: how much longer the middle one takes behind the longer
 * delay, by how much longer a round trip takes there. What disks and processors need is the same behind both, and falls
 * out. Of each delay the calmest turn counts: other load of the machine only adds to a turn, and a round trip that most
 * operations wait for is in the middle of every one.
 */
export function roundTrips(near: DelayPoint, far: DelayPoint, operations: 'writes' | 'reads'): number {
  const calmest = (point: DelayPoint): number => Math.min(...point[operations].map(median))
  return (calmest(far) - calmest(near)) / (2 * (far.oneWayMs - near.oneWayMs))
}
