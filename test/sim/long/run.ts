import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type SeedResult, Totals } from './totals.ts'

export interface LongRun {
  readonly file: string
  /** What the seeds belong to: `wide`, `full-disks` or `first`, with the number of voters where it is not drawn. */
  readonly family: string
  readonly first: number
  readonly count: number
  /** Milliseconds after which no seed is begun. */
  readonly forMs: number
  readonly jobs: number
  /** Arguments of the command that say what the seeds are. */
  readonly how: readonly string[]
}

const SAVE_EVERY = 20

/**
 * Runs the seeds of a range that did not run yet, and adds what they come to to a file. Stopped at any moment, it goes on where it
 * was: a seed counts once those before it do. Exit code 1 when any of these seeds found a violation.
 */
export async function runLong(run: LongRun): Promise<number> {
  const { file, family, first, count, jobs } = run
  const totals = new Totals(file)
  const commit = commitNow()
  const from = totals.nextSeed(family, first)
  let next = from
  let failed = 0
  const waiting = new Map<number, SeedResult>()
  const take = (result: SeedResult): void => {
    waiting.set(result.seed, result)
    for (let due = waiting.get(next); due !== undefined; due = waiting.get(next)) {
      waiting.delete(next++)
      totals.add(family, commit, due)
      if (due.violations.length > 0) {
        failed++
        process.stdout.write(`seed ${due.seed} FAILED ${due.violations[0]?.rule}: ${due.violations[0]?.text}\n`)
      }
      if ((next - from) % SAVE_EVERY === 0) totals.save()
    }
  }
  const left = first + count - from
  const shares = Array.from({ length: left > 0 ? jobs : 0 }, (_, job) => runShare(run, from + job, left - job, take))
  const codes = await Promise.all(shares)
  totals.save()
  process.stdout.write(`${totals.describe(family)}\n`)
  return failed > 0 || codes.some((code) => code > 1) ? 1 : 0
}

/** Every `jobs`-th seed, in a process of its own. Resolves with its exit code. */
function runShare(run: LongRun, first: number, left: number, take: (result: SeedResult) => void): Promise<number> {
  const { jobs, forMs, how } = run
  const seeds = ['--first', String(first), '--step', String(jobs), '--count', String(Math.ceil(left / jobs))]
  const until = Number.isFinite(forMs) ? ['--minutes', String(forMs / 60_000)] : []
  const command = join(import.meta.dirname, '../bin/ashlar-sim.ts')
  const args = [...process.execArgv, command, '--lines', ...seeds, ...until, ...how]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', (line) => take(JSON.parse(line) as SeedResult))
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 2)))
}

function commitNow(): string {
  return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  }).trim()
}
