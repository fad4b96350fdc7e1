import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Manifest, ROOT } from './manifests.ts'

/** Where the names of the manifests lead: a loopback address for each pod, so that every pod has the ports of the manifest. */
export type Network = ReadonlyMap<string, string>

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number }
  readonly tcpSocket?: { readonly port: string | number }
}
interface Container {
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}

/**
 * One pod of a rendered workload, as a process on this machine: it runs the container's arguments and answers its probes.
 * Only what Kubernetes itself would fill in is replaced: the pod's name, names of other pods by their addresses, "every
 * interface" by the pod's own, and the mount point by the folder of its claim.
 */
export class Pod {
  readonly name: string
  readonly address: string
  readonly claim: string
  private readonly container: Container
  private readonly network: Network
  private process: ChildProcess | undefined
  private log = ''

  constructor(workload: Manifest, name: string, network: Network, claims: string) {
    const address = network.get(name)
    if (address === undefined) throw new Error(`pod ${name} has no address`)
    this.name = name
    this.address = address
    this.claim = join(claims, name)
    this.container = workload.spec.template.spec.containers[0] as Container
    this.network = network
  }

  get output(): string {
    return this.log
  }

  get api(): string {
    return `http://${this.address}:${this.port('api')}`
  }

  port(name: string | number): number {
    if (typeof name === 'number') return name
    const port = this.container.ports.find((candidate) => candidate.name === name)
    if (port === undefined) throw new Error(`the container has no port ${name}`)
    return port.containerPort
  }

  async start(): Promise<void> {
    await mkdir(this.claim, { recursive: true })
    const command = join(ROOT, 'packages/cli/bin/ashlar.mjs')
    const child = spawn(process.execPath, [command, ...this.container.args.map((arg) => this.filledIn(arg))], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.log = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.log += chunk
      })
    }
    this.process = child
  }

  private filledIn(argument: string): string {
    let text = argument.replaceAll('$(POD_NAME)', this.name)
    for (const [name, address] of this.network) text = text.replaceAll(`${name}.ashlar-peers`, address)
    return text.replace('=0.0.0.0:', `=${this.address}:`).replace('/var/lib/ashlar', this.claim)
  }

  get running(): boolean {
    return this.process !== undefined && this.process.exitCode === null && this.process.signalCode === null
  }

  /** As Kubernetes ends a pod. Resolves to the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.process
    if (child === undefined || !this.running) return child?.exitCode ?? null
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    return await ended
  }

  /** The claim is gone and a new, empty one takes its place; the pod keeps its name. */
  async loseClaim(): Promise<void> {
    await rm(this.claim, { recursive: true, force: true })
  }

  probe(which: 'startupProbe' | 'livenessProbe' | 'readinessProbe'): Promise<boolean> {
    const probe = this.container[which]
    if (probe?.httpGet !== undefined) return this.answers(probe.httpGet.path, this.port(probe.httpGet.port))
    if (probe?.tcpSocket !== undefined) return this.accepts(this.port(probe.tcpSocket.port))
    throw new Error(`the container has no ${which} that a test can run`)
  }

  private async answers(path: string, port: number): Promise<boolean> {
    try {
      const response = await fetch(`http://${this.address}:${port}${path}`, { signal: AbortSignal.timeout(2000) })
      await response.text()
      return response.ok
    } catch {
      return false
    }
  }

  private accepts(port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(port, this.address)
      socket.once('connect', () => socket.end(() => resolve(true)))
      socket.once('error', () => resolve(false))
    })
  }
}
