/** `npm run sweep -- [--points N] [--seed N]`: breaks a store at many points and prints what came of it. */
import { parseArgs } from 'node:util'
import { sweep } from '../sweep.ts'

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '1000' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
  },
})
const points = Number(values.points)
const seed = Number(values.seed)
if (!Number.isInteger(points) || points < 1 || !Number.isInteger(seed)) {
  process.stderr.write('usage: npm run sweep -- [--points N] [--seed N], both whole numbers\n')
  process.exit(2)
}
process.stdout.write(`sweep of ${points} points with seed ${seed}\n`)
let done = 0
const report = await sweep({
  points,
  seed,
  onPoint: (name, outcome) => {
    done++
    if (outcome === 'VIOLATION') process.stdout.write(`${name}: ${outcome}\n`)
    if (done % 50 === 0) process.stdout.write(`${done} points\n`)
  },
})
for (const [outcome, times] of [...report.outcomes].sort())
  process.stdout.write(`${String(times).padStart(6)}  ${outcome}\n`)
for (const violation of report.violations) process.stdout.write(`violation: ${violation}\n`)
process.exitCode = report.violations.length === 0 ? 0 : 1
