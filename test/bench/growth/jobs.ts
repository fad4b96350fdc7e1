import { type Bytes, InvariantError, KIB } from '@ashlar/proto'
import type { Job, JobFile, Settings } from '../jobs.ts'
import type { GrowthCase } from './axes.ts'

/** What a run does before it counts, seconds. */
const RAMP_SECONDS = 1
/** Bytes in flight while the working set is written, and the most operations. */
const FILL_BYTES: Bytes = 512 * KIB
const FILL_DEPTH = 128
/** Part of a working set with gaps that is written at random after it was written in order. */
const OVERWRITTEN_SHARE = 1 / 4

/**
 * Jobs of growth by name: those of the file, and the read that it has only the write of. Connections share the depth of
 * the queue, so that the load is the same for any number of them.
 */
export function jobOf(file: JobFile, name: string, growing: GrowthCase, workingSetBytes: Bytes): Job {
  const [from, rw] = name === 'randread-64k-qd16' ? ['randwrite-64k-qd16', 'randread'] : [name, undefined]
  const job = file.jobs.find((candidate) => candidate.name === from)
  if (job === undefined) throw new InvariantError(`no job is called ${from}`)
  const depth = Number(job.settings.get('iodepth')) / growing.connections
  const gap = strideOf(growing, workingSetBytes)
  return {
    ...job,
    name,
    kind: rw === undefined ? job.kind : 'read',
    settings: new Map([
      ...job.settings,
      ...(rw === undefined ? NONE : new Map([['rw', rw]])),
      ...(gap === undefined ? NONE : new Map([['blockalign', `${gap}`]])),
      ['ramp_time', `${RAMP_SECONDS}`],
      ['iodepth', `${Math.max(1, depth)}`],
      ['numjobs', `${growing.connections}`],
    ]),
  }
}

/**
 * Writes every block of the working set, at random, since a store that was filled in order is faster than it will ever
 * be again. With gaps fio cannot do each block once but in order: then a part of it is overwritten at random.
 */
export function fillsOf(growing: GrowthCase, workingSetBytes: Bytes): Job[] {
  const { blockSizeBytes } = growing
  const gap = strideOf(growing, workingSetBytes)
  const job = (name: string, settings: Settings): Job => ({
    name,
    kind: 'write',
    blockSizeBytes,
    settings: new Map([
      ['bs', `${blockSizeBytes / KIB}k`],
      ['iodepth', `${Math.min(FILL_DEPTH, FILL_BYTES / blockSizeBytes)}`],
      ['time_based', '0'],
      ['ramp_time', '0'],
      ...settings,
    ]),
  })
  if (gap === undefined) return [job('fill', new Map(Object.entries({ rw: 'randwrite', norandommap: '0' })))]
  const inOrder = { rw: `write:${gap - blockSizeBytes}`, io_size: `${workingSetBytes}` }
  const atRandom = {
    rw: 'randwrite',
    blockalign: `${gap}`,
    io_size: `${Math.ceil(workingSetBytes * OVERWRITTEN_SHARE)}`,
  }
  return [job('fill', new Map(Object.entries(inOrder))), job('overwrite', new Map(Object.entries(atRandom)))]
}

const NONE: Settings = new Map()

/** Bytes from one block of the working set to the next, in a volume that is larger than it. */
function strideOf({ sizeBytes, blockSizeBytes }: GrowthCase, workingSetBytes: Bytes): Bytes | undefined {
  if (sizeBytes === workingSetBytes) return undefined
  const blocks = workingSetBytes / blockSizeBytes
  return Math.floor(sizeBytes / blocks / blockSizeBytes) * blockSizeBytes
}
