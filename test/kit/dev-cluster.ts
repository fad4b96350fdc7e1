import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Deadline } from './deadline.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ASHLAR = join(ROOT, 'packages/cli/bin/ashlar.mjs')

/** What `ashlar dev -o json` prints. */
export interface DevInfo {
  readonly cluster: string
  readonly nodes: readonly { id: string; pid: number; api: string; peer: string; dataDir: string; command: string[] }[]
  readonly gateway: { readonly pid: number; readonly nbd: readonly string[]; readonly command: string[] }
}

export interface ExtentLine {
  readonly extent: number
  readonly epoch: number
  readonly primary: string
  readonly replicas: readonly { readonly node: string; readonly standing: string; readonly behindBlocks: number }[]
}

export interface RunResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end; its output is kept, its failure is the caller's to judge. When the deadline passes it is
 * killed, and `stderr` says so.
 */
export function run(
  command: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>
    /** The whole environment, in place of this process's with `env` over it. */
    onlyEnv?: NodeJS.ProcessEnv
    cwd?: string
    timeoutMs?: number
    input?: string | Uint8Array
  } = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const env = options.onlyEnv ?? { ...process.env, ...options.env }
    const child = spawn(command, args, { env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    const deadline = new Deadline(options.timeoutMs ?? 120_000).onPassed(() => {
      stderr += `killed: ${deadline.missed(`${command} ends`)}\n`
      child.kill('SIGKILL')
    })
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    child.on('error', (error) => {
      deadline[Symbol.dispose]()
      reject(error)
    })
    child.on('close', (code) => {
      deadline[Symbol.dispose]()
      resolve({ code, stdout, stderr })
    })
  })
}

/** Waits until `probe` gives a value; fails with `what` after the deadline. A condition, never a sleep. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  deadlineMs = 30_000,
): Promise<T> {
  using deadline = new Deadline(deadlineMs)
  let last: unknown
  while (!deadline.passed) {
    try {
      const value = await probe()
      if (value !== undefined) return value
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(deadline.missed(what), { cause: last })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * A base so that base … base + nodes and base + 100 … base + 100 + nodes are free, and one port more for NBD. Below the
 * ports that Linux gives to connections, which could take one before it is listened on.
 */
export async function freePorts(nodes: number): Promise<{ api: number; nbd: number }> {
  for (let tries = 0; tries < 100; tries++) {
    const api = 20_000 + Math.floor(Math.random() * 60) * 200
    const ports = [
      ...Array.from({ length: nodes }, (_, at) => api + at),
      ...Array.from({ length: nodes }, (_, at) => api + 100 + at),
      api + 50,
    ]
    if ((await Promise.all(ports.map(portIsFree))).every(Boolean)) return { api, nbd: api + 50 }
  }
  throw new Error('no free ports for a cluster')
}

/** A cluster of real processes, started by `ashlar dev` as an operator would, on ports and a directory of its own. */
export class DevCluster {
  readonly info: DevInfo
  readonly directory: string
  private readonly dev: ChildProcess
  private readonly log: string[]
  /** Nodes and gateways that were started again by hand. */
  private readonly children = new Set<ChildProcess>()

  private constructor(dev: ChildProcess, info: DevInfo, directory: string, log: string[]) {
    this.dev = dev
    this.info = info
    this.directory = directory
    this.log = log
  }

