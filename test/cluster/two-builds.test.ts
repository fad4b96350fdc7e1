import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect, type Volume } from '@ashlar/client'
import { FEATURE_LEVEL, MIB } from '@ashlar/proto'
import { eventually, freePorts, run } from '../kit/dev-cluster.ts'
import { BEFORE_LEVELS, olderBuild } from '../kit/older-build.ts'

const THIS_BUILD = [process.execPath, fileURLToPath(new URL('../../packages/cli/bin/ashlar.mjs', import.meta.url))]
const NODES = ['n1', 'n2', 'n3']
const BLOCK = 4096
const BLOCKS = 64
/** Three nodes that start from sources at once share the processors with whatever else is tested. */
const DEADLINE_MS = 60_000

interface ClusterInfo {
  readonly state: string
  readonly nodesUp: number
  readonly featureLevel?: number
  readonly featureLevelWaitsFor?: readonly string[]
}

/** Nodes of any build, each over a directory of its own that outlives its processes. */
class Nodes implements AsyncDisposable {
  readonly directory: string
  private readonly api: number
  private readonly processes = new Map<string, ChildProcess>()

  constructor(directory: string, api: number) {
    this.directory = directory
    this.api = api
  }

  peer(name: string): string {
    return `127.0.0.1:${this.api + 100 + numberOf(name)}`
  }

  /** Starts a node and waits until it serves. */
  async start(name: string, build: readonly string[]): Promise<void> {
    this.spawn(name, build)
    const ready = async () => ((await fetch(this.url(name, '/readyz'))).ok ? true : undefined)
    await eventually(`${name} is ready`, ready, DEADLINE_MS)
  }

  spawn(name: string, build: readonly string[]): ChildProcess {
    const [program = '', ...args] = build
    const peers = NODES.map((node) => this.peer(node)).join(',')
    const listen = ['--listen', this.peer(name), '--api', `127.0.0.1:${this.api + numberOf(name)}`]
    const where = ['--name', name, '--data-dir', join(this.directory, name), ...listen]
    const log = openSync(this.log(name), 'a')
    const bootstrap = ['--peers', peers, '--expect', String(NODES.length)]
    // Sources are stripped of their types once and not at every start.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.directory, 'compiled') }
    const child = spawn(program, [...args, 'server', 'run', ...where, ...bootstrap], {
      env,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.processes.set(name, child)
    return child
  }

  async stop(name: string): Promise<void> {
    const child = this.processes.get(name)
    child?.kill('SIGTERM')
    if (child !== undefined) await this.ended(name, child)
  }

  ended(name: string, child: ChildProcess): Promise<number> {
    return eventually(`${name} has ended`, async () =>
      child.exitCode === null && child.signalCode === null ? undefined : (child.exitCode ?? -1),
    )
  }

  /** Installs another build on a node, and waits until the cluster is whole again. */
  async install(name: string, build: readonly string[]): Promise<void> {
    await this.stop(name)
    await this.start(name, build)
    await this.healthy(name)
  }

  async healthy(asked: string): Promise<void> {
    await eventually(
      'the cluster is healthy',
      async () => {
        const { state, nodesUp } = await this.cluster(asked)
        return state === 'healthy' && nodesUp === NODES.length ? true : undefined
      },
      DEADLINE_MS,
    )
  }

  async cluster(asked: string): Promise<ClusterInfo> {
    return (await (await fetch(this.url(asked, '/v1/cluster'))).json()) as ClusterInfo
  }

  log(name: string): string {
    return join(this.directory, `${name}.log`)
  }

  /** Waits until a node's log says this. */
  said(name: string, pattern: RegExp): Promise<true> {
    return eventually(`${name} said ${pattern}`, async () =>
      pattern.test(await readFile(this.log(name), 'utf8')) ? true : undefined,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.processes.keys()].map((name) => this.stop(name)))
    await rm(this.directory, { recursive: true, force: true })
  }

  private url(name: string, path: string): string {
    return `http://127.0.0.1:${this.api + numberOf(name)}${path}`
  }
}

function numberOf(name: string): number {
  return Number(name.slice(1)) - 1
}

/** Writes block after block until it is stopped, and reads each of them, and one more, right after that. */
class Load {
  readonly #volume: Volume
  readonly #written = new Map<number, Buffer>()
  readonly #running: Promise<void>
  #stopped = false
  writes = 0

