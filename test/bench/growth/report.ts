import { MIB } from '@ashlar/proto'
import { layOutTable, milliseconds, whole } from '../report.ts'
import { type GrowthPoint, growthsOf } from './points.ts'

/** No cost of an operation may be more than this many times that of the smallest case, or it takes a reason. */
const BOUND = 1.2

export function pointTable(points: readonly GrowthPoint[]): string {
  const rows = points.map((point) => [
    ...[point.axis, point.label, point.job, `${point.nodes}`, whole(point.extents)],
    ...[whole(point.operationsPerSecond), milliseconds(point.p99Us), whole(point.cpuUs)],
    ...[whole(point.nodeAnonymousBytes / MIB), whole(point.gatewayAnonymousBytes / MIB)],
    point.otherProcessors.toFixed(1),
  ])
  const header = ['AXIS', 'CASE', 'JOB', 'NODES', 'EXTENTS', 'IOPS', 'P99 ms', 'CPU us', 'NODES MiB', 'GATEWAY MiB']
  return layOutTable([...header, 'OTHERS'], rows)
}

/**
 * How each cost grew from the smallest case to the largest; OVER where CPU or time of an operation grew by more than a
 * fifth.
 */
export function growthTable(points: readonly GrowthPoint[]): string {
  const rows = growthsOf(points).map(({ axis, job, from, to, cpu, time, memory }) => {
    const over = [...(cpu > BOUND ? ['CPU'] : []), ...(time > BOUND ? ['TIME'] : [])]
    return [
      ...[axis, `${from.label} to ${to.label}`, job],
      ...[`${whole(from.cpuUs)} to ${whole(to.cpuUs)}`, cpu.toFixed(2), time.toFixed(2), memory.toFixed(2)],
      over.length === 0 ? '' : over.join(', '),
    ]
  })
  return layOutTable(['AXIS', 'CASES', 'JOB', 'CPU us', 'CPU', 'TIME', 'MEMORY', 'OVER'], rows)
}

/** One point, as it is measured. */
export function pointLine(point: GrowthPoint): string {
  const { axis, label, job, operationsPerSecond, cpuUs, otherProcessors } = point
  const reached = `${whole(operationsPerSecond)} IOPS, ${whole(cpuUs)} us CPU an operation`
  return `${axis} ${label} ${job}: ${reached}; others kept ${otherProcessors.toFixed(1)} processors busy`
}
