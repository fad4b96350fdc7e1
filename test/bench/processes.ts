import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bytes } from '@ashlar/proto'

/** A process that belongs to what is measured. */
export interface MeasuredProcess {
  readonly name: string
  readonly pid: number
}

export interface Memory {
  /** Resident, file pages that are mapped included: those of LevelDB's tables are the page cache's. */
  readonly residentBytes: Bytes
  /** Resident without files: what the process itself needs. */
  readonly anonymousBytes: Bytes
}

/** Of /proc: one hundredth of a second on every Linux, whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100
const SAMPLE_MS = 250

/** Fields of /proc/PID/stat (proc(5)): 14 utime, 15 stime, of all threads, also those that ended. */
export function parseCpuSeconds(stat: string): number {
  // The name of the process, in parentheses, may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** /proc/PID/status. */
export function parseMemory(status: string): Memory {
  const kibibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0)
  return { residentBytes: kibibytes('VmRSS') * 1024, anonymousBytes: kibibytes('RssAnon') * 1024 }
}

/** /proc/PID/io: bytes that system calls of the process wrote, to files, pipes and sockets. */
export function parseWrittenBytes(io: string): Bytes {
  return Number(/^wchar: (\d+)$/m.exec(io)?.[1] ?? 0)
}

/** First line of /proc/stat: seconds that all processors were busy, for all processes. */
export function parseBusySeconds(stat: string): number {
  const [, user, nice, system, , , irq, softirq] = (stat.split('\n')[0] ?? '').split(/\s+/).map(Number)
  const ticks = [user, nice, system, irq, softirq].reduce<number>((sum, value) => sum + (value ?? 0), 0)
  return ticks / TICKS_PER_SECOND
}

export async function readMemory({ pid }: MeasuredProcess): Promise<Memory> {
  return parseMemory(await readFile(`/proc/${pid}/status`, 'utf8'))
}

async function cpuSecondsOf(pid: number): Promise<number> {
  return parseCpuSeconds(await readFile(`/proc/${pid}/stat`, 'utf8'))
}

interface Sample {
  readonly atMs: number
  /** CPU seconds used since the start: of each process, and of the whole machine at the end. */
  readonly seconds: readonly number[]
}

/** Linear between the samples around a moment, and the first or last one outside. */
export function secondsAt(samples: readonly Sample[], atMs: number, index: number): number {
  const after = samples.findIndex((sample) => sample.atMs >= atMs)
  const next = samples[after === -1 ? samples.length - 1 : after]
  const previous = samples[after === -1 ? samples.length - 1 : Math.max(0, after - 1)]
  const from = previous?.seconds[index] ?? 0
  const to = next?.seconds[index] ?? 0
  const spanMs = (next?.atMs ?? 0) - (previous?.atMs ?? 0)
  return spanMs === 0 ? to : from + ((to - from) * (atMs - (previous?.atMs ?? 0))) / spanMs
}

export interface CpuUse {
  /** CPU seconds of each process, in order. */
  readonly processes: readonly number[]
  /** CPU seconds of the whole machine, for all processes. */
  readonly machine: number
}

/** Watches the CPU that processes use, so that afterwards any window of time can be asked for. */
export class CpuSampler {
  readonly #processes: readonly MeasuredProcess[]
  readonly #samples: Sample[] = []
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(processes: readonly MeasuredProcess[]) {
    this.#processes = processes
  }

  start(): void {
    this.#running = this.#run()
    // `end` reports it to the caller.
    this.#running.catch(() => undefined)
  }

  /** Rejects when one of the processes ended meanwhile: what was measured is then no figure. */
  async end(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** What was used between two moments of the wall clock, in milliseconds. */
  between(fromMs: number, toMs: number): CpuUse {
    const used = (index: number) => secondsAt(this.#samples, toMs, index) - secondsAt(this.#samples, fromMs, index)
    return { processes: this.#processes.map((_, index) => used(index)), machine: used(this.#processes.length) }
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#sample()
      await delay(SAMPLE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    }
    await this.#sample()
  }

  async #sample(): Promise<void> {
    const seconds = await Promise.all(this.#processes.map(({ pid }) => cpuSecondsOf(pid)))
    const machine = parseBusySeconds(await readFile('/proc/stat', 'utf8'))
    this.#samples.push({ atMs: Date.now(), seconds: [...seconds, machine] })
  }
}

/** A process is quiet when it uses less than this share of a processor. */
const QUIET_SHARE = 0.05
const QUIET_WINDOW_MS = 1000

/**
 * Waits until processes together are quiet, or for `deadlineMs`: what an earlier job left to do is not the next one's.
 */
export async function settle(
  processes: readonly MeasuredProcess[],
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const total = async () =>
    (await Promise.all(processes.map(({ pid }) => cpuSecondsOf(pid)))).reduce((a, b) => a + b, 0)
  const end = performance.now() + deadlineMs
  const limit = (QUIET_SHARE * processes.length * QUIET_WINDOW_MS) / 1000
  for (let before = await total(); performance.now() < end; ) {
    await delay(QUIET_WINDOW_MS, undefined, { signal })
    const now = await total()
    if (now - before < limit) return
    before = now
  }
}
