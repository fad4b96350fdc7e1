import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './commands.ts'
import { type FioFigures, parseFioOutput, parseIopsLog } from './fio-output.ts'
import { type Job, type Settings, writeJobFile } from './jobs.ts'

export interface FioRun extends FioFigures {
  /** Operations in each whole second. */
  readonly seconds: readonly number[]
}

export interface FioOptions {
  /** Settings that all jobs share. */
  readonly global: Settings
  /** Settings that win over those: where the device is, how much of it is used, for how long. */
  readonly overrides: Settings
  readonly environment: Readonly<Record<string, string>>
  /** Longest time of the whole run. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Runs one job by fio. Throws INTERNAL when it fails or takes too long. */
export async function runFio(job: Job, options: FioOptions): Promise<FioRun> {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-fio-'))
  try {
    await writeFile(join(directory, 'job.fio'), writeJobFile(options.global, job, options.overrides))
    const args = [
      '--output-format=json',
      '--output=output.json',
      '--write_iops_log=log',
      '--log_avg_msec=1000',
      'job.fio',
    ]
    const { timeoutMs, signal, environment } = options
    await runCommand('fio', args, { timeoutMs, signal, environment, directory })
    const figures = parseFioOutput(await readFile(join(directory, 'output.json'), 'utf8'))
    const log = await readFile(join(directory, 'log_iops.1.log'), 'utf8')
    return { ...figures, seconds: parseIopsLog(log, figures.runtimeSeconds, figures.operations) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
