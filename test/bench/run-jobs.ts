import { type AshlarSubject, startAshlar } from './ashlar.ts'
import { requireCeph, startCeph } from './ceph.ts'
import { type Job, type JobFile, OVERWRITE } from './jobs.ts'
import { type JobResult, type JobRun, type MeasureOptions, measureJob, summarize } from './measure.ts'
import type { BenchOptions } from './options.ts'
import type { MeasuredProcess } from './processes.ts'
import { runLine } from './report.ts'
import { withAndWithoutScrub } from './scrubbing.ts'
import type { Subject } from './subject.ts'
import { withAndWithoutUpkeep } from './upkeep/index.ts'

export interface JobsOutcome {
  readonly results: readonly JobResult[]
  /** Processes of Ashlar, which have ended by now: their profiles are named by these. */
  readonly processes: readonly MeasuredProcess[]
}

/**
 * Starts the subjects, prepares their devices, and runs every job on each in turn (A B A B), so that what the machine
 * does meanwhile meets all of them. `log` gets a line for people after each run. All subjects are stopped at the end.
 */
export async function runJobs(
  file: JobFile,
  options: BenchOptions,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<JobsOutcome> {
  if (options.against === 'ceph') await requireCeph(signal)
  const measure: MeasureOptions = { ...options, global: file.global, signal }
  const subjects: Subject[] = []
  const results: JobResult[] = []
  try {
    log('starting ashlar')
    const ashlar = await startAshlar(options)
    subjects.push(...(await subjectsOf(ashlar, options, signal)))
    if (typeof options.against === 'object') {
      log(`starting ashlar with ${options.against.nodeFlags.join(' ')}`)
      subjects.push(await startAshlar(options, options.against.nodeFlags))
    }
    if (options.against === 'ceph') {
      log('starting ceph')
      subjects.push(await startCeph(options, signal))
    }
    const run = async (job: Job, repeats: number, measured: readonly Subject[] = subjects) => {
      const runs = new Map<Subject, JobRun[]>(measured.map((subject) => [subject, []]))
      for (let repeat = 0; repeat < repeats; repeat++) {
        for (const [subject, done] of runs) {
          await subject.prepare?.()
          const result = await measureJob(subject, job, measure)
          done.push(result)
          log(runLine(subject.name, job, result))
        }
      }
      for (const [subject, done] of runs) results.push(summarize(subject.name, job.name, done))
    }
    const jobs = chosen(file, options)
    const fill = file.jobs.find(({ name }) => name === 'fill')
    const devices = subjects.filter(({ sharesDevice }) => sharesDevice !== true)
    if (fill !== undefined) await run(fill, 1, devices)
    if (options.overwriteSeconds > 0 && jobs.some(({ kind }) => kind !== 'read')) await run(OVERWRITE, 1, devices)
    for (const job of jobs) await run(job, options.repeats)
    return { results, processes: ashlar.processes }
  } finally {
    for (const subject of subjects) await subject.stop()
  }
}

/** The cluster as it is, or as two subjects. Stops it when it cannot be made two. */
async function subjectsOf(ashlar: AshlarSubject, options: BenchOptions, signal: AbortSignal): Promise<Subject[]> {
  try {
    if (options.against === 'upkeep') return await withAndWithoutUpkeep(ashlar, options.sizeBytes, signal)
    const apis = ashlar.cluster.info.nodes.map(({ api }) => api)
    return options.against === 'scrub' ? withAndWithoutScrub(ashlar, apis) : [ashlar]
  } catch (error) {
    await ashlar.stop()
    throw error
  }
}

function chosen(file: JobFile, { names }: BenchOptions): Job[] {
  const all = file.jobs.filter(({ name }) => name !== 'fill')
  if (names.length === 0) return all
  return names.flatMap((name) => all.find((job) => job.name === name) ?? [])
}
