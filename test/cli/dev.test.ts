import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Watch } from '../kit/deadline.ts'
import { type DevInfo, eventually, freePorts, run } from '../kit/dev-cluster.ts'
import { isAlive } from '../kit/processes.ts'
import { ASHLAR, type DevProcess, startDev } from './dev-process.ts'
import { openExport } from './nbd-open.ts'

const READY_MS = 90_000

/** Waits for the one line of JSON; fails at once with what dev said when it ends before. */
async function readyLine(dev: DevProcess): Promise<DevInfo> {
  const line = await eventually(
    'ashlar dev says that it is ready',
    async () => {
      if (dev.out().includes('\n')) return dev.out()
      return dev.child.exitCode === null ? undefined : `ended: ${dev.error()}`
    },
    READY_MS,
  )
  assert.ok(line.startsWith('{'), line)
  return JSON.parse(line) as DevInfo
}

async function allGone(pids: readonly number[]): Promise<void> {
  await eventually('every process is gone', async () => (pids.some(isAlive) ? undefined : true))
}

function pidsOf(info: DevInfo): number[] {
  return [...info.nodes.map(({ pid }) => pid), info.gateway.pid]
}

describe('ashlar dev', () => {
  let directory: string
  let dataDir: string
  let ports: { api: number; nbd: number }
  let dev: DevProcess
  let info: DevInfo
  /** Processes that a test started by hand. */
  const others: ChildProcess[] = []

  const cli = (...args: string[]) =>
    run(process.execPath, [ASHLAR, ...args], { env: { ASHLAR_SERVER: info.nodes.map(({ api }) => api).join(',') } })
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ashlar-dev-'))
    dataDir = join(directory, 'dev')
    ports = await freePorts(3)
    const where = ['--data-dir', dataDir, '--api-port', `${ports.api}`, '--nbd', `127.0.0.1:${ports.nbd}`]
    dev = startDev([...where, '--size', '64Mi', '-o', 'json'])
    info = await readyLine(dev)
  })

  after(async () => {
    for (const child of others) child.kill('SIGTERM')
    if (dev.child.exitCode === null) dev.child.kill('SIGTERM')
    await dev.ended
    await rm(directory, { recursive: true, force: true })
  })

  it('prints one line of JSON once everything serves', async () => {
    assert.equal(dev.out().split('\n').length, 2)
    assert.deepEqual(Object.keys(info), ['cluster', 'nodes', 'gateway'])
    assert.deepEqual(
      info.nodes.map(({ id, api, peer, dataDir: place }) => [id, api, peer, place]),
      [0, 1, 2].map((at) => [
        `n${at + 1}`,
        `http://127.0.0.1:${ports.api + at}`,
        `127.0.0.1:${ports.api + 100 + at}`,
        join(dataDir, `n${at + 1}`),
      ]),
    )
    assert.deepEqual(info.gateway.nbd, [`nbd://127.0.0.1:${ports.nbd}/demo`])
    for (const pid of pidsOf(info)) assert.ok(isAlive(pid))
    for (const { api } of info.nodes) assert.equal((await fetch(`${api}/readyz`)).status, 200)
    const cluster = JSON.parse(await ok('cluster', 'info', '-o', 'json'))
    assert.deepEqual([cluster.state, cluster.nodes, cluster.cluster], ['healthy', 3, info.cluster])
    const [demo] = JSON.parse(await ok('volume', 'ls', '-o', 'json'))
    assert.deepEqual([demo.name, demo.sizeBytes, demo.replicas, demo.state], ['demo', 64 * 2 ** 20, 3, 'healthy'])
  })

  it('keeps the log of each process', async () => {
    const log = await readFile(join(dataDir, 'logs/n1.log'), 'utf8')
    const lines = log.trim().split('\n')
    assert.ok(lines.length > 0)
    for (const line of lines) assert.equal(JSON.parse(line).node, 'n1')
  })

  it('refuses a second one over the same directory, and changes nothing', async () => {
    const second = startDev(['--data-dir', dataDir])
    assert.equal(await second.ended, 4)
    assert.match(second.error(), /^ashlar: ashlar dev already runs in .*, as process \d+ \([^\n]*\)\n$/)
    assert.equal(JSON.parse(await ok('cluster', 'info', '-o', 'json')).state, 'healthy')
  })

  it('leaves a node dead that dies, says so, and its own command brings it back', async () => {
    const node = info.nodes[1]
    assert.ok(node !== undefined)
    process.kill(node.pid, 'SIGKILL')
    await eventually('dev says that n2 ended', async () =>
      /n2 .* ended by SIGKILL/.test(dev.error()) ? true : undefined,
    )
    await eventually('the cluster is not healthy', async () =>
      (await cli('cluster', 'check')).code === 8 ? true : undefined,
    )
    assert.equal(isAlive(node.pid), false)
    const [program = '', ...args] = node.command
    others.push(spawn(program, args, { stdio: 'ignore', cwd: tmpdir() }))
    await ok('cluster', 'wait', '--for', 'healthy', '--timeout', '60s')
    const extents = JSON.parse(await ok('extent', 'ls', 'demo', '-o', 'json'))
    for (const { replicas } of extents) for (const { standing } of replicas) assert.equal(standing, 'in-sync')
  })

  it('stop and start take one node down and up again, also one that was started by hand', async () => {
    await ok('dev', 'stop', 'n2', '--data-dir', dataDir)
    const stopped = await cli('dev', 'stop', 'n3', '--kill', '--data-dir', dataDir)
    assert.match(stopped.stderr, / has ended; start it again with: ashlar dev start n3 --data-dir \//)
    const twice = await cli('dev', 'stop', 'n2', '--data-dir', dataDir)
    assert.deepEqual([twice.code, twice.stderr.includes('n2 is not running')], [4, true])
    await ok('dev', 'stop', 'n1', '--kill', '--data-dir', dataDir)
    // One voter of three: it listens, and that is all that it can do.
    const alone = await cli('dev', 'start', 'n2', '--data-dir', dataDir)
    assert.equal(alone.code, 0, alone.stderr)
    assert.match(alone.stderr, /^n2 runs as process \d+ and listens, but .*: 1 of 3 voters responds, and 2 are needed/)
    assert.match(alone.stderr, new RegExp(`\n  ashlar dev start n1 --data-dir ${dataDir}\n  ashlar dev start n3 `))
    for (const id of ['n3', 'n1']) {
      const { code, stderr } = await cli('dev', 'start', id, '--data-dir', dataDir)
      assert.deepEqual([code, stderr.endsWith(' and has registered\n')], [0, true], stderr)
      const node = info.nodes.find((each) => each.id === id)
      const local = (await (await fetch(`${node?.api}/v1/local`)).json()) as { leaseHeld: boolean }
      assert.equal(local.leaseHeld, true)
    }
    assert.equal((await cli('dev', 'start', 'n1', '--data-dir', dataDir)).code, 4)
    // No node is named: they are found in the directory.
    const found = await run(process.execPath, [ASHLAR, 'cluster', 'info', '-o', 'json', '--data-dir', dataDir])
    assert.equal(JSON.parse(found.stdout).cluster, info.cluster, found.stderr)
    await ok('cluster', 'wait', '--timeout', '60s')
    assert.equal((await cli('dev', 'stop', 'n9', '--data-dir', dataDir)).code, 3)
    assert.equal((await cli('dev', 'stop', 'n1', '--data-dir', directory)).code, 3)
  })

  it('start of the gateway returns when it listens', async () => {
    await ok('dev', 'stop', 'gateway', '--data-dir', dataDir)
    await ok('dev', 'start', 'gateway', '--data-dir', dataDir)
    const socket = connect(ports.nbd, '127.0.0.1')
    const [greeting] = await once(socket, 'data')
    socket.destroy()
    assert.equal(greeting.toString('latin1', 0, 8), 'NBDMAGIC')
  })

  it('start of a node that ends fails with the reason from its log, and the path of the log', async () => {
    await ok('dev', 'stop', 'n3', '--data-dir', dataDir)
    const waited = await cli('cluster', 'wait', '--grace', '2s')
    assert.equal(waited.code, 5, waited.stderr)
    assert.ok(waited.stderr.includes(`: ashlar dev start n3 --data-dir ${dataDir}\n`), waited.stderr)
    assert.match(waited.stderr, /\nashlar: the cluster does not become healthy without an operator: n3 is down: .*\n$/)
    await rename(join(dataDir, 'n3'), join(dataDir, 'n3.moved'))
    await mkdir(join(dataDir, 'n3'))
    await writeFile(join(dataDir, 'n3/foreign'), '')
    const { code, stderr } = await cli('dev', 'start', 'n3', '--data-dir', dataDir)
    assert.equal(code, 1)
    assert.match(stderr, /^ashlar: n3 ended with code 27: the data directory .* holds other files \(foreign\)[^\n]*\n$/)
    assert.ok(stderr.includes(`its log is ${join(dataDir, 'logs/n3.log')}`))
    await rm(join(dataDir, 'n3'), { recursive: true })
    await rename(join(dataDir, 'n3.moved'), join(dataDir, 'n3'))
    await ok('dev', 'start', 'n3', '--data-dir', dataDir)
    await ok('cluster', 'wait', '--timeout', '60s')
  })

  it('logs prints readable lines with the names of nodes, and follows until SIGINT', async () => {
    const text = await ok('dev', 'logs', 'n1', '--data-dir', dataDir)
    assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z info {2}registered {2}revision=\d+$/m)
    assert.match(text, / transport: link up {2}.* peer\.store=n[23] /)
    const args = ['dev', 'logs', 'gateway', '-f', '--data-dir', dataDir]
    const following = spawn(process.execPath, [ASHLAR, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let lines = ''
    following.stdout.on('data', (chunk) => {
      lines += chunk
    })
    const ended = once(following, 'close')
    await eventually('the log so far', async () => (lines.includes(' serving ') ? true : undefined))
    const stops = (lines.match(/ stopped$/gm) ?? []).length
    await ok('dev', 'stop', 'gateway', '--data-dir', dataDir)
    await eventually('a new line', async () => ((lines.match(/ stopped$/gm) ?? []).length > stops ? true : undefined))
    following.kill('SIGINT')
    assert.deepEqual(await ended, [0, null])
    await ok('dev', 'start', 'gateway', '--data-dir', dataDir)
  })

  it('serves images in and out, and every replica is the same', async () => {
    const image = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(5_000_000), randomBytes(100_001)])
    await writeFile(join(directory, 'in.img'), image)
    await ok('volume', 'import', join(directory, 'in.img'), 'demo')
    await ok('volume', 'export', 'demo', join(directory, 'out.img'))
    const exported = await readFile(join(directory, 'out.img'))
    assert.equal(exported.length, 64 * 2 ** 20)
    assert.equal(Buffer.compare(exported.subarray(0, image.length), image), 0)
    assert.ok(exported.subarray(image.length).every((byte) => byte === 0))
    const piped = await run(
      'sh',
      ['-c', `"$0" "$1" volume export demo - | cmp - "$2"`, process.execPath, ASHLAR, join(directory, 'out.img')],
      {
        env: { ASHLAR_SERVER: info.nodes[0]?.api ?? '' },
      },
    )
    assert.equal(piped.code, 0, piped.stderr)
    const check = JSON.parse(await ok('cluster', 'check', '--deep', '-o', 'json'))
    assert.deepEqual(check.problems, [])
    assert.equal(check.deep.replicas, 3)
    assert.ok(check.deep.blocks >= 3 * 757)
  })

  it('an import refuses a volume that somebody has open, and --force takes it over: the gateway exits 4', async () => {
    const args = ['gateway', 'run', '--listen', '127.0.0.1:0', '--peers', info.nodes.map(({ peer }) => peer).join(',')]
    const gateway = spawn(process.execPath, [ASHLAR, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    others.push(gateway)
    let log = ''
    let error = ''
    gateway.stdout.on('data', (chunk) => {
      log += chunk
    })
    gateway.stderr.on('data', (chunk) => {
      error += chunk
    })
    const ended = new Promise((resolve) => gateway.once('close', resolve))
    const port = await eventually('the gateway listens', async () => /nbd:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1])
    const socket = await openExport('127.0.0.1', Number(port), 'demo')
    socket.on('error', () => undefined)
    const image = join(directory, 'small.img')
    await writeFile(image, randomBytes(4096))
    const refused = await cli('volume', 'import', image, 'demo')
    assert.equal(refused.code, 4)
    assert.match(refused.stderr, /^ashlar: [^\n]*gateway on [^\n]*\n$/)
    await ok('volume', 'import', image, 'demo', '--force')
    assert.equal(await ended, 4)
    assert.match(error, /^ashlar: export demo is lost: [^\n]*\n$/)
  })

  it('stops everything on Ctrl-C, also what was started by hand, and outlives every process that it started', async () => {
    assert.equal(dev.child.exitCode, null)
    const pids = JSON.parse(await readFile(join(dataDir, 'dev.json'), 'utf8')).nodes.map(
      ({ pid }: { pid: number }) => pid,
    )
    dev.child.kill('SIGINT')
    assert.equal(await dev.ended, 0, dev.error())
    await allGone([...pidsOf(info), ...pids])
    const { code, stderr } = await cli('cluster', 'info', '--data-dir', dataDir)
    assert.equal(code, 5)
    assert.match(stderr, /^ashlar: no node responds: n1 at http:\S+ \(no process listens there\), n2 at /)
    assert.ok(stderr.endsWith(`(start the cluster again with: ashlar dev --data-dir ${dataDir})\n`), stderr)
  })

  it('brings the same data back the second time, at the same addresses', async () => {
    dev = startDev(['--data-dir', dataDir, '--nbd', `127.0.0.1:${ports.nbd}`, '-o', 'json'])
    const again = await readyLine(dev)
    assert.deepEqual(
      again.nodes.map(({ api, command }) => [api, command]),
      info.nodes.map(({ api, command }) => [api, command]),
    )
    assert.equal(again.cluster, info.cluster)
    info = again
    await ok('volume', 'export', 'demo', join(directory, 'again.img'))
    const before = await readFile(join(directory, 'out.img'))
    const small = await readFile(join(directory, 'small.img'))
    small.copy(before)
    assert.equal(Buffer.compare(await readFile(join(directory, 'again.img')), before), 0)
  })

  it('leaves no process behind when it is killed', async () => {
    dev.child.kill('SIGKILL')
    assert.equal(await dev.ended, 'SIGKILL')
    await allGone(pidsOf(info))
  })
})

