import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../../kit/command.ts'
import { runHashes } from '../long/hashes.ts'
import { type LongRun, runLong, type SharedSeeds } from '../long/run.ts'
import { familyOf, kindsOf, resultOf, thrownResult } from '../long/totals.ts'
import { type Outcome, type RunOptions, simulateLater } from '../simulator.ts'

const HELP = `usage: npm run sim -- [--seed N | --first N --count N | --first N --minutes M] [--jobs N] [--voters N] [--full-disks] [--wide|--mix] [--trace] [--quiet] [--totals FILE] [--hashes FILE] [--compare FILE]

Runs the shipped machines of a whole cluster in one process, from seeds. The same seed over the same source is the same run.

--seed N      one seed: prints its options, its verdict and the hash of its events
--trace       with --seed: one line for every event (the legend is in test/sim/checkers/recorder.ts)
--first N     first of several seeds (1)
--count N     how many seeds (100)
--minutes M   as many seeds as fit, instead of --count
--voters N    nodes that vote on the control log, 1, 3 or 5 (drawn by the seed, most often 3)
--wide        the wide family: clusters, loads and faults that the first family of seeds does not have
--mix         each tenth seed is of the wide family, the others of the first: the proportion of CI in one range
--full-disks  disks have an end, and something else takes the room on them
--totals FILE adds what the seeds come to to a file, and goes on after those that it has already: for runs of hours
--hashes FILE writes a line \`SEED HASH\` a seed, to compare with after a change that changes no behaviour
--compare FILE  prints the seeds whose hash is not the one in this file of an earlier run: names and texts make no difference
--jobs N      processes that share the seeds (1)
--quiet       with several seeds: print only those that fail, and the sum

exit codes: 0 every seed passed, 1 a seed found a violation or has another hash, 2 usage
`

interface Sum {
  seeds: number
  failed: number
  virtualMs: number
  calls: number
  acknowledgements: number
  activations: number
  refusedForSpace: number
  faults: number
}

