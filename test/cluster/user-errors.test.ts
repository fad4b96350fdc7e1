import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { connect as connectTcp, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { NODE_ENDS } from '@ashlar/proto'
import { longest, Watch } from '../kit/deadline.ts'
import { DevCluster, eventually, freePorts, type RunResult, run } from '../kit/dev-cluster.ts'
import { requireTool } from '../kit/tools.ts'

let cluster: DevCluster
before(async () => {
  cluster = await DevCluster.start()
})
after(() => cluster?.stop())

/** A failure is one line that says what is wrong and what to do, with the exit code of its kind, and no stack. */
function assertOneLine(result: RunResult, code: number, expected: RegExp): void {
  assert.equal(result.code, code, result.stderr)
  const lines = result.stderr.trim().split('\n')
  assert.equal(lines.length, 1, result.stderr)
  assert.match(result.stderr, expected)
  assert.doesNotMatch(result.stderr, /\n\s+at /)
}

test('a volume of size 0 is refused', async () => {
  assertOneLine(await cluster.cli(['volume', 'create', 'nothing', '--size', '0']), 2, /size/)
})

test('more replicas than nodes are refused, with both numbers', async () => {
  assertOneLine(await cluster.cli(['volume', 'create', 'many', '--size', '64Mi', '--replicas', '5']), 4, /5.*3|3.*5/)
})

test('an unknown volume is not found', async () => {
  assertOneLine(await cluster.cli(['volume', 'describe', 'nowhere']), 3, /nowhere/)
})

test('an unknown NBD export is refused in words that the client prints, and the gateway goes on', async (t) => {
  if (!requireTool(t, 'nbdinfo')) return
  const wrong = await run('nbdinfo', [cluster.nbdUri.replace('/demo', '/nowhere')])
  assert.notEqual(wrong.code, 0)
  assert.match(wrong.stderr, /nowhere|unknown|no export/i)
  const right = await run('nbdinfo', [cluster.nbdUri])
  assert.equal(right.code, 0, right.stderr)
})

/** `server run` for one node beside the cluster, with its own directory. */
async function serverArgs(directory: string, port: number, more: readonly string[] = []): Promise<string[]> {
  const { api } = await freePorts(1)
  const script = cluster.node('n1').command[1] ?? ''
  return [
    script,
    'server',
    'run',
    '--data-dir',
    directory,
    '--listen',
    `127.0.0.1:${port}`,
    '--api',
    `127.0.0.1:${api}`,
    '--name',
    'stranger',
    ...more,
  ]
}

test('a port in use is named', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-port-'))
  const result = await run(process.execPath, await serverArgs(directory, port, ['--init']), { timeoutMs: 20_000 })
  taken.close()
  await rm(directory, { recursive: true, force: true })
  assertOneLine(result, 1, new RegExp(`${port}`))
})

test('a data directory of another cluster is refused by the peers, and the node says so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ashlar-other-'))
  const { nbd: port } = await freePorts(1)
  const other = await DevCluster.start({ nodes: 1, args: ['--replicas', '1'] })
  await other.stop({ keep: true })
  await cp(other.node('n1').dataDir, directory, { recursive: true })
  const peers = [`127.0.0.1:${port}`, ...cluster.info.nodes.map((node) => node.peer)].join(',')
  const result = await run(process.execPath, await serverArgs(directory, port, ['--peers', peers]), {
    timeoutMs: 20_000,
  })
  await rm(directory, { recursive: true, force: true })
  await rm(other.directory, { recursive: true, force: true })
  assertOneLine(result, NODE_ENDS['other-cluster'].exit, /another cluster/)
})

test('foreign bytes on the peer port disturb no node', async () => {
  const [host = '', port = '0'] = cluster.node('n2').peer.split(':')
  for (const bytes of [
    randomBytes(4096),
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]),
  ]) {
    using machine = new Watch()
    await new Promise<void>((resolve, reject) => {
      const socket = connectTcp(Number(port), host, () => socket.end(bytes))
      socket.setTimeout(longest(15_000), () => reject(new Error('the peer port left a stranger hanging')))
      socket.on('data', () => undefined)
      socket.on('error', () => resolve())
      socket.on('close', () => resolve())
    })
    machine.assertBelow(15_000, machine.elapsedMs, 'the end of a foreign connection')
  }
  await eventually('the node runs', async () =>
    (await fetch(`${cluster.node('n2').api}/healthz`)).ok ? true : undefined,
  )
  await cluster.healthy()
})
