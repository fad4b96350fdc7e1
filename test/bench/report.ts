import { KIB } from '@ashlar/proto'
import type { Job } from './jobs.ts'
import type { JobResult, JobRun } from './measure.ts'

const MEBIBYTE = 1024 * KIB
/** Jobs of blocks at least this large are judged by bytes and not by operations. */
const LARGE_BLOCK_BYTES = 64 * KIB

/** Text columns: the first to the left, the others to the right. */
export function layOutTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ')
  return `${all.map((row) => line(row).trimEnd()).join('\n')}\n`
}

/** `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function milliseconds(microseconds: number): string {
  const value = microseconds / 1000
  return value < 10 ? value.toFixed(2) : whole(value)
}

/** The rate that a job is judged by, with its unit. MB/s are 10^6 bytes. */
function rate(blockSizeBytes: number, operationsPerSecond: number): string {
  if (blockSizeBytes < LARGE_BLOCK_BYTES) return `${whole(operationsPerSecond)} IOPS`
  return `${whole((operationsPerSecond * blockSizeBytes) / 1e6)} MB/s`
}

/** One run, as it ends. */
export function runLine(subject: string, job: Job, { figures }: JobRun): string {
  const reached = rate(job.blockSizeBytes, figures.operationsPerSecond)
  const others = figures.otherProcessors.toFixed(1)
  return `${subject} ${job.name}: ${reached}, ${whole(figures.cpuUs)} us CPU an operation; others kept ${others} processors busy`
}

const HEADER = [
  ...['JOB', 'STORE', 'RATE', 'SPREAD', 'WORST SECOND', 'P50 ms', 'P99 ms', 'P99.9 ms', 'MAX ms'],
  ...['CPU us', 'FIO us', 'RSS MiB', 'ANON MiB', 'OTHERS'],
]

/** Medians of every job, for people. */
export function resultTable(results: readonly JobResult[]): string {
  const rows = results.map(({ job, subject, median, spread, processes }) => {
    const blockSizeBytes = median.bytesPerSecond / median.operationsPerSecond
    const memory = (of: 'residentBytes' | 'anonymousBytes') =>
      whole(processes.reduce((sum, process) => sum + process[of], 0) / MEBIBYTE)
    return [
      ...[job, subject, rate(blockSizeBytes, median.operationsPerSecond), `${whole(spread * 100)} %`],
      rate(blockSizeBytes, median.worstSecond),
      ...[median.p50Us, median.p99Us, median.p999Us, median.maxUs].map(milliseconds),
      ...[whole(median.cpuUs), whole(median.fioCpuUs)],
      ...[memory('residentBytes'), memory('anonymousBytes'), median.otherProcessors.toFixed(1)],
    ]
  })
  return layOutTable(HEADER, rows)
}

/** CPU of each process for an operation, and its memory. */
export function processTable(results: readonly JobResult[]): string {
  const rows = results.flatMap(({ job, subject, processes }) =>
    processes.map(({ name, cpuUs, residentBytes, anonymousBytes }) => [
      ...[job, subject, name, cpuUs.toFixed(1)],
      ...[whole(residentBytes / MEBIBYTE), whole(anonymousBytes / MEBIBYTE)],
    ]),
  )
  return layOutTable(['JOB', 'STORE', 'PROCESS', 'CPU us', 'RSS MiB', 'ANON MiB'], rows)
}

export interface Ratio {
  readonly job: string
  /** Rate of Ashlar by rate of the other. */
  readonly rate: number
  /** CPU an operation of Ashlar by that of the other. */
  readonly cpu: number
  readonly p99: number
}

/** Ashlar by the other subject, for each job that both ran. */
export function ratios(results: readonly JobResult[]): Ratio[] {
  const others = results.filter(({ subject }) => subject !== 'ashlar')
  return others.flatMap((other) => {
    const own = results.find(({ job, subject }) => job === other.job && subject === 'ashlar')
    if (own === undefined) return []
    const by = (key: 'operationsPerSecond' | 'cpuUs' | 'p99Us') => own.median[key] / other.median[key]
    return [{ job: own.job, rate: by('operationsPerSecond'), cpu: by('cpuUs'), p99: by('p99Us') }]
  })
}

export function ratioTable(found: readonly Ratio[]): string {
  const rows = found.map(({ job, rate, cpu, p99 }) => [job, ...[rate, cpu, p99].map((value) => value.toFixed(2))])
  return layOutTable(['ASHLAR / OTHER', 'RATE', 'CPU', 'P99'], rows)
}
