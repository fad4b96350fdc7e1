import { connect } from '@ashlar/client'
import type { Bytes } from '@ashlar/proto'
import type { DevCluster } from '../../kit/dev-cluster.ts'
import { allInSync, processesOf, startEmptyCluster } from '../empty-cluster.ts'
import type { JobFile } from '../jobs.ts'
import { type JobRun, type MeasureOptions, measureJob, summarize } from '../measure.ts'
import type { BenchOptions } from '../options.ts'
import type { Subject } from '../subject.ts'
import { AXIS_NAMES, type Axis, axesOf, type GrowthCase, IDLE_VOLUME_BYTES } from './axes.ts'
import { fillsOf, jobOf } from './jobs.ts'
import { type GrowthPoint, pointOf } from './points.ts'
import { pointLine } from './report.ts'

const VOLUME = 'growing'
/** Shorter than between other jobs: there are many cases, and all are treated alike. */
const SETTLE_MS = 10_000

/**
 * Measures the axes that `options.names` names, or all: each case on a cluster of its own, which holds nothing but its
 * volumes and whose loaded volume was written at random once. `options.sizeBytes` is the working set.
 */
export async function runGrowth(
  file: JobFile,
  options: BenchOptions,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<GrowthPoint[]> {
  const axes = axesOf(options.sizeBytes)
  const points: GrowthPoint[] = []
  for (const name of AXIS_NAMES) {
    if (options.names.length > 0 && !options.names.includes(name)) continue
    for (const growing of axes[name].cases) {
      const measured = await measureCase(file, axes[name], growing, options, signal)
      for (const { result, extents } of measured) {
        const point = pointOf(result, { axis: name, label: growing.label, extents })
        points.push(point)
        log(pointLine(point))
      }
    }
  }
  return points
}

async function measureCase(
  file: JobFile,
  { jobs }: Axis,
  growing: GrowthCase,
  options: BenchOptions,
  signal: AbortSignal,
) {
  const cluster = await startEmptyCluster(options.directory, growing.nodes)
  try {
    await createVolumes(cluster, growing)
    const extents = await allInSync(cluster)
    const subject = subjectOf(cluster)
    const measure: MeasureOptions = {
      ...options,
      sizeBytes: growing.sizeBytes,
      settleMs: SETTLE_MS,
      global: file.global,
      signal,
    }
    for (const fill of fillsOf(growing, options.sizeBytes)) await measureJob(subject, fill, measure)
    const results = []
    for (const name of jobs) {
      const job = jobOf(file, name, growing, options.sizeBytes)
      const runs: JobRun[] = []
      for (let repeat = 0; repeat < options.repeats; repeat++) runs.push(await measureJob(subject, job, measure))
      results.push({ result: summarize(subject.name, name, runs), extents })
    }
    return results
  } finally {
    await cluster.stop()
  }
}

async function createVolumes(cluster: DevCluster, growing: GrowthCase): Promise<void> {
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer) })
  const { replicas, sizeBytes, blockSizeBytes, extentSizeBytes } = growing
  const extents = extentSizeBytes === undefined ? {} : { extentSizeBytes }
  await client.admin.create({ name: VOLUME, sizeBytes, blockSizeBytes, replicas, ...extents })
  for (let number = 1; number <= growing.idleVolumes; number++) {
    const sizeBytes: Bytes = IDLE_VOLUME_BYTES
    await client.admin.create({ name: `idle-${number}`, sizeBytes, replicas })
  }
}

function subjectOf(cluster: DevCluster): Subject {
  const { host } = new URL(cluster.nbdUri)
  return {
    name: 'ashlar',
    fio: new Map([
      ['ioengine', 'nbd'],
      ['uri', `nbd://${host}/${VOLUME}`],
    ]),
    fioEnvironment: {},
    processes: processesOf(cluster),
    stop: () => cluster.stop(),
  }
}
