import { AshlarError } from '@ashlar/proto'

/** Latencies from the submission to the completion, in microseconds. */
export interface Latency {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

/** What one run of fio says. Reads and writes of a mixed job are summed up; of their latencies the worse one counts. */
export interface FioFigures {
  readonly operations: number
  readonly operationsPerSecond: number
  readonly bytesPerSecond: number
  /** What was measured, without the ramp before it. */
  readonly runtimeSeconds: number
  readonly latency: Latency
  /** Wall clock at the end, milliseconds. */
  readonly endedAtMs: number
  /** CPU that fio itself used while it measured. */
  readonly fioCpuSeconds: number
}

interface Direction {
  readonly io_bytes: number
  readonly total_ios: number
  readonly iops: number
  readonly runtime: number
  readonly clat_ns: { readonly max: number; readonly percentile?: Readonly<Record<string, number>> }
}

interface FioJob {
  readonly error: number
  readonly job_runtime: number
  readonly usr_cpu: number
  readonly sys_cpu: number
  readonly read: Direction
  readonly write: Direction
}

/**
 * Reads the output of `fio --output-format=json` of one job with `percentile_list=50:99:99.9`. Throws INTERNAL when the
 * job failed or did nothing.
 */
export function parseFioOutput(text: string): FioFigures {
  // fio writes warnings to the same file, before the JSON.
  const start = text.indexOf('{')
  if (start < 0) throw new AshlarError('INTERNAL', `fio wrote no JSON: ${text.slice(0, 500)}`)
  const output = JSON.parse(text.slice(start)) as { timestamp_ms: number; jobs: FioJob[] }
  const [job] = output.jobs
  if (job === undefined || job.error !== 0) throw new AshlarError('INTERNAL', `fio failed with errno ${job?.error}`)
  const active = [job.read, job.write].filter(({ total_ios }) => total_ios > 0)
  if (active.length === 0) throw new AshlarError('INTERNAL', 'fio measured no operation')
  const sum = (of: (direction: Direction) => number) => active.reduce((total, direction) => total + of(direction), 0)
  const worst = (of: (direction: Direction) => number) => Math.max(...active.map(of)) / 1000
  const runtimeSeconds = Math.max(...active.map(({ runtime }) => runtime)) / 1000
  return {
    operations: sum(({ total_ios }) => total_ios),
    operationsPerSecond: sum(({ iops }) => iops),
    bytesPerSecond: sum(({ io_bytes }) => io_bytes) / runtimeSeconds,
    runtimeSeconds,
    latency: {
      p50Us: worst((direction) => percentile(direction, '50.000000')),
      p99Us: worst((direction) => percentile(direction, '99.000000')),
      p999Us: worst((direction) => percentile(direction, '99.900000')),
      maxUs: worst(({ clat_ns }) => clat_ns.max),
    },
    endedAtMs: output.timestamp_ms,
    fioCpuSeconds: ((job.usr_cpu + job.sys_cpu) / 100) * (job.job_runtime / 1000),
  }
}

function percentile({ clat_ns }: Direction, name: string): number {
  const value = clat_ns.percentile?.[name]
  if (value === undefined) throw new AshlarError('INTERNAL', `fio gave no percentile ${name}`)
  return value
}

/** A run of 15 s may say that it took 14.999. */
const CLOCK_SLACK_SECONDS = 0.05
const SECOND_MS = 1000
/** Two lines further apart than this have a second without a completion between them. */
const NEXT_LINE_MS = 1500

/**
 * Operations in each whole second of a run that did `operations` in all, from the log of `write_iops_log` with
 * `log_avg_msec=1000`: lines `milliseconds, operations a second, direction, …`.
 *
 * A line is the mean since the line before, and comes a little late, so its operations are laid over the seconds that
 * it covers. fio writes no line for a second in which nothing completed: what is missing is a zero, the worst there is
 * and the one that must not be overlooked. Only the end of a run often has no line of its own; what no line reports
 * happened there.
 */
export function parseIopsLog(text: string, runtimeSeconds: number, operations: number): number[] {
  const seconds = new Array<number>(Math.floor(runtimeSeconds + CLOCK_SLACK_SECONDS)).fill(0)
  const lastMs = new Map<string, number>()
  let reported = 0
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const [time, rate, direction = ''] = line.split(',').map((field) => field.trim())
    const endMs = Number(time)
    if (time === undefined || rate === undefined || !Number.isFinite(endMs) || !Number.isFinite(Number(rate))) {
      throw new AshlarError('INTERNAL', `cannot read a line of fio's log: "${line}"`)
    }
    const previousMs = lastMs.get(direction) ?? 0
    const startMs = endMs - previousMs < NEXT_LINE_MS ? previousMs : endMs - SECOND_MS
    lastMs.set(direction, endMs)
    const done = (Number(rate) * (endMs - startMs)) / SECOND_MS
    reported += done
    layOver(seconds, startMs, endMs, done)
  }
  const restMs = Math.max(0, ...lastMs.values())
  layOver(seconds, restMs, Math.max(restMs + 1, runtimeSeconds * SECOND_MS), Math.max(0, operations - reported))
  return seconds.map(Math.round)
}

/** Adds operations that were done evenly between two moments to the seconds that these cover. */
function layOver(seconds: number[], startMs: number, endMs: number, operations: number): void {
  for (const second of seconds.keys()) {
    const overlapMs = Math.min(endMs, (second + 1) * SECOND_MS) - Math.max(startMs, second * SECOND_MS)
    if (overlapMs > 0) seconds[second] = (seconds[second] ?? 0) + (operations * overlapMs) / (endMs - startMs)
  }
}
