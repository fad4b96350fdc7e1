import { before, Deadline } from '../../kit/deadline.ts'
import type { Chance } from '../../sim/world/chance.ts'
import { haunt } from './nemesis.ts'
import type { NetCluster } from './net-cluster.ts'
import type { NetOptions, NetReport } from './options.ts'
import type { Wire } from './wire.ts'
import { DiskUser, VolumeHistory } from './workload.ts'

/** Calls of one user in flight at once. */
const DEPTH = 4
/** From the end of all faults: until every user has a write and a read done, and until no call waits any more. */
const RECOVERY_MS = 60_000
const HEALTHY_MS = 120_000
const DEEP_CHECK_MS = 120_000

export interface ChapterWorld {
  readonly cluster: NetCluster
  readonly wire: Wire
  readonly options: NetOptions
  readonly report: NetReport
  /** Those of the chapter that is played. */
  users: readonly DiskUser[]
  /** Ends the faults early. */
  readonly signal: AbortSignal
  readonly note: (text: string) => void
}

/**
 * New volumes, users that write and read them while faults come and go, then none any more: everything must go on,
 * every read and the content at the end must be explained, and the replicas must be equal. Findings go to the report.
 *
 * @param chance decides everything that is random in it
 */
export async function playChapter(world: ChapterWorld, number: number, chance: Chance): Promise<void> {
  const { cluster, wire, options, report, signal } = world
  const own = new VolumeHistory(`own-${number}`)
  const shared = new VolumeHistory(`shared-${number}`)
  for (const { name } of [own, shared]) await cluster.createVolume(name)
  const library = (volume: VolumeHistory, mode: 'exclusive' | 'shared') => () => cluster.openLibrary(volume.name, mode)
  const users = [
    new DiskUser('the library', own, library(own, 'exclusive'), chance.fork()),
    new DiskUser('a library that shares', shared, library(shared, 'shared'), chance.fork()),
    new DiskUser('an NBD client', shared, () => cluster.openNbd(shared.name), chance.fork()),
  ]
  world.users = users
  {
    using deadline = new Deadline(RECOVERY_MS)
    const late = deadline.signal('every user has a write and a read done')
    await Promise.all(users.map((user) => user.prove(late)))
  }
  const working = Promise.all(users.map((user) => user.work(DEPTH)))
  // A rejection while faults are there is a bug of the harness: it must not go unhandled until the wait for it below.
  working.catch(() => undefined)
  const haunting = { durationMs: options.chapterMs, longestFaultMs: options.longestFaultMs }
  await haunt({ cluster, wire }, chance.fork(), haunting, signal, (kind, text) => {
    report.faults[kind] = (report.faults[kind] ?? 0) + 1
    world.note(text)
  })
  world.note('no faults any more')
  const recovered = await goOn(users, working, report)
  for (const user of users) {
    report.longestCallMs = Math.max(report.longestCallMs, user.longestMs)
    for (const [ending, calls] of Object.entries(user.ended)) report.calls[ending as 'done'] += calls
    for (const [reason, times] of user.failures) report.failures[reason] = (report.failures[reason] ?? 0) + times
    world.note(`${user.name}: ${user.ended.done} calls done, ${user.ended.unknown + user.ended.never} failed`)
  }
  world.users = []
  await judge(world, [own, shared], users, recovered)
  report.packets = { ...(await wire.counts()) }
  report.chapters++
}

/** False, with a finding, when a client still waits at the end of the time. */
async function goOn(users: readonly DiskUser[], working: Promise<unknown>, report: NetReport): Promise<boolean> {
  const since = performance.now()
  using deadline = new Deadline(RECOVERY_MS)
  const late = deadline.signal('going on without faults')
  const results = await Promise.allSettled(users.map((user) => before(late, user.prove(late))))
  report.longestRecoveryMs = Math.max(report.longestRecoveryMs, performance.now() - since)
  for (const user of users) user.stop()
  const finished = await Promise.allSettled([before(late, working)])
  const stalled = [...results, ...finished].filter((result) => result.status === 'rejected')
  const waiting = [...users.map(({ name }) => name), 'a call that was under way']
  for (const [index, result] of [...results, ...finished].entries()) {
    if (result.status === 'fulfilled') continue
    report.violations.push(`stall: ${waiting[index]} did not go on: ${result.reason}`)
  }
  return stalled.length === 0
}

/** What must be true now that all is quiet. */
async function judge(
  { cluster, report, note }: ChapterWorld,
  volumes: readonly VolumeHistory[],
  users: readonly DiskUser[],
  recovered: boolean,
): Promise<void> {
  const expect = async (what: string, check: () => Promise<void>): Promise<void> => {
    try {
      await check()
    } catch (error) {
      report.violations.push(`${what}: ${error instanceof Error ? error.message : error}`)
    }
  }
  await expect('the cluster does not become healthy', () => cluster.healthy(HEALTHY_MS))
  if (recovered) for (const user of users) await expect(`${user.name} cannot read`, () => user.readAll())
  for (const volume of volumes) report.violations.push(...volume.check())
  report.violations.push(...cluster.ownEnds.splice(0))
  await expect('cluster check --deep', async () => {
    const { code, stdout, stderr } = await cluster.cli(['cluster', 'check', '--deep'], DEEP_CHECK_MS)
    if (code !== 0) throw new Error(`it ended with ${code}: ${stdout}${stderr}`)
    note(`replicas are equal: ${/Compared:\s+(.*)/.exec(stdout)?.[1] ?? stdout}`)
  })
  if (!recovered) return
  for (const user of users) await user.close()
  for (const { name } of volumes) await expect(`remove ${name}`, () => cluster.removeVolume(name))
}
