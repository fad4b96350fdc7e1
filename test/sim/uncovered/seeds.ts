import { spawn } from 'node:child_process'
import { inBoth, type Pieces, uncoveredBy } from './precise.ts'

/** Seeds that are run with their blocks counted: of every family. */
const RUNS = [
  { first: 1, count: 30, run: {} },
  { first: 1, count: 6, run: { fullDisks: true } },
  { first: 1, count: 36, run: { wide: true } },
] as const

export interface SeedCoverage {
  /** What no seed runs of the machines. */
  readonly all: Pieces
  /** What the seeds of one process do not run: of what is met rarely, another commit may meet none. */
  readonly shares: readonly Pieces[]
}

/** Processes that share the seeds: as many each time, since V8 cuts blocks by what a process ran. */
const JOBS = 3

/** Runs the seeds. Throws when one finds a violation. */
export async function uncoveredBySeeds(): Promise<SeedCoverage> {
  const shares = await Promise.all(Array.from({ length: JOBS }, (_, job) => runChild(job, JOBS)))
  return { all: shares.reduce(inBoth), shares }
}

/** Every `jobs`-th seed. Throws when one finds a violation. */
function uncoveredByShare(job: number, jobs: number): Promise<Pieces> {
  return uncoveredBy(async () => {
    const { simulateLater } = await import('../simulator.ts')
    for (const { first, count, run } of RUNS)
      for (let seed = first + job; seed < first + count; seed += jobs) {
        const { violations } = await simulateLater(seed, run)
        if (violations.length > 0) throw new Error(`seed ${seed} failed: ${JSON.stringify({ run, violations })}`)
      }
  })
}

function runChild(job: number, jobs: number): Promise<Pieces> {
  const args = ['--conditions=ashlar-source', import.meta.filename, String(job), String(jobs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Pieces)
      else reject(new Error(`a process that counts coverage ended with ${code}`))
    })
  })
}

const [job, jobs] = process.argv.slice(2)
if (process.argv[1] === import.meta.filename && jobs !== undefined)
  process.stdout.write(JSON.stringify(await uncoveredByShare(Number(job), Number(jobs))))
