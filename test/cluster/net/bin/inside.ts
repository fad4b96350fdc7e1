/**
 * The part of a run that is inside of the workload's namespace: the cluster, its users and the faults. Started by run.ts
 * as `inside.ts OPTIONS`. Writes the report, so far as it is, after every chapter.
 */
import { Chance } from '../../../sim/world/chance.ts'
import { type ChapterWorld, playChapter } from '../chapter.ts'
import { buildNetwork, enterNetwork, handReport } from '../inside.ts'
import { emptyReport, type NetOptions } from '../options.ts'

const inside = enterNetwork<NetOptions>()
const net = inside.options
const chance = new Chance(net.seed)
const started = performance.now()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())

const report = emptyReport()
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1).padStart(7)
const say = (text: string): void => void process.stdout.write(`${seconds()} s  ${text}\n`)
const note = net.quiet ? () => undefined : say

const { wire, cluster } = await buildNetwork(inside, chance.seed(), net.voters)
const world: ChapterWorld = { cluster, wire, options: net, report, users: [], signal: stop.signal, note }
const minute = setInterval(() => {
  const { chapters, calls, faults, violations } = report
  const sum = Object.values(faults).reduce((total, times) => total + times, 0)
  const done = world.users.reduce((total, user) => total + user.ended.done, calls.done)
  say(`${chapters} chapters, ${done} calls, ${sum} faults, ${violations.length} violations`)
}, 60_000)
try {
  await cluster.start()
  note('the cluster is healthy')
  do {
    await playChapter(world, report.chapters + 1, chance.fork())
    handReport(inside, report)
  } while (performance.now() - started < net.durationMs && !stop.signal.aborted && report.violations.length === 0)
  await cluster.stop()
} finally {
  clearInterval(minute)
  await wire.stop()
}
process.exit()