describe('ashlar dev with one node', () => {
  it('says Ready to people, starts what dies with --restart, and listens on a unix socket', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-one-'))
    const { api } = await freePorts(1)
    const socket = join(directory, 'nbd.sock')
    const where = ['--data-dir', join(directory, 'dev'), '--api-port', `${api}`, '--nbd', `unix:${socket}`]
    const dev = startDev([...where, '--nodes', '1', '--size', '64Mi', '--restart'])
    t.after(async () => {
      dev.child.kill('SIGTERM')
      assert.equal(await dev.ended, 0)
      await rm(directory, { recursive: true, force: true })
    })
    await eventually('Ready', async () => (dev.out().endsWith('\nReady\n') ? true : undefined), READY_MS)
    assert.match(dev.out(), new RegExp(`nbd\\+unix:///demo\\?socket=${socket}`))
    const local = async () =>
      (await fetch(`http://127.0.0.1:${api}/v1/local`)).json() as Promise<{ pid: number; ready: boolean }>
    const { pid } = await local()
    process.kill(pid, 'SIGKILL')
    await eventually('n1 serves again', async () => {
      const now = await local()
      return now.pid !== pid && now.ready ? true : undefined
    })
  })
})

describe('ashlar dev that is asked to stop before it serves', () => {
  it('gives up at once, also with --restart, and leaves nothing behind', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-early-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const { api, nbd } = await freePorts(3)
    const where = ['--data-dir', directory, '--api-port', `${api}`, '--nbd', `127.0.0.1:${nbd}`]
    const dev = startDev([...where, '--restart'])
    await eventually('dev begins', async () => (dev.error().startsWith('starting 3 nodes') ? true : undefined))
    using machine = new Watch()
    dev.child.kill('SIGTERM')
    assert.equal(await dev.ended, 0, dev.error())
    machine.assertBelow(30_000, machine.elapsedMs, 'the end')
    assert.equal(dev.out(), '')
    for (let node = 0; node < 3; node++) await assert.rejects(fetch(`http://127.0.0.1:${api + node}/healthz`))
  })
})

describe('ashlar dev where a port is in use', () => {
  it('says in one line which and what to do, and starts nothing', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'ashlar-port-'))
    const { api, nbd } = await freePorts(3)
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(api + 101, '127.0.0.1', resolve))
    t.after(async () => {
      taken.close()
      await rm(directory, { recursive: true, force: true })
    })
    const dev = startDev(['--data-dir', directory, '--api-port', `${api}`, '--nbd', `127.0.0.1:${nbd}`])
    assert.equal(await dev.ended, 4)
    assert.equal(
      dev.error(),
      `ashlar: 127.0.0.1:${api + 101}, the peer address of n2, is in use (stop what uses it, or give another --api-port)\n`,
    )
    assert.equal(dev.out(), '')
  })
})
