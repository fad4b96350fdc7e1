/**
 * The part of a run that is inside of the workload's namespace: the cluster, its users and the faults. Started by run.ts
 * as `inside.ts OPTIONS`, where OPTIONS is InsideOptions as JSON. Writes the report, so far as it is, after every chapter.
 */
import { writeFileSync } from 'node:fs'
import { Chance } from '../../../sim/world/chance.ts'
import { type ChapterWorld, playChapter } from '../chapter.ts'
import { WORKLOAD } from '../faults.ts'
import { removeNamespaces } from '../namespaces.ts'
import { GATEWAY, NetCluster } from '../net-cluster.ts'
import { emptyReport } from '../options.ts'
import type { InsideOptions } from '../run.ts'
import { Wire } from '../wire.ts'

const { net, directory, reportFile, namespaces, home } = JSON.parse(process.argv[2] ?? '') as InsideOptions
const chance = new Chance(net.seed)
const nodes = Array.from({ length: net.nodes }, (_, index) => `n${index + 1}`)
const started = performance.now()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())

// Whoever started this run is gone, so nobody else removes what it has made.
process.stdin.resume().once('end', () => {
  removeNamespaces([...Object.values(namespaces), home])
  process.exit(1)
})

const namespaceOf = (place: string): string => {
  const namespace = namespaces[place]
  if (namespace === undefined) throw new Error(`${place} has no namespace`)
  return namespace
}
const report = emptyReport()
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1).padStart(7)
const say = (text: string): void => void process.stdout.write(`${seconds()} s  ${text}\n`)
const note = net.quiet ? () => undefined : say

const wire = await Wire.start(home, [...nodes, GATEWAY, WORKLOAD], namespaceOf, chance.seed())
const addressOf = (place: string): string => wire.addressOf(place)
const cluster = new NetCluster({ nodes, voters: net.voters, directory, namespaceOf, addressOf })
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
    writeFileSync(reportFile, JSON.stringify(report))
  } while (performance.now() - started < net.durationMs && !stop.signal.aborted && report.violations.length === 0)
  await cluster.stop()
} finally {
  clearInterval(minute)
  await wire.stop()
}
process.exit()
