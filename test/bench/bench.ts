/** `npm run bench`: see --help, and docs/benchmarks.md for what is measured and how. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { AshlarError, ERRORS } from '@ashlar/proto'
import { runDelay } from './delay/index.ts'
import { delayResult, delayTable } from './delay/report.ts'
import { AXIS_NAMES } from './growth/axes.ts'
import { runGrowth } from './growth/index.ts'
import { writePlots } from './growth/plots.ts'
import type { GrowthPoint } from './growth/points.ts'
import { growthTable, pointTable } from './growth/report.ts'
import { runIdle } from './idle/index.ts'
import { idleTable } from './idle/report.ts'
import { type JobFile, parseJobFile } from './jobs.ts'
import { machineFacts } from './machine-facts.ts'
import { type BenchOptions, HELP, type Measured, parseOptions } from './options.ts'
import { engineTable } from './pieces/engine/report.ts'
import { PIECE_NAMES, runPieces } from './pieces/index.ts'
import { pieceTable } from './pieces/report.ts'
import { profileJobs, profileTable } from './profile.ts'
import { processTable, ratios, ratioTable, resultTable } from './report.ts'
import { runJobs } from './run-jobs.ts'
import { upkeepTable } from './upkeep/report.ts'

async function main(args: readonly string[], signal: AbortSignal): Promise<void> {
  const file = parseJobFile(await readFile(new URL('jobs.fio', import.meta.url), 'utf8'))
  const jobNames = file.jobs.map(({ name }) => name).filter((name) => name !== 'fill')
  const options = parseOptions(args, { jobs: jobNames, pieces: PIECE_NAMES, idle: [], delay: [], growth: AXIS_NAMES })
  if (options === undefined) {
    process.stdout.write(HELP)
    return
  }
  if (options.fromFile !== undefined) return await showGrowth(await readGrowth(options.fromFile), options)
  const machine = machineFacts()
  log(
    `${machine.cpu}, ${machine.processors} processors, Linux ${machine.kernel}, Node ${machine.node}, ${machine.commit}`,
  )
  const measured = await MEASURES[options.what](options, signal, file)
  const json = `${JSON.stringify({ machine, options, ...measured }, null, 2)}\n`
  if (options.jsonFile === undefined) process.stdout.write(json)
  else await writeFile(options.jsonFile, json)
}

type Measure = (options: BenchOptions, signal: AbortSignal, file: JobFile) => Promise<object>

/** Each prints its tables, and gives what goes into the JSON. */
const MEASURES: Readonly<Record<Measured, Measure>> = {
  jobs: measureJobs,
  async pieces(options, signal) {
    const { pieces, engine } = await runPieces(options, log, signal)
    if (pieces.length > 0) process.stderr.write(`\n${pieceTable(pieces)}`)
    if (engine.length > 0) process.stderr.write(`\n${engineTable(engine)}`)
    return { pieces, engine }
  },
  async idle(options, signal) {
    const found = await runIdle(options, log, signal)
    process.stderr.write(`\n${idleTable(found)}`)
    return { idle: found }
  },
  async delay(options, signal) {
    const delay = delayResult(await runDelay(options, log, signal))
    process.stderr.write(`\n${delayTable(delay)}`)
    return { delay }
  },
  async growth(options, signal, file) {
    const growth = await runGrowth(file, options, log, signal)
    await showGrowth(growth, options)
    return { growth }
  },
}

async function readGrowth(path: string): Promise<GrowthPoint[]> {
  const { growth } = JSON.parse(await readFile(path, 'utf8')) as { growth?: GrowthPoint[] }
  if (growth === undefined) throw new AshlarError('USAGE', `--from ${path}: it is not of a run of growth`)
  return growth
}

async function showGrowth(growth: readonly GrowthPoint[], { plotDirectory }: BenchOptions): Promise<void> {
  process.stderr.write(`\n${pointTable(growth)}\n${growthTable(growth)}`)
  if (plotDirectory === undefined) return
  for (const written of await writePlots(growth, plotDirectory)) log(`wrote ${written}`)
}

async function measureJobs(options: BenchOptions, signal: AbortSignal, file: JobFile): Promise<object> {
  const { profileDirectory } = options
  if (profileDirectory !== undefined) {
    await mkdir(profileDirectory, { recursive: true })
    // `ashlar dev` hands its environment to every process that it starts.
    process.env['NODE_OPTIONS'] = `--cpu-prof --cpu-prof-dir=${profileDirectory}`
  }
  const { results, processes } = await runJobs(file, options, log, signal)
  process.stderr.write(`\n${resultTable(results)}\n${processTable(results)}`)
  const compared = ratios(results)
  if (compared.length > 0) process.stderr.write(`\n${ratioTable(compared)}`)
  process.stderr.write(`\n${upkeepTable(results)}`)
  if (profileDirectory === undefined) return { results, ratios: compared }
  const profiles = await profileJobs(profileDirectory, processes, results)
  process.stderr.write(`\n${profileTable(profiles)}`)
  return { results, ratios: compared, profiles }
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupted.abort(new AshlarError('ABORTED', `stopped by ${name}`)))
}
try {
  await main(process.argv.slice(2), interrupted.signal)
} catch (caught) {
  // Whatever failed first because of the interruption, the interruption is what is reported.
  const error = interrupted.signal.aborted ? interrupted.signal.reason : caught
  if (!(error instanceof AshlarError)) throw error
  log(`bench: ${error.message}${error.hint === undefined ? '' : `; ${error.hint}`}`)
  process.exitCode = ERRORS[error.code].exit
}
