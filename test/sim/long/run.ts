import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Build, type SeedResult, Totals } from './totals.ts'

export interface SharedSeeds {
  readonly first: number
  readonly count: number
  /** Milliseconds after which no seed is begun. */
  readonly forMs: number
  readonly jobs: number
  /** Arguments of the command that say what the seeds are. */
  readonly how: readonly string[]
}

export interface LongRun extends SharedSeeds {
  readonly file: string
  /** What the seeds belong to: `wide`, `full-disks`, `first` or `mix`, with the number of voters where it is not drawn. */
  readonly range: string
}

const SAVE_EVERY = 20

/**
 * Runs the seeds of a range that did not run yet, and adds what they come to to a file. Stopped at any moment, it goes on where it
 * was: a seed counts once those before it do. Exit code 1 when any of these seeds found a violation.
 */
export async function runLong(run: LongRun): Promise<number> {
  const { file, range, first, count } = run
  const totals = new Totals(file)
  const build: Build = { commit: commitNow(), sources: sourcesNow() }
  const other = totals.otherSources(range, build)
  if (other !== undefined) process.stdout.write(`${other}\n`)
  const from = totals.nextSeed(range, first)
  let next = from
  let failed = 0
  const waiting = new Map<number, SeedResult>()
  const take = (result: SeedResult): void => {
    waiting.set(result.seed, result)
    for (let due = waiting.get(next); due !== undefined; due = waiting.get(next)) {
      waiting.delete(next++)
      totals.add(range, build, due)
      if (due.violations.length > 0) {
        failed++
        process.stdout.write(
          `seed ${due.seed} (${due.family}) FAILED ${due.violations[0]?.rule}: ${due.violations[0]?.text}\n`,
        )
      }
      if ((next - from) % SAVE_EVERY === 0) totals.save()
    }
  }
  const codes = await runShares({ ...run, first: from, count: first + count - from }, take)
  totals.save()
  process.stdout.write(`${totals.describe(range)}\n`)
  // A process that was stopped, or that could not go on, leaves a gap: the same command fills it.
  if (waiting.size > 0) process.stdout.write(`seed ${next} did not end, and ${waiting.size} after it run again\n`)
  return failed > 0 || codes.some((code) => code > 1) ? 1 : 0
}

/** Shares the seeds among `jobs` processes, and resolves with their exit codes. `take` gets the results as they come. */
export function runShares(run: SharedSeeds, take: (result: SeedResult) => void): Promise<number[]> {
  const { first, count, jobs } = run
  const shares = Math.max(0, Math.min(jobs, count))
  return Promise.all(Array.from({ length: shares }, (_, job) => runShare(run, first + job, count - job, take)))
}

/** Every `jobs`-th seed, in a process of its own. Resolves with its exit code. */
function runShare(run: SharedSeeds, first: number, left: number, take: (result: SeedResult) => void): Promise<number> {
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

/** A short hash of the sources of all packages, by path and content. */
function sourcesNow(): string {
  const packages = join(import.meta.dirname, '../../../packages')
  const hash = createHash('sha256')
  for (const file of globSync('*/src/**/*.ts', { cwd: packages }).sort())
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(packages, file)))
      .update('\0')
  return hash.digest('hex').slice(0, 12)
}
