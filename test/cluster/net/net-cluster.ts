import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from '@ashlar/client'
import { AshlarError } from '@ashlar/proto'
import { Deadline } from '../../kit/deadline.ts'
import { type RunResult, run } from '../../kit/dev-cluster.ts'
import { type Disk, DiskFailure, libraryDisk } from './disk.ts'
import { systemPath } from './namespaces.ts'
import { NbdDisk } from './nbd-disk.ts'
import { BLOCK_BYTES, EXTENT_BYTES, VOLUME_BYTES } from './workload.ts'

const ASHLAR = fileURLToPath(new URL('../../../packages/cli/bin/ashlar.mjs', import.meta.url))
const PEER_PORT = 7580
const API_PORT = 7480
const NBD_PORT = 10809
const METRICS_MS = 10_000
/** Of one `cluster wait`, which is asked again until the deadline of the wait has passed. */
const WAIT_SECONDS = 10
/** Shorter than the default, so that calls without an end show within a run. */
const IO_TIMEOUT_MS = 30_000
/** A gateway answers a little later than its own time for a request. */
const NBD_PATIENCE = { connectMs: 10_000, answerMs: IO_TIMEOUT_MS + 15_000 }

export const GATEWAY = 'gw'

export interface NetClusterOptions {
  /** Names of nodes, in the order of their numbers. */
  readonly nodes: readonly string[]
  /** Nodes that vote on the control log, where `server run` has the option; undefined leaves it to its default. */
  readonly voters: number | undefined
  readonly directory: string
  readonly namespaceOf: (place: string) => string
  readonly addressOf: (place: string) => string
}

interface Running {
  readonly child: ChildProcess
  /** Its end was asked for, so it is no finding. */
  expected: boolean
}

/** Nodes and a gateway as real processes, each in the network namespace of its name. */
export class NetCluster {
  readonly nodes: readonly string[]
  readonly #options: NetClusterOptions
  readonly #running = new Map<string, Running>()
  /** Processes that ended by themselves, as sentences. */
  readonly ownEnds: string[] = []

  constructor(options: NetClusterOptions) {
    this.nodes = options.nodes
    this.#options = options
  }

  /** Starts all nodes and the gateway; resolves when the cluster is healthy and the gateway listens. */
  async start(): Promise<void> {
    await this.startNodes()
    this.startProcess(GATEWAY)
  }

  /** Starts all nodes; resolves when the cluster is healthy. */
  async startNodes(): Promise<void> {
    for (const node of this.nodes) this.startProcess(node)
    await this.healthy(60_000)
  }

