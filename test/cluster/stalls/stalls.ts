/** `npm run stalls`: how long a client's write is held up at most while nodes die or hang. See --help. */
import { parseArgs } from 'node:util'
import { DevCluster } from '../../kit/dev-cluster.ts'
import { stayAway } from './away.ts'
import { stayCalm } from './calm.ts'
import { ROLES, type Role, runTrial, SIGNALS, type Trial, type VictimSignal } from './trial.ts'

const HELP = `usage: npm run stalls -- [--trials N] [--role ROLE,...] [--signal SIGNAL,...]
       npm run stalls -- --calm [--minutes M] [--every SECONDS]
       npm run stalls -- --away [--minutes M] [--rate N]

Starts a cluster of three nodes as \`ashlar dev\` does, lets fio write 4 KiB blocks at random over NBD, 32 at once, and
hits one node in each trial. Prints the longest write of each trial, and p50 and p99 by role and signal.

--trials N   trials of each role and signal (20)
--role       replica, leader, primary, both; all unless it is said otherwise. leader: of control, and no primary.
             primary: and not leader. both: in one. replica: neither
--signal     SIGKILL, SIGSTOP; both unless it is said otherwise

--calm       no node dies: while fio writes, one node after the other stands still for half a second (SIGSTOP, SIGCONT), one
             each minute. Fails when another node took over for it: when an extent got another primary, a store left an in-sync
             set or was called lost, control got another leader, or the map changed at all
--minutes    how long (30)
--every      seconds from one pause to the next (60)

--away       a node of three is away while the library writes 4 KiB blocks at random, then it comes back. Prints the memory of
             the two that stay; fails when the last third of the run needs more of it than the third before
--minutes    how long (30)
--rate       writes a second (200)

exit codes: 0 done, 1 error, a failover without a cause, or memory that grew, 2 usage
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '20' },
      role: { type: 'string', default: ROLES.join() },
      signal: { type: 'string', default: SIGNALS.join() },
      calm: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '30' },
      every: { type: 'string', default: '60' },
      away: { type: 'boolean', default: false },
      rate: { type: 'string', default: '200' },
      help: { type: 'boolean', default: false },
    },
  })
  const roles = values.role.split(',').filter((role): role is Role => ROLES.some((known) => known === role))
  const signals = values.signal.split(',').filter((it): it is VictimSignal => SIGNALS.some((known) => known === it))
  const trials = Number(values.trials)
  const [minutes, everySeconds] = [Number(values.minutes), Number(values.every)]
  const rate = Number(values.rate)
  const counts = [trials, minutes, everySeconds, rate]
  const possible = roles.length > 0 && signals.length > 0 && counts.every((count) => count > 0)
  if (values.help || !possible) {
    process.stdout.write(HELP)
    return values.help ? 0 : 2
  }
  if (values.away) return await away(minutes, rate)
  return values.calm ? await calm({ minutes, everySeconds }) : await stalls(trials, roles, signals)
}

async function calm(options: { readonly minutes: number; readonly everySeconds: number }): Promise<number> {
  const cluster = await DevCluster.start({ size: '64Mi' })
  let failed = true
  try {
    const result = await stayCalm(cluster, options, (line) => process.stdout.write(`${line}\n`))
    const { pauses, failovers, leasesLost, busy, longestMs, writes } = result
    process.stdout.write(
      `\n${pauses} pauses in ${options.minutes} minutes, processors ${(100 * busy).toFixed(0)} % in use: ${writes} writes, the ` +
        `longest ${longestMs.toFixed(0)} ms; ${leasesLost} leases lapsed and were renewed; ${failovers.length === 0 ? 'no failover' : 'failovers:'}\n`,
    )
    for (const failover of failovers) process.stdout.write(`${failover}\n`)
    failed = failovers.length > 0
  } finally {
    await cluster.stop({ keep: failed })
    if (failed) process.stdout.write(`the logs are in ${cluster.directory}\n`)
  }
  return failed ? 1 : 0
}

async function away(minutes: number, writesPerSecond: number): Promise<number> {
  const cluster = await DevCluster.start({ size: '256Mi' })
  try {
    const result = await stayAway(cluster, { minutes, writesPerSecond }, (line) => process.stdout.write(`${line}\n`))
    for (const { node, thirds } of result.memory)
      process.stdout.write(`${node}: ${thirds.map((mib) => mib.toFixed(0)).join(', ')} MiB in the thirds of the run\n`)
    process.stdout.write(
      `${result.writes} writes, the longest ${result.longestMs.toFixed(0)} ms; the node was in sync again after ` +
        `${(result.backMs / 1000).toFixed(1)} s; memory ${result.flat ? 'was flat' : 'GREW'}\n`,
    )
    return result.flat ? 0 : 1
  } finally {
    await cluster.stop()
  }
}

async function stalls(trials: number, roles: readonly Role[], signals: readonly VictimSignal[]): Promise<number> {
  const cluster = await DevCluster.start({ size: '64Mi' })
  const done: Trial[] = []
  try {
    for (let trial = 0; trial < trials; trial++)
      for (const signal of signals)
        for (const role of roles) {
          const result = await runTrial(cluster, role, signal)
          done.push(result)
          process.stdout.write(`${signal} ${role} ${result.victim}: ${result.longestMs.toFixed(0)} ms\n`)
        }
  } finally {
    await cluster.stop()
    process.stdout.write(table(done))
  }
  return 0
}

function table(trials: readonly Trial[]): string {
  const rows = SIGNALS.flatMap((signal) =>
    ROLES.flatMap((role) => {
      const stalls = trials.filter((it) => it.signal === signal && it.role === role).map((it) => it.longestMs)
      if (stalls.length === 0) return []
      stalls.sort((a, b) => a - b)
      const at = (share: number) => (stalls[Math.ceil(share * stalls.length) - 1] ?? 0).toFixed(0).padStart(6)
      return [`${signal}  ${role.padEnd(8)} ${String(stalls.length).padStart(6)} ${at(0.5)} ${at(0.99)}\n`]
    }),
  )
  return `\nSIGNAL   ROLE     TRIALS p50 ms p99 ms\n${rows.join('')}`
}

process.exitCode = await main()