  constructor(volume: Volume) {
    this.#volume = volume
    this.#running = this.#run()
    // It is looked at where it is stopped.
    this.#running.catch(() => undefined)
  }

  /** Gives what the blocks hold now, which every read so far agreed with. */
  async stop(): Promise<ReadonlyMap<number, Buffer>> {
    this.#stopped = true
    await this.#running
    for (const block of this.#written.keys()) await this.#verify(block)
    return this.#written
  }

  async #run(): Promise<void> {
    for (let at = 0; !this.#stopped; at++) {
      const block = (at * 7) % BLOCKS
      const bytes = randomBytes(BLOCK)
      await this.#volume.write(block * BLOCK, bytes)
      this.#written.set(block, bytes)
      this.writes++
      await this.#verify(block)
      await this.#verify((at * 31) % BLOCKS)
    }
  }

  async #verify(block: number): Promise<void> {
    const expected = this.#written.get(block) ?? Buffer.alloc(BLOCK)
    assert.ok(expected.equals(await this.#volume.read(block * BLOCK, BLOCK)), `block ${block} is what was written last`)
  }
}

test('amendment 24: a cluster of the build before is upgraded node by node, and the last one raises the level', async (context) => {
  await using older = await olderBuild(context, BEFORE_LEVELS)
  if (older === undefined) return
  const { api } = await freePorts(NODES.length + 1)
  await using nodes = new Nodes(await mkdtemp(join(tmpdir(), 'ashlar-two-builds-')), api)
  await Promise.all(NODES.map((name) => nodes.start(name, older.command)))
  await using client = await connect({ servers: NODES.map((name) => nodes.peer(name)), ioTimeoutMs: 60_000 })
  await client.admin.create({ name: 'v', sizeBytes: 16 * MIB, replicas: 3, minInSync: 2 })
  await using volume = await client.openVolume('v')
  const load = new Load(volume)

  await nodes.install('n3', THIS_BUILD)
  const { featureLevel, featureLevelWaitsFor } = await nodes.cluster('n3')
  assert.equal(featureLevel, 0)
  assert.deepEqual(
    featureLevelWaitsFor,
    ['n1', 'n2'].map((name) => `${name}, whose build supports level 0: upgrade it`),
  )
  await nodes.install('n3', older.command)
  await nodes.install('n3', THIS_BUILD)
  await nodes.install('n2', THIS_BUILD)
  assert.equal((await nodes.cluster('n2')).featureLevel, 0, 'one node is missing')
  await nodes.install('n1', THIS_BUILD)
  for (const name of NODES) {
    await eventually(`${name} is at the level`, async () =>
      (await nodes.cluster(name)).featureLevel === FEATURE_LEVEL ? true : undefined,
    )
  }

  await nodes.stop('n2')
  assert.notEqual(await nodes.ended('n2', nodes.spawn('n2', older.command)), 0)
  await nodes.said('n2', /has format 2, but this version of ashlar reads formats up to 1/)
  nodes.spawn('n4', older.command)
  await nodes.said('n4', /this cluster uses feature level 1, and node n4 knows 0: upgrade node n4/)
  await nodes.start('n2', THIS_BUILD)
  await nodes.healthy('n2')
  const written = await load.stop()
  assert.ok(load.writes > 100, `${load.writes} writes`)
  await readByOlderClient(nodes, older.command, written)
})

/** A client is held to no level: the older build reads the volume over links of the older wire version. */
async function readByOlderClient(
  nodes: Nodes,
  [program = '', ...args]: readonly string[],
  written: ReadonlyMap<number, Buffer>,
): Promise<void> {
  const image = join(nodes.directory, 'v.raw')
  const peers = NODES.map((name) => nodes.peer(name)).join(',')
  const exported = await run(program, [...args, 'volume', 'export', 'v', image, '--peers', peers])
  assert.equal(exported.code, 0, exported.stderr)
  const bytes = await readFile(image)
  for (const [block, expected] of written)
    assert.ok(expected.equals(bytes.subarray(block * BLOCK, (block + 1) * BLOCK)), `block ${block} for an older client`)
}
