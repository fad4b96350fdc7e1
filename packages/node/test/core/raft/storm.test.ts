import { test } from 'node:test'
import { runStorm } from './storm.ts'

const FIRST_SEED = Number(process.env['RAFT_FIRST_SEED'] ?? 1)
const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 60)

test(`raft keeps its rules in ${SEEDS} storms, and commits again after each`, (context) => {
  const begun = performance.now()
  const sums = { events: 0, committed: 0, confirmedReads: 0, faults: 0, lostLogs: 0, terms: 0 }
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const result = runStorm(seed)
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += result[name]
    } catch (error) {
      throw new Error(`seed ${seed} (RAFT_FIRST_SEED=${seed} RAFT_SEEDS=1 runs it alone)`, { cause: error })
    }
  }
  const seconds = (performance.now() - begun) / 1000
  context.diagnostic(`${(SEEDS / seconds).toFixed(1)} seeds/s; ${JSON.stringify(sums)}`)
})
