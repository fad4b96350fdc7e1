import { cpus } from 'node:os'
import { setTimeout as after } from 'node:timers/promises'
import { TIMERS } from '@ashlar/proto'
import { type DevCluster, eventually } from '../../kit/dev-cluster.ts'
import { write, writesDone } from './trial.ts'

/**
 * What may not happen while no node dies: events that nodes count. Any of them is a failover without a cause. That a
 * lease lapses for a moment and is renewed is none: requests wait for it, and no node takes over. It is reported.
 */
const FAILOVERS: Readonly<Record<string, string>> = {
  'raft-leader': 'control got another leader',
  'store-expired': 'control called a store lost',
  'extent-active': 'an extent got another primary',
  'in-sync-change-asked': 'a store was to leave an in-sync set, or to enter it again',
}
const LEASE_LOST = 'lease-lost'

export interface Calm {
  readonly pauses: number
  /** What happened that must not, one line each, with how often. */
  readonly failovers: readonly string[]
  readonly leasesLost: number
  /** Share of all processors that was in use, 0 to 1. */
  readonly busy: number
  readonly longestMs: number
  readonly writes: number
}

/**
 * fio writes for `minutes` while one node after the other pauses for TIMERS.toleratedPauseMs, one each
 * `everySeconds`. SIGSTOP and SIGCONT make it pause: they stop its event loop, as garbage collection or a long
 * call would, and its connections stay.
 */
export async function stayCalm(
  cluster: DevCluster,
  options: { readonly minutes: number; readonly everySeconds: number },
  say: (line: string) => void,
): Promise<Calm> {
  await cluster.healthy()
  const roles = await rolesOf(cluster)
  const runMs = options.minutes * 60_000
  const before = await writesDone(cluster)
  const writing = write(cluster.nbdUri, Math.ceil(runMs / 1000) + 10)
  const begun = eventually('writes go on', async () => (await writesDone(cluster)) > before || undefined)
  await Promise.race([begun, writing.then(() => begun)])
  const [factsBefore, revisionBefore, loadBefore] = [await facts(cluster), await revisions(cluster), processors()]
  const started = performance.now()
  let pauses = 0
  for (let next = 0.5 * options.everySeconds * 1000; next < runMs; next += options.everySeconds * 1000) {
    await Promise.race([after(next - (performance.now() - started)), writing])
    const node = cluster.info.nodes[pauses++ % cluster.info.nodes.length]
    if (node === undefined) throw new Error('a cluster without nodes')
    const pausedMs = await pauseNode(cluster, node.id)
    say(
      `${clock(performance.now() - started)} ${node.id} (${roles.get(node.id)}) stood still for ${pausedMs.toFixed(0)} ms`,
    )
  }
  await Promise.race([after(Math.max(0, runMs - (performance.now() - started))), writing])
  const [factsAfter, revisionAfter, loadAfter] = [await facts(cluster), await revisions(cluster), processors()]
  const { longestMs, writes } = await writing
  const count = (what: string) => (factsAfter.get(what) ?? 0) - (factsBefore.get(what) ?? 0)
  const failovers = Object.entries(FAILOVERS).flatMap(([what, meaning]) =>
    count(what) === 0 ? [] : [`${meaning}: ${count(what)} times (${what})`],
  )
  if (revisionAfter !== revisionBefore)
    failovers.push(`the map changed: from revision ${revisionBefore} to ${revisionAfter}`)
  const busy = 1 - (loadAfter.idle - loadBefore.idle) / (loadAfter.total - loadBefore.total)
  return { pauses, failovers, leasesLost: count(LEASE_LOST), busy, longestMs, writes }
}

/** Stops a node's process; how long it paused. */
async function pauseNode(cluster: DevCluster, id: string): Promise<number> {
  await cluster.kill(id, 'SIGSTOP')
  const stopped = performance.now()
  await after(TIMERS.toleratedPauseMs)
  await cluster.kill(id, 'SIGCONT')
  return performance.now() - stopped
}

async function rolesOf(cluster: DevCluster): Promise<ReadonlyMap<string, string>> {
  const extents = await cluster.extents()
  const { leader } = await cluster.json<{ leader: string | null }>(['cluster', 'leader', 'show'])
  return new Map(
    cluster.info.nodes.map(({ id }) => {
      const role = extents.some(({ primary }) => primary === id) ? 'primary' : 'replica'
      return [id, id === leader ? `${role} and leader of control` : role]
    }),
  )
}

/** How often the nodes reported each event, all nodes together. */
async function facts(cluster: DevCluster): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { api } of cluster.info.nodes) {
    const text = await (await fetch(`${api}/metrics`)).text()
    for (const [, what = '', count] of text.matchAll(
      /^ashlar_process_events_total\{[^}]*what="([^"]+)"[^}]*\} (\d+)/gm,
    ))
      counts.set(what, (counts.get(what) ?? 0) + Number(count))
  }
  if (counts.size === 0) throw new Error('the metrics of the nodes count no facts: a failover would not be seen')
  return counts
}

/** Revision of the map at each node. Nothing but a command that control committed raises it. */
async function revisions(cluster: DevCluster): Promise<string> {
  const revisions: string[] = []
  for (const { api } of cluster.info.nodes) {
    const text = await (await fetch(`${api}/metrics`)).text()
    revisions.push(/^ashlar_control_map_revision(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? '?')
  }
  return [...new Set(revisions)].join(', ')
}

/** Time of all processors since the machine started: without work, and altogether, ms. */
function processors(): { readonly idle: number; readonly total: number } {
  const times = cpus().map((processor) => processor.times)
  const sum = (of: (time: (typeof times)[number]) => number) => times.reduce((total, time) => total + of(time), 0)
  return {
    idle: sum(({ idle }) => idle),
    total: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq),
  }
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
