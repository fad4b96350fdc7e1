import { type DevCluster, eventually, run } from '../../kit/dev-cluster.ts'

/** The victim of a trial: by what it does for the volume and for control, since the same node may do several things. */
export const ROLES = ['replica', 'leader', 'primary', 'both'] as const
export type Role = (typeof ROLES)[number]
export const SIGNALS = ['SIGKILL', 'SIGSTOP'] as const
export type VictimSignal = (typeof SIGNALS)[number]

export interface Trial {
  readonly role: Role
  readonly signal: VictimSignal
  readonly victim: string
  /** The longest that any write of the whole run took. */
  readonly longestMs: number
  readonly writes: number
}

const VOLUME = 'demo'
/** The victim is hit when this many writes were done, and they go on for long enough to show the whole stall. */
const WRITES_BEFORE = 200
const RUN_SECONDS = 8

interface FioOutput {
  readonly jobs: readonly {
    readonly error: number
    readonly write: { readonly total_ios: number; readonly clat_ns: { readonly max: number } }
  }[]
}

/** fio writes over NBD (4 KiB, 32 at once) while the node in this role is hit; then it comes back and is filled. */
export async function runTrial(cluster: DevCluster, role: Role, signal: VictimSignal): Promise<Trial> {
  const victim = await takeRole(cluster, role)
  const before = await writesDone(cluster)
  const writing = write(cluster.nbdUri, RUN_SECONDS)
  const begun = eventually(
    'writes go on',
    async () => (await writesDone(cluster)) >= before + WRITES_BEFORE || undefined,
  )
  // A fio that cannot begin fails first, and says why.
  await Promise.race([begun, writing.then(() => begun)])
  await cluster.kill(victim, signal)
  const { longestMs, writes } = await writing
  if (signal === 'SIGSTOP') await cluster.kill(victim, 'SIGCONT')
  else cluster.start(victim)
  await cluster.healthy(VOLUME, 120_000, beside(cluster, victim))
  return { role, signal, victim, longestMs, writes }
}

/** Moves leadership of control so that a node plays the role, and returns that node. */
export async function takeRole(cluster: DevCluster, role: Role): Promise<string> {
  return await eventually(`a node is ${role}`, async () => {
    const [extent] = await cluster.healthy(VOLUME)
    if (extent === undefined) return undefined
    const others = cluster.info.nodes.map(({ id }) => id).filter((id) => id !== extent.primary)
    const leader = role === 'both' ? extent.primary : (others[0] ?? '')
    const transferred = await cluster.cli(['cluster', 'leader', 'transfer', leader])
    const info = await cluster.json<{ leader: string | null }>(['cluster', 'leader', 'show'])
    if (transferred.code !== 0 || info.leader !== leader) return undefined
    return role === 'replica' ? others[1] : role === 'leader' ? leader : extent.primary
  })
}

/** Writes that the nodes have answered in their current incarnation, by their metrics. */
export async function writesDone(cluster: DevCluster): Promise<number> {
  let writes = 0
  for (const { api } of cluster.info.nodes) {
    const text = await (await fetch(`${api}/metrics`)).text()
    for (const [, count] of text.matchAll(
      /^ashlar_replication_operations_total\{[^}]*operation="write",code="OK"[^}]*\} (\d+)/gm,
    ))
      writes += Number(count)
  }
  return writes
}

function beside(cluster: DevCluster, victim: string): string {
  return cluster.info.nodes.find(({ id }) => id !== victim)?.api ?? ''
}

/** fio writes 4 KiB blocks at random, 32 at once, for so long; the longest write, and how many there were. */
export async function write(uri: string, seconds: number): Promise<{ longestMs: number; writes: number }> {
  const args = ['--name=randwrite-4k-qd32', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k']
  const { stdout, stderr } = await run(
    'fio',
    [
      ...[...args, '--iodepth=32', '--size=64m', '--norandommap=1', '--time_based', `--runtime=${seconds}`],
      '--output-format=json',
    ],
    { timeoutMs: (seconds + 120) * 1000 },
  )
  const [job] = stdout.includes('{') ? (JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioOutput).jobs : []
  if (job === undefined || job.error !== 0) throw new Error(`fio failed: ${stderr || stdout}`)
  return { longestMs: job.write.clat_ns.max / 1e6, writes: job.write.total_ios }
}
