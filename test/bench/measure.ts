import { median, medianOfEach, spread } from '../kit/statistics.ts'
import { type FioRun, runFio } from './fio.ts'
import { type Job, OVERWRITE, type Settings } from './jobs.ts'
import { CpuSampler, type MeasuredProcess, type Memory, readMemory, settle } from './processes.ts'
import type { Beside, Subject } from './subject.ts'
import type { Coverage } from './upkeep/coverage.ts'

/** Figures of one run, or the medians of several. */
export interface Figures extends Record<string, number> {
  readonly operationsPerSecond: number
  readonly bytesPerSecond: number
  /** Operations in the worst whole second; of several runs the worst one. */
  readonly worstSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** CPU of all processes of the subject for each operation. */
  readonly cpuUs: number
  /** CPU of fio for each operation. */
  readonly fioCpuUs: number
  /**
   * Processors that were busy with neither the subject nor fio: what disturbed the figure, and the kernel's own
   * threads.
   */
  readonly otherProcessors: number
}

export interface ProcessFigures extends Memory {
  readonly name: string
  /** CPU for each operation. */
  readonly cpuUs: number
}

export interface JobRun {
  readonly figures: Figures
  /** Memory is that at the end of the run. */
  readonly processes: readonly ProcessFigures[]
  readonly seconds: readonly number[]
  /** Wall clock of what was measured, milliseconds. */
  readonly window: { readonly fromMs: number; readonly toMs: number }
  readonly operations: number
  /** What went on beside it, where something was to. */
  readonly beside?: Coverage
}

export interface JobResult {
  readonly job: string
  readonly subject: Subject['name']
  readonly median: Figures
  /** Largest distance between the rates of two runs, as a share of the median. */
  readonly spread: number
  readonly processes: readonly ProcessFigures[]
  readonly runs: readonly JobRun[]
}

export interface MeasureOptions {
  readonly global: Settings
  readonly sizeBytes: number
  readonly seconds: number
  readonly overwriteSeconds: number
  /** Longest wait until the processes are quiet. Default 30 s. */
  readonly settleMs?: number
  readonly signal: AbortSignal
}

const SETTLE_MS = 30_000
/** Longest fill: 4 GiB at 5 MB/s. */
const FILL_MS = 900_000
/** What fio may take beside what it measures. */
const FIO_EXTRA_MS = 90_000

/** Runs a job once, after the subject has done what the job before it left to do. */
export async function measureJob(subject: Subject, job: Job, options: MeasureOptions): Promise<JobRun> {
  await settle(subject.processes, options.settleMs ?? SETTLE_MS, options.signal)
  const beside = await subject.beginBeside?.()
  // Only now: what goes on beside may have restarted one of them.
  const { processes } = subject
  const sampler = new CpuSampler(processes)
  sampler.start()
  let fio: FioRun
  try {
    fio = await runFio(job, {
      global: options.global,
      overrides: new Map([
        ...subject.fio,
        ['size', `${options.sizeBytes}`],
        ['runtime', `${job === OVERWRITE ? options.overwriteSeconds : options.seconds}`],
      ]),
      environment: subject.fioEnvironment,
      timeoutMs: longestMs(job, options),
      signal: options.signal,
    })
  } finally {
    await sampler.end()
    await beside?.end()
  }
  return await judge(processes, fio, sampler, beside)
}

function longestMs(job: Job, { seconds, overwriteSeconds }: MeasureOptions): number {
  if (job === OVERWRITE) return overwriteSeconds * 1000 + FIO_EXTRA_MS
  return job.settings.get('time_based') === '0' ? FILL_MS : seconds * 1000 + FIO_EXTRA_MS
}

async function judge(
  processes: readonly MeasuredProcess[],
  fio: FioRun,
  sampler: CpuSampler,
  beside: Beside | undefined,
): Promise<JobRun> {
  const window = { fromMs: fio.endedAtMs - fio.runtimeSeconds * 1000, toMs: fio.endedAtMs }
  const cpu = sampler.between(window.fromMs, window.toMs)
  const memory = await Promise.all(processes.map(readMemory))
  const perOperation = (cpuSeconds: number) => (cpuSeconds * 1e6) / fio.operations
  const own = cpu.processes.reduce((sum, seconds) => sum + seconds, 0)
  return {
    figures: {
      operationsPerSecond: fio.operationsPerSecond,
      bytesPerSecond: fio.bytesPerSecond,
      worstSecond: fio.seconds.length === 0 ? fio.operationsPerSecond : Math.min(...fio.seconds),
      ...fio.latency,
      cpuUs: perOperation(own),
      fioCpuUs: perOperation(fio.fioCpuSeconds),
      otherProcessors: Math.max(0, cpu.machine - own - fio.fioCpuSeconds) / fio.runtimeSeconds,
    },
    processes: processes.map(({ name }, index) => ({
      name,
      cpuUs: perOperation(cpu.processes[index] ?? 0),
      ...(memory[index] as Memory),
    })),
    seconds: fio.seconds,
    window,
    operations: fio.operations,
    ...(beside === undefined ? {} : { beside: beside.covered(window.fromMs, window.toMs) }),
  }
}

/** Medians of at least one run; of worst seconds the worst. */
export function summarize(subject: Subject['name'], job: string, runs: readonly JobRun[]): JobResult {
  const figures = runs.map((run) => run.figures)
  const ofProcess = (index: number) => {
    const all = runs.flatMap((run) => run.processes[index] ?? [])
    const of = (key: 'cpuUs' | 'residentBytes' | 'anonymousBytes') => median(all.map((process) => process[key]))
    return { cpuUs: of('cpuUs'), residentBytes: of('residentBytes'), anonymousBytes: of('anonymousBytes') }
  }
  return {
    job,
    subject,
    median: {
      ...(medianOfEach(figures) as Figures),
      worstSecond: Math.min(...figures.map(({ worstSecond }) => worstSecond)),
    },
    spread: spread(figures.map(({ operationsPerSecond }) => operationsPerSecond)),
    processes: (runs[0]?.processes ?? []).map(({ name }, index) => ({ name, ...ofProcess(index) })),
    runs,
  }
}
