import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../../../kit/command.ts'
import { namespacesUnavailable } from '../namespaces.ts'
import { describeReport } from '../options.ts'
import { runNetwork } from '../run.ts'

const HELP = `usage: npm run soak -- [--hours H] [--seed N] [--nodes 3|5] [--voters N] [--chapter-minutes M] [--verbose]

Runs a cluster of real processes in network namespaces of their own under bad links, kills and pauses, with clients of the
library and of NBD, and checks every read, the final content and the replicas. Needs root, iproute2 and python3.

--hours H            how long (1)
--seed N             of the faults and of the workload (drawn, and printed)
--nodes N            storage nodes, 3 or 5 (3)
--voters N           nodes that vote on the control log (what server run takes by itself)
--chapter-minutes M  how long faults come and go before all must be well and everything is checked (4)
--verbose            one line for each fault

exit codes: 0 nothing was found, 1 a violation, 2 usage
`

const OPTIONS = {
  hours: { type: 'string', default: '1' },
  seed: { type: 'string' },
  nodes: { type: 'string', default: '3' },
  voters: { type: 'string' },
  'chapter-minutes': { type: 'string', default: '4' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

const LONGEST_FAULT_MS = 60_000

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const nodes = whole('nodes', values.nodes)
  if (nodes !== 3 && nodes !== 5) throw new UsageError(`--nodes ${values.nodes}: 3 or 5 is needed`)
  const unavailable = namespacesUnavailable()
  if (unavailable !== undefined) throw new UsageError(unavailable)
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : whole('seed', values.seed)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  say(`seed ${seed}, ${nodes} nodes, ${values.hours} hours`)
  const report = await runNetwork(
    {
      seed,
      nodes,
      voters: values.voters === undefined ? undefined : whole('voters', values.voters),
      durationMs: positive('hours', values.hours) * 3_600_000,
      chapterMs: positive('chapter-minutes', values['chapter-minutes']) * 60_000,
      longestFaultMs: LONGEST_FAULT_MS,
      quiet: !values.verbose,
    },
    say,
    stop.signal,
  )
  say(describeReport(report))
  return report.violations.length === 0 ? 0 : 1
}

function whole(name: string, text: string): number {
  const value = positive(name, text)
  if (!Number.isSafeInteger(value)) throw new UsageError(`--${name} ${text}: a whole number is needed`)
  return value
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new UsageError(`--${name} ${text}: a number above 0 is needed`)
  return value
}

await runCommand(main, HELP)
