import type { Bytes } from '@ashlar/proto'
import type { JobResult } from '../measure.ts'
import type { AxisName } from './axes.ts'

/** What one job did in one case: medians over its repeats. */
export interface GrowthPoint {
  readonly axis: AxisName
  /** Where on the axis. */
  readonly label: string
  readonly job: string
  readonly operationsPerSecond: number
  readonly p99Us: number
  /** CPU of nodes and gateway for one operation. */
  readonly cpuUs: number
  /** Of all nodes together, after the job. */
  readonly nodeAnonymousBytes: Bytes
  readonly gatewayAnonymousBytes: Bytes
  readonly nodes: number
  readonly extents: number
  /** Processors that were busy with other work. */
  readonly otherProcessors: number
}

export function pointOf(
  { job, median, processes }: JobResult,
  at: Pick<GrowthPoint, 'axis' | 'label' | 'extents'>,
): GrowthPoint {
  const nodes = processes.filter(({ name }) => name !== 'gateway')
  const { operationsPerSecond, p99Us, cpuUs, otherProcessors } = median
  const bytes = (of: JobResult['processes']) => of.reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0)
  return {
    ...at,
    ...{ job, operationsPerSecond, p99Us, cpuUs, otherProcessors },
    nodes: nodes.length,
    nodeAnonymousBytes: bytes(nodes),
    gatewayAnonymousBytes: bytes(processes.filter(({ name }) => name === 'gateway')),
  }
}

/** The largest case of an axis by its smallest, for one job. */
export interface Growth {
  readonly axis: AxisName
  readonly job: string
  readonly from: GrowthPoint
  readonly to: GrowthPoint
  /** CPU of an operation. */
  readonly cpu: number
  /** Time of an operation: the inverse of the rate. */
  readonly time: number
  /** Memory of all nodes. */
  readonly memory: number
}

/** For each axis and job with two points or more, in the order of the points. */
export function growthsOf(points: readonly GrowthPoint[]): Growth[] {
  const lines = new Map<string, GrowthPoint[]>()
  for (const point of points) {
    const key = `${point.axis} ${point.job}`
    lines.set(key, [...(lines.get(key) ?? []), point])
  }
  return [...lines.values()].flatMap((line) => {
    const [from, to] = [line[0], line.at(-1)]
    if (from === undefined || to === undefined || from === to) return []
    return [
      {
        ...{ axis: from.axis, job: from.job, from, to },
        cpu: to.cpuUs / from.cpuUs,
        time: from.operationsPerSecond / to.operationsPerSecond,
        memory: to.nodeAnonymousBytes / from.nodeAnonymousBytes,
      },
    ]
  })
}