const OPTIONS = {
  seed: { type: 'string' },
  first: { type: 'string', default: '1' },
  count: { type: 'string', default: '100' },
  minutes: { type: 'string' },
  voters: { type: 'string' },
  jobs: { type: 'string', default: '1' },
  step: { type: 'string', default: '1' },
  'full-disks': { type: 'boolean', default: false },
  wide: { type: 'boolean', default: false },
  mix: { type: 'boolean', default: false },
  trace: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  totals: { type: 'string' },
  hashes: { type: 'string' },
  compare: { type: 'string' },
  lines: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

function main(): Promise<number> | number {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  if (values.mix && values.wide) throw new UsageError('--mix and --wide: one of them says what the seeds are')
  const cluster: Cluster = {
    fullDisks: values['full-disks'],
    wide: values.wide,
    mix: values.mix,
    ...(values.voters !== undefined && { voters: wholeNumber('voters', values.voters) }),
  }
  if (values.seed !== undefined) return runOne(wholeNumber('seed', values.seed), cluster, values.trace)
  const jobs = wholeNumber('jobs', values.jobs)
  // Processes that share seeds are told how many.
  const isShared = values.totals !== undefined || values.hashes !== undefined || values.compare !== undefined
  const range: SeedRange = {
    cluster,
    first: wholeNumber('first', values.first),
    count:
      values.minutes === undefined || isShared || values.lines
        ? wholeNumber('count', values.count)
        : Number.POSITIVE_INFINITY,
    step: wholeNumber('step', values.step),
    until:
      values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000,
  }
  if (values.totals !== undefined) return runLong(longRun(values.totals, values.minutes, jobs, range))
  if (values.hashes !== undefined || values.compare !== undefined)
    return runHashes({ ...sharedSeeds(values.minutes, jobs, range), write: values.hashes, compare: values.compare })
  if (values.lines) return printLines(range)
  return jobs > 1 ? runJobs(jobs, range, values) : runRange(range, values.quiet)
}

function longRun(file: string, minutes: string | undefined, jobs: number, range: SeedRange): LongRun {
  const { voters } = range.cluster
  const drawn = familyOf(range.cluster)
  const all = voters === undefined ? drawn : `${drawn}, ${voters} voters`
  return { ...sharedSeeds(minutes, jobs, range), file, range: all }
}

function sharedSeeds(minutes: string | undefined, jobs: number, range: SeedRange): SharedSeeds {
  const forMs = minutes === undefined ? Number.POSITIVE_INFINITY : Number(minutes) * 60_000
  return { first: range.first, count: range.count, forMs, jobs, how: howOf(range.cluster) }
}

/** For the process of a long run that began this one: a line of JSON a seed. */
async function printLines(range: SeedRange): Promise<number> {
  let failed = 0
  for (let index = 0; index < range.count && performance.now() < range.until; index++) {
    const seed = range.first + index * range.step
    const run = runOf(seed, range.cluster)
    // A seed that throws has failed, and those after it run.
    const result = await simulateLater(seed, run).then(resultOf, (error: Error) => thrownResult(seed, run, error))
    if (result.violations.length > 0) failed++
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
  return failed === 0 ? 0 : 1
}

/** The arguments that say what the seeds are. */
function howOf(cluster: Cluster): string[] {
  const { voters } = cluster
  return [...(voters === undefined ? [] : ['--voters', String(voters)]), ...kindsOf(cluster).map((kind) => `--${kind}`)]
}

/** What the seeds of a command are. */
interface Cluster extends Pick<RunOptions, 'voters' | 'fullDisks' | 'wide'> {
  /** Each seed that `WIDE_EVERY` divides is of the wide family. */
  readonly mix: boolean
}

const WIDE_EVERY = 10

function runOf(seed: number, { mix, ...run }: Cluster): RunOptions {
  return mix ? { ...run, wide: seed % WIDE_EVERY === 0 } : run
}

interface SeedRange {
  readonly cluster: Cluster
  readonly first: number
  readonly count: number
  readonly step: number
  readonly until: number
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`--${name} ${text}: a whole number from 0 is needed`)
  return value
}

async function runOne(seed: number, cluster: Cluster, trace: boolean): Promise<number> {
  const outcome = await simulateLater(seed, {
    ...runOf(seed, cluster),
    ...(trace && { trace: (line: string) => process.stdout.write(`${line}\n`) }),
  })
  process.stdout.write(`options ${JSON.stringify(outcome.options, undefined, 2)}\n`)
  process.stdout.write(`faults ${[...outcome.faults].map(([name, times]) => `${name} ${times}`).join(', ')}\n`)
  printOutcome(outcome)
  return outcome.violations.length === 0 ? 0 : 1
}

function printOutcome(outcome: Outcome): void {
  const { seed, options, violations, hash, virtualMs, inputs, calls, activations } = outcome
  const verdict = violations.length === 0 ? 'passed' : 'FAILED'
  process.stdout.write(
    `seed ${seed} ${verdict} hash ${hash} virtual ${(virtualMs / 1000).toFixed(1)} s, ${inputs} inputs, ${calls} calls, ${activations} takeovers\n`,
  )
  for (const { at, rule, text } of violations) process.stdout.write(`  ${at.toFixed(3)} ${rule}: ${text}\n`)
  if (violations.length === 0) return
  const { voters, space, wide = false } = options
  const how = howOf({ voters, fullDisks: space !== undefined, wide, mix: false })
  process.stdout.write(`  replay: npm run sim -- --seed ${seed} ${how.join(' ')} --trace\n`)
}

async function runRange(range: SeedRange, quiet: boolean): Promise<number> {
  const sum: Sum = {
    seeds: 0,
    failed: 0,
    virtualMs: 0,
    calls: 0,
    acknowledgements: 0,
    activations: 0,
    refusedForSpace: 0,
    faults: 0,
  }
  for (let index = 0; index < range.count && performance.now() < range.until; index++) {
    const seed = range.first + index * range.step
    const outcome = await simulateLater(seed, runOf(seed, range.cluster))
    sum.seeds++
    if (outcome.violations.length > 0) sum.failed++
    sum.virtualMs += outcome.virtualMs
    sum.calls += outcome.calls
    sum.acknowledgements += outcome.acknowledgements
    sum.activations += outcome.activations
    sum.refusedForSpace += outcome.refusedForSpace
    for (const times of outcome.faults.values()) sum.faults += times
    if (!quiet || outcome.violations.length > 0) printOutcome(outcome)
  }
  process.stdout.write(`sum ${JSON.stringify(sum)}\n`)
  return sum.failed === 0 ? 0 : 1
}

/** Each process takes every n-th seed. */
async function runJobs(
  jobs: number,
  range: SeedRange,
  values: { readonly minutes?: string | undefined; readonly quiet: boolean },
): Promise<number> {
  const codes = await Promise.all(
    Array.from({ length: jobs }, (_, job) => {
      const share = Math.ceil((range.count - job) / jobs)
      const much = values.minutes === undefined ? ['--count', String(share)] : ['--minutes', values.minutes]
      const from = ['--first', String(range.first + job * range.step), ...howOf(range.cluster)]
      const where = [...from, '--step', String(jobs * range.step)]
      return runChild([...where, ...much, ...(values.quiet ? ['--quiet'] : [])])
    }),
  )
  return codes.every((code) => code === 0) ? 0 : 1
}

function runChild(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, ...args], { stdio: 'inherit' })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}

await runCommand(main, HELP)
