import type { Violation } from '../checkers/report.ts'
import { SCHEDULES } from '../directed/schedules.ts'
import { type RunOptions, simulate } from '../simulator.ts'

/**
 * The child process of one hunt: runs seeds from `first` until one finds a violation, or the one schedule. Prints the
 * result as JSON. Arguments: `seeds FIRST COUNT CLUSTER`, where CLUSTER is JSON, or `schedule NAME`.
 */
export interface Catch {
  /** Seeds that were run. */
  readonly tried: number
  readonly seed?: number
  readonly violations: readonly Violation[]
}

function hunt(first: number, count: number, cluster: RunOptions): Catch {
  for (let tried = 1; tried <= count; tried++) {
    const seed = first + tried - 1
    const { violations } = simulate(seed, cluster)
    if (violations.length > 0) return { tried, seed, violations }
  }
  return { tried: count, violations: [] }
}

function follow(name: string): Catch {
  const schedule = SCHEDULES.get(name)
  if (schedule === undefined) throw new Error(`there is no schedule named ${name}`)
  return { tried: 1, violations: schedule() }
}

const [what = '', first = '', count = '', cluster = '{}'] = process.argv.slice(2)
// In a turn of its own, as a seed with the shipped store needs it.
setImmediate(() => {
  const run = JSON.parse(cluster) as RunOptions
  const found = what === 'schedule' ? follow(first) : hunt(Number(first), Number(count), run)
  process.stdout.write(JSON.stringify(found))
})