  static async start(
    options: {
      nodes?: number
      size?: string
      directory?: string
      args?: readonly string[]
      deadlineMs?: number
      /** Options for the Node that runs every process. */
      nodeFlags?: readonly string[]
    } = {},
  ): Promise<DevCluster> {
    const nodes = options.nodes ?? 3
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'ashlar-cluster-')))
    const { api, nbd } = await freePorts(nodes)
    const args = [
      ...(options.nodeFlags ?? []),
      ASHLAR,
      'dev',
      '-o',
      'json',
      '--nodes',
      `${nodes}`,
      '--data-dir',
      directory,
      '--api-port',
      `${api}`,
      '--nbd',
      `127.0.0.1:${nbd}`,
    ]
    const dev = spawn(process.execPath, [...args, '--size', options.size ?? '64Mi', ...(options.args ?? [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const log: string[] = []
    dev.stderr?.on('data', (chunk) => log.push(String(chunk)))
    const line = await new Promise<string>((resolve, reject) => {
      let text = ''
      const deadline = new Deadline(options.deadlineMs ?? 60_000).onPassed(() => {
        dev.kill('SIGTERM')
        reject(new Error(`${deadline.missed('the cluster is ready')}:\n${log.join('')}`))
      })
      dev.stdout?.on('data', (chunk) => {
        text += chunk
        if (!text.includes('\n')) return
        deadline[Symbol.dispose]()
        resolve(text.slice(0, text.indexOf('\n')))
      })
      dev.once('exit', (code) => {
        deadline[Symbol.dispose]()
        reject(new Error(`ashlar dev ended with ${code}:\n${log.join('')}`))
      })
    })
    return new DevCluster(dev, JSON.parse(line) as DevInfo, directory, log)
  }

  /** What `ashlar dev` wrote to stderr. */
  get output(): string {
    return this.log.join('')
  }

  get nbdUri(): string {
    return this.info.gateway.nbd[0] ?? ''
  }

  node(id: string): DevInfo['nodes'][number] {
    const node = this.info.nodes.find((candidate) => candidate.id === id)
    assert.ok(node !== undefined, `no node ${id}`)
    return node
  }

  /** Runs the CLI against the first node whose process is meant to live. */
  cli(
    args: readonly string[],
    options: { server?: string; timeoutMs?: number; input?: string | Uint8Array } = {},
  ): Promise<RunResult> {
    const env = { ASHLAR_SERVER: options.server ?? this.info.nodes.map((node) => node.api)[0] ?? '' }
    return run(process.execPath, [ASHLAR, ...args], { ...options, env })
  }

  /** The JSON that a CLI command prints; fails when it fails. */
  async json<T>(args: readonly string[], server?: string): Promise<T> {
    const result = await this.cli([...args, '-o', 'json'], server === undefined ? {} : { server })
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`)
    return JSON.parse(result.stdout) as T
  }

  extents(volume = 'demo', server?: string): Promise<ExtentLine[]> {
    return this.json<ExtentLine[]>(['extent', 'ls', volume], server)
  }

  /** Signals one node's process. */
  async kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { pid } = this.node(id)
    const { pid: current = pid } = this.restarted.get(id) ?? {}
    process.kill(current, signal)
    if (signal !== 'SIGKILL') return
    await eventually(`process ${current} has ended`, async () => {
      try {
        process.kill(current, 0)
        return undefined
      } catch {
        return true
      }
    })
  }
  private readonly restarted = new Map<string, ChildProcess>()

  /** Waits until the process that `start` began last for this node ended by itself. Gives its exit code. */
  async ended(id: string): Promise<number | null> {
    const child = this.restarted.get(id)
    assert.ok(child !== undefined, `${id} was not started again`)
    await eventually(`${id} has ended`, async () => (hasEnded(child) ? true : undefined))
    return child.exitCode
  }

  /** The process that `start` began last for this node has not ended. */
  isRunning(id: string): boolean {
    const child = this.restarted.get(id)
    return child !== undefined && !hasEnded(child)
  }

  /** Starts a node's process again by its own command. */
  start(id: string): void {
    const [program, ...args] = this.node(id).command
    assert.ok(program !== undefined)
    const log = openSync(join(this.directory, 'logs', `${id}-again.log`), 'a')
    const child = spawn(program, args, { stdio: ['ignore', log, log] })
    closeSync(log)
    this.children.add(child)
    child.once('exit', () => this.children.delete(child))
    this.restarted.set(id, child)
  }

  /** Every extent of the volume has all its replicas in sync. */
  async healthy(volume = 'demo', deadlineMs = 60_000, server?: string): Promise<ExtentLine[]> {
    return eventually(
      `every replica of ${volume} in sync`,
      async () => {
        const extents = await this.extents(volume, server)
        return extents.length > 0 &&
          extents.every((extent) => extent.replicas.every((replica) => replica.standing === 'in-sync'))
          ? extents
          : undefined
      },
      deadlineMs,
    )
  }

  /** Ends everything that this object started, by process, and removes the directory unless it is to be kept. */
  async stop(options: { keep?: boolean } = {}): Promise<void> {
    const ended = [this.dev, ...this.children].map(
      (child) =>
        new Promise<void>((resolve) => {
          if (hasEnded(child)) return resolve()
          child.once('exit', () => resolve())
          child.kill('SIGTERM')
        }),
    )
    await Promise.all(ended)
    if (options.keep !== true) await rm(this.directory, { recursive: true, force: true })
  }
}
