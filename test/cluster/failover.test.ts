import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { longest, Watch } from '../kit/deadline.ts'
import { DevCluster, type ExtentLine, eventually } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'

/**
 * Rounds of killing a primary and then a replica. Three fit into a test run; ASHLAR_FAILOVER_ROUNDS=10 is the long one.
 */
const ROUNDS = Number(process.env['ASHLAR_FAILOVER_ROUNDS'] ?? 3)
const LONGEST_STALL_MS = 10_000

interface FioJob {
  readonly error: number
  readonly read: { readonly clat_ns: { readonly max: number }; readonly total_ios: number }
  readonly write: { readonly clat_ns: { readonly max: number }; readonly total_ios: number }
}

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start({ size: '512Mi' })
})
after(() => cluster?.stop())

/** fio that writes and verifies what it wrote, over and over, until it is stopped. */
function startFio(uri: string): { child: ChildProcess; result: Promise<FioJob> } {
  const args = [
    '--name=verify',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randwrite',
    '--bssplit=4k/70:16k/20:64k/10',
    '--iodepth=32',
    '--size=64m',
  ]
  const child = spawn(
    'fio',
    [
      ...args,
      '--verify=crc32c',
      '--verify_fatal=1',
      '--verify_state_save=0',
      '--loops=100000',
      '--time_based',
      '--runtime=1200',
      '--output-format=json',
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const result = new Promise<FioJob>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => {
      const job = stdout.includes('{')
        ? (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: FioJob[] }).jobs[0]
        : undefined
      if (job === undefined) reject(new Error(`fio printed no result: ${stderr}`))
      else resolve(job)
    })
  })
  return { child, result }
}

/** A node that answers, other than the one that is down. */
function serverBeside(id: string): string {
  return cluster.info.nodes.find((node) => node.id !== id)?.api ?? ''
}

async function killAndReturn(id: string, gone: (extents: ExtentLine[]) => boolean): Promise<void> {
  const server = serverBeside(id)
  await cluster.kill(id)
  await eventually(`the cluster goes on without ${id}`, async () =>
    gone(await cluster.extents('demo', server)) ? true : undefined,
  )
  cluster.start(id)
  await cluster.healthy('demo', 60_000, server)
}

test(`nothing acknowledged is lost and no error is seen while primaries and replicas are killed, ${ROUNDS} times each`, {
  timeout: longest(900_000),
}, async (t) => {
  if (!requireTool(t, 'fio')) return
  using machine = new Watch()
  const fio = startFio(cluster.nbdUri)
  for (let round = 0; round < ROUNDS; round++) {
    const extents = await cluster.healthy()
    // Each node votes on control's log, and one of them leads it: no node is special, whichever it hits.
    const primary = extents[round % extents.length]?.primary ?? ''
    await killAndReturn(primary, (lines) => lines.every((extent) => extent.primary !== primary))
    const replica = cluster.info.nodes.map((node) => node.id).find((id) => id !== primary) ?? ''
    await killAndReturn(replica, (lines) =>
      lines.every(
        (extent) =>
          extent.primary !== replica && extent.replicas.every((r) => r.node !== replica || r.standing !== 'in-sync'),
      ),
    )
    assert.equal(fio.child.exitCode, null, 'fio still runs')
  }
  fio.child.kill('SIGINT')
  const job = await fio.result
  assert.equal(job.error, 0)
  assert.ok(job.read.total_ios > 0 && job.write.total_ios > 0, 'it wrote and verified')
  const stallMs = Math.max(job.read.clat_ns.max, job.write.clat_ns.max) / 1e6
  t.diagnostic(
    `longest stall ${stallMs.toFixed(0)} ms over ${job.write.total_ios} writes and ${job.read.total_ios} reads`,
  )
  machine.assertBelow(LONGEST_STALL_MS, stallMs, 'the longest stall')
  const check = await cluster.cli(['cluster', 'check', '--deep'])
  assert.equal(check.code, 0, check.stdout + check.stderr)
})
