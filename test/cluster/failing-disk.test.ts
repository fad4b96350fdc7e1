import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from '@ashlar/client'
import { NODE_ENDS } from '@ashlar/proto'
import { longest } from '../kit/deadline.ts'
import { DevCluster, eventually } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'

const BLOCK = 4096
const BLOCKS = 32

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start()
})
after(() => cluster?.stop())

async function pidOf(api: string): Promise<number> {
  const { pid } = (await (await fetch(`${api}/v1/local`)).json()) as { pid: number }
  return pid
}

/** The next sync of the log of a running node's database fails with EIO, once: the one after it would succeed. */
async function failNextSync(pid: number, dataDir: string): Promise<{ readonly ended: Promise<unknown> }> {
  const database = join(dataDir, 'store/db')
  const logs = (await readdir(database)).filter((name) => name.endsWith('.log'))
  const tracer = spawn(
    'strace',
    [
      ...['-f', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1'],
      ...[...logs.flatMap((name) => ['-P', join(database, name)]), '-p', `${pid}`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = new Promise((resolve) => tracer.once('exit', resolve))
  let said = ''
  tracer.stderr.on('data', (chunk) => {
    said += chunk
  })
  await eventually('strace is attached', async () => (said.includes('attached') ? true : undefined))
  return { ended }
}

test('a sync that failed ends the node, writes go on without it, and it comes back with all that was acknowledged', {
  timeout: longest(180_000),
}, async (t) => {
  if (!requireTool(t, 'strace')) return
  const [extent] = await cluster.healthy()
  const replica = cluster.info.nodes.find(({ id }) => id !== extent?.primary)
  assert.ok(replica !== undefined)
  const { id, api, dataDir } = replica
  const server = cluster.info.nodes.find((node) => node.id !== id)?.api ?? ''
  const incarnation = async () => {
    const nodes = await cluster.json<{ id: string; startCounter: number; trust: string }[]>(['node', 'ls'], server)
    return nodes.find((node) => node.id === id)
  }
  const startAgain = async (starts: number) => {
    cluster.start(id)
    await eventually('it registered', async () => ((await incarnation())?.startCounter === starts ? true : undefined))
    await cluster.healthy('demo', 60_000, server)
  }
  await cluster.kill(id)
  await startAgain(2)

  const tracer = await failNextSync(await pidOf(api), dataDir)
  await using client = await connect({ servers: cluster.info.nodes.map(({ peer }) => peer), ioTimeoutMs: 60_000 })
  await using volume = await client.openVolume('demo')
  const written = Array.from({ length: BLOCKS }, () => new Uint8Array(randomBytes(BLOCK)))
  await Promise.all(written.map((bytes, block) => volume.write(block * BLOCK, bytes)))
  assert.equal(await cluster.ended(id), NODE_ENDS['store-failed'].exit)
  await tracer.ended
  const log = await readFile(join(cluster.directory, 'logs', `${id}-again.log`), 'utf8')
  assert.match(log, /the store failed: .*Input\/output error/)
  await eventually('explain quotes why it ended', async () => {
    const { stdout } = await cluster.cli(['explain', 'node', id], { server })
    return /it ended by its own decision at .*, with exit code 20: "the store failed: .*Input\/output error/.test(
      stdout,
    ) && stdout.includes('repair or replace that disk')
      ? true
      : undefined
  })

  await startAgain(3)
  assert.equal((await incarnation())?.trust, 'trusted', 'nothing that it acknowledged is missing')
  for (const [block, bytes] of written.entries())
    assert.deepEqual(Buffer.from(await volume.read(block * BLOCK, BLOCK)), Buffer.from(bytes))
  const checked = await cluster.cli(['cluster', 'check', '--deep'], { server })
  assert.equal(checked.code, 0, checked.stdout)
})