  startProcess(place: string): void {
    const { directory, namespaceOf } = this.#options
    const log = openSync(join(directory, `${place}.log`), 'a')
    const args = place === GATEWAY ? this.#gatewayArguments() : this.#nodeArguments(place)
    const child = spawn('ip', ['netns', 'exec', namespaceOf(place), process.execPath, ASHLAR, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: systemPath() },
    })
    closeSync(log)
    const running: Running = { child, expected: false }
    this.#running.set(place, running)
    child.once('exit', (code, signal) => {
      if (!running.expected)
        this.ownEnds.push(`${place} ended by itself with ${code ?? signal}: ${this.lastWords(place)}`)
    })
  }

  async kill(place: string): Promise<void> {
    await this.#end(place, 'SIGKILL')
  }

  /** Stops (`SIGSTOP`) or continues (`SIGCONT`) a process that runs. */
  signal(place: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#running.get(place)?.child.kill(signal)
  }

  /** Ends everything, whatever state it is in. */
  async stop(): Promise<void> {
    for (const place of this.#running.keys()) this.signal(place, 'SIGCONT')
    for (const place of [GATEWAY, ...this.nodes].filter((name) => this.#running.has(name)))
      await this.#end(place, 'SIGTERM')
  }

  /** Runs the CLI against all nodes. */
  cli(args: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
    const servers = this.nodes.map((node) => this.#apiOf(node))
    return run(process.execPath, [ASHLAR, ...args], { env: { ASHLAR_SERVER: servers.join(',') }, timeoutMs })
  }

  /** Rejects, with what is in the way, when the cluster is not healthy in time. */
  async healthy(timeoutMs: number): Promise<void> {
    using deadline = new Deadline(timeoutMs)
    const wait = ['cluster', 'wait', '--for', 'healthy', '--timeout', `${WAIT_SECONDS}s`, '--grace', `${WAIT_SECONDS}s`]
    for (;;) {
      const { code, stdout, stderr } = await this.cli(wait)
      if (code === 0) return
      if (deadline.passed) throw new Error(`${deadline.missed('the cluster is healthy')}: ${stdout}${stderr}`)
    }
  }

  async createVolume(name: string): Promise<void> {
    const sizes = ['--size', `${VOLUME_BYTES}`, '--extent-size', `${EXTENT_BYTES}`, '--block-size', `${BLOCK_BYTES}`]
    await this.#succeeds(['volume', 'create', name, ...sizes])
  }

  /** Also when a client that was cut off while it opened the volume still counts as its holder. */
  async removeVolume(name: string): Promise<void> {
    const disk = await this.openLibrary(name, 'exclusive')
    await disk.close()
    await this.#succeeds(['volume', 'rm', name])
  }

  /** A disk through the client library, in this process. */
  async openLibrary(name: string, mode: 'exclusive' | 'shared' | 'read-only'): Promise<Disk> {
    const servers = this.nodes.map((node) => this.#peerOf(node))
    try {
      const client = await connect({ servers, ioTimeoutMs: IO_TIMEOUT_MS, signal: AbortSignal.timeout(IO_TIMEOUT_MS) })
      try {
        return libraryDisk(await client.openVolume(name, { mode }), () => client.close())
      } catch (error) {
        await client.close()
        throw error
      }
    } catch (cause) {
      if (!(cause instanceof AshlarError)) throw cause
      const explained = ['TIMEOUT', 'NO_CONTROL', 'ABORTED'].includes(cause.code)
      const text = `cannot open ${name}: ${cause.code}: ${cause.message}`
      throw new DiskFailure(text, { ending: 'never', reason: `open: ${cause.code}`, explained, over: true, cause })
    }
  }

  openNbd(name: string): Promise<Disk> {
    return NbdDisk.open(this.#options.addressOf(GATEWAY), NBD_PORT, name, NBD_PATIENCE)
  }

  /** Everything that a node exposes about itself now, as Prometheus reads it. */
  async metrics(node: string): Promise<string> {
    using deadline = new Deadline(METRICS_MS)
    const signal = deadline.signal(`the metrics of ${node}`)
    const answer = await fetch(`${this.#apiOf(node)}/metrics`, { signal })
    return await answer.text()
  }

  /** The end of a process's log, for people. */
  lastWords(place: string, lines = 5): string {
    const text = readFileSync(join(this.#options.directory, `${place}.log`), 'utf8')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  async #end(place: string, signal: NodeJS.Signals): Promise<void> {
    const running = this.#running.get(place)
    if (running === undefined) throw new Error(`${place} does not run`)
    const { child } = running
    running.expected = true
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    }
    this.#running.delete(place)
  }

  async #succeeds(args: readonly string[], timeoutMs?: number): Promise<void> {
    const { code, stdout, stderr } = await this.cli(args, timeoutMs)
    if (code !== 0) throw new Error(`ashlar ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`)
  }

  #apiOf(node: string): string {
    return `http://${this.#options.addressOf(node)}:${API_PORT}`
  }

  #peerOf(node: string): string {
    return `${this.#options.addressOf(node)}:${PEER_PORT}`
  }

  #nodeArguments(node: string): string[] {
    const { directory, voters } = this.#options
    const address = this.#options.addressOf(node)
    const peers = this.nodes.map((name) => this.#peerOf(name)).join(',')
    return [
      ...['server', 'run', '--name', node, '--data-dir', join(directory, node), '--insecure'],
      ...['--listen', this.#peerOf(node), '--api', `${address}:${API_PORT}`],
      ...['--peers', peers, '--expect', `${this.nodes.length}`],
      ...(voters === undefined ? [] : ['--voters', `${voters}`]),
    ]
  }

  #gatewayArguments(): string[] {
    const peers = this.nodes.map((node) => this.#peerOf(node)).join(',')
    return [
      ...['gateway', 'run', '--listen', `${this.#options.addressOf(GATEWAY)}:${NBD_PORT}`, '--insecure', '--shared'],
      ...['--peers', peers, '--io-timeout', `${IO_TIMEOUT_MS}ms`, '--name', GATEWAY],
    ]
  }
}
