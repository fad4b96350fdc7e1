import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { type ClusterResponse, formatBytes } from '@ashlar/node/config'
import { AshlarError, counted } from '@ashlar/proto'
import { ApiClient } from '../api-client.ts'
import type { Io } from '../io.ts'
import { LOOK_MS, localOf } from './find.ts'
import { devCommand } from './hints.ts'
import { lastWords, logSize } from './log-file.ts'
import { type DevOptions, type DevPlan, planDev } from './plan.ts'
import { answersNbd, checkPorts, type WantedPort } from './ports.ts'
import {
  describeEnd,
  endProcesses,
  hasEnded,
  isAlive,
  ownCommand,
  runsCommand,
  type Startable,
  startProcess,
} from './processes.ts'
import { type DevState, readState, withPid, writeState } from './state.ts'

const START_MS = 60_000
/** How long the start waits for every replica of a new cluster to be in sync. */
const HEALTHY_MS = 15_000
const POLL_MS = 100
/** Longer than the time that a node takes to hand over. */
const STOP_NODE_MS = 25_000
const STOP_GATEWAY_MS = 15_000
const RESTART_MS = 1000

/** A cluster of real processes on this machine, under this process. */
export class DevRun {
  readonly plan: DevPlan
  private readonly io: Io
  private readonly options: DevOptions
  private readonly children = new Map<string, ChildProcess>()
  /** Sizes of logs when their processes were started. */
  private readonly logFrom = new Map<string, number>()
  private readonly api: ApiClient
  private stopping = false
  private starting: Promise<DevState> | undefined
  /** Changes of the state file, one after the other. */
  private saving: Promise<void> = Promise.resolve()

  constructor(io: Io, options: DevOptions) {
    this.io = io
    this.options = options
    this.plan = planDev(options, ownCommand())
    this.api = new ApiClient(this.plan.nodes.map(({ api }) => api))
  }

  /**
   * Starts everything and resolves once it serves. Rejects, with everything stopped again, when something does not, and
   * with ABORTED when `stop` is called before.
   */
  start(): Promise<DevState> {
    this.starting ??= this.startAll()
    return this.starting
  }

  private async startAll(): Promise<DevState> {
    await this.refuseSecond()
    await checkPorts(this.wantedPorts())
    try {
      await this.startNodes()
      await this.waitForCluster()
      await this.ensureVolume()
      await this.startGateway()
      return await this.state()
    } catch (error) {
      await this.endAll()
      throw error
    }
  }

  /** Stops the gateway, then all nodes, also those that were started by hand with these data directories. */
  async stop(): Promise<void> {
    this.stopping = true
    // A start in progress ends at its next step: a process that it started meanwhile must be stopped too.
    await this.starting?.catch(() => undefined)
    await this.endAll()
  }

  private async endAll(): Promise<void> {
    this.stopping = true
    await this.saving
    const gateway = await this.alivePids('gateway')
    this.reportKilled(await endProcesses(gateway, STOP_GATEWAY_MS))
    const nodes = await Promise.all(this.plan.nodes.map(({ id }) => this.alivePids(id)))
    this.reportKilled(await endProcesses(nodes.flat(), STOP_NODE_MS))
  }

  private reportKilled(pids: readonly number[]): void {
    if (pids.length > 0) this.io.error(`killed processes that did not end in time: ${pids.join(', ')}\n`)
  }

  private async refuseSecond(): Promise<void> {
    const before = await readState(this.options.dataDir)
    if (before === undefined || before.pid === process.pid || !isAlive(before.pid)) return
    // The pid may belong to another process by now: then no node runs its command.
    for (const node of before.nodes) {
      if (!(await runsCommand(node.pid, node.command))) continue
      throw new AshlarError(
        'CONFLICT',
        `ashlar dev already runs in ${this.options.dataDir}, as process ${before.pid}`,
        {
          hint: 'stop it with Ctrl-C, or give another --data-dir, --api-port and --nbd',
        },
      )
    }
  }

  private wantedPorts(): WantedPort[] {
    const ofNodes = this.plan.nodes.flatMap(({ id, api, peer }) => [
      { address: new URL(api).host, who: `the API of ${id}`, flag: '--api-port' },
      { address: peer, who: `the peer address of ${id}`, flag: '--api-port' },
    ])
    return [...ofNodes, { address: this.options.nbd, who: 'the address of NBD', flag: '--nbd' }]
  }

  private async startNodes(): Promise<void> {
    const { nodes } = this.plan
    this.io.error(`starting ${counted(nodes.length, 'node')} in ${this.options.dataDir}\n`)
    for (const node of nodes) {
      this.throwIfStopping()
      await this.startChild(node.id, node)
    }
    await this.save()
  }

  private async startChild(id: string, startable: Startable): Promise<void> {
    const logFrom = await logSize(startable.log)
    const child = await startProcess(startable, 'child')
    this.children.set(id, child)
    this.logFrom.set(id, logFrom)
    child.once('exit', () => this.onEnd(id, startable, child))
  }

  /** A process that dies stays dead unless --restart is set, so that its effect on the others can be observed. */
  private onEnd(id: string, startable: Startable, child: ChildProcess): void {
    if (this.stopping) return
    const again = this.options.restart
      ? 'starting it again'
      : `start it again with: ${devCommand(`dev start ${id}`, this.options.dataDir)}`
    this.io.error(`${id} (process ${child.pid}) ended ${describeEnd(child)}; ${again}\n`)
    if (!this.options.restart) return
    setTimeout(() => {
      if (!this.stopping) this.restartChild(id, startable)
    }, RESTART_MS)
  }

  private restartChild(id: string, startable: Startable): void {
    this.startChild(id, startable)
      .then(() => this.save())
      .catch((error: unknown) =>
        this.io.error(`${id} does not start: ${error instanceof Error ? error.message : error}\n`),
      )
  }

  private async waitForCluster(): Promise<void> {
    const { nodes } = this.plan
    const reached = await this.waitUntil(START_MS, async () => {
      const cluster = await this.look()
      return (
        cluster !== undefined && cluster.leader !== null && cluster.nodesUp >= nodes.length && (await this.allReady())
      )
    })
    if (reached) return
    const cluster = await this.look()
    const reasons = cluster?.reasons.join('; ') ?? 'no node responds'
    throw new AshlarError('TIMEOUT', `the nodes did not become a cluster within ${START_MS / 1000} s: ${reasons}`, {
      hint: `see the logs: ${devCommand('dev logs n1', this.options.dataDir)}`,
    })
  }

  private async look(): Promise<ClusterResponse | undefined> {
    try {
      return await this.api.cluster()
    } catch (error) {
      if (error instanceof AshlarError) return undefined
      throw error
    }
  }

  private async allReady(): Promise<boolean> {
    const answers = await Promise.all(this.plan.nodes.map(({ api }) => isReady(api)))
    return answers.every(Boolean)
  }

  private async ensureVolume(): Promise<void> {
    const { volume: name, sizeBytes, replicas } = this.options
    const volumes = await this.api.volumes()
    if (!volumes.some((volume) => volume.name === name)) {
      this.io.error(`creating volume ${name} of ${formatBytes(sizeBytes)} with ${counted(replicas, 'replica')}\n`)
      await this.api.createVolume({ name, sizeBytes, replicas })
    }
    let state = 'unknown'
    await this.waitUntil(HEALTHY_MS, async () => {
      state = (await this.api.volume(name)).state
      return state === 'healthy'
    })
    if (state !== 'healthy')
      this.io.error(`volume ${name} is ${state}: see ${devCommand(`explain volume ${name}`, this.options.dataDir)}\n`)
  }

  private async startGateway(): Promise<void> {
    const { gateway } = this.plan
    this.throwIfStopping()
    await this.startChild('gateway', gateway)
    await this.save()
    if (await this.waitUntil(START_MS, () => answersNbd(this.options.nbd, LOOK_MS))) return
    throw new AshlarError('TIMEOUT', `the gateway did not respond at ${this.options.nbd} within ${START_MS / 1000} s`, {
      hint: `see its log: ${devCommand('dev logs gateway', this.options.dataDir)}`,
    })
  }

  /** False when the condition did not come true in time. Throws when a process ended meanwhile, with its last words. */
  private async waitUntil(deadlineMs: number, condition: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + deadlineMs
    while (performance.now() < deadline) {
      this.throwIfStopping()
      await this.throwEarlyEnd()
      if (await condition()) return true
      await delay(POLL_MS)
    }
    return false
  }

  private throwIfStopping(): void {
    if (this.stopping) throw new AshlarError('ABORTED', 'stopped before everything served')
  }

  private async throwEarlyEnd(): Promise<void> {
    if (this.options.restart) return
    for (const [id, child] of this.children) {
      if (!hasEnded(child)) continue
      const log = this.logOf(id)
      const words = await lastWords(log, this.logFrom.get(id))
      throw new AshlarError('INTERNAL', `${id} ended ${describeEnd(child)}: ${words ?? 'it gave no reason'}`, {
        hint: `its log is ${log}`,
      })
    }
  }

  private logOf(id: string): string {
    return this.plan.nodes.find((node) => node.id === id)?.log ?? this.plan.gateway.log
  }

  private pidOf(id: string): number {
    return this.children.get(id)?.pid ?? 0
  }

  private async state(): Promise<DevState> {
    return {
      pid: process.pid,
      apiPort: this.options.apiPort,
      nodes: this.plan.nodes.map((node) => ({ ...node, pid: this.pidOf(node.id) })),
      gateway: { ...this.plan.gateway, pid: this.pidOf('gateway') },
    }
  }

  /** `dev start` may have put other processes into the file: only those that this process started are written over. */
  private save(): Promise<void> {
    this.saving = this.saving.then(async () => {
      const mine = await this.state()
      const before = await readState(this.options.dataDir)
      let next = mine
      for (const node of before?.pid === process.pid ? before.nodes : []) {
        const child = this.children.get(node.id)
        if (child === undefined || hasEnded(child)) next = withPid(next, node.id, node.pid)
      }
      await writeState(this.options.dataDir, next)
    })
    return this.saving
  }

  /** Processes that run a node or the gateway now: our child, the one in the file, the one that responds at the API. */
  private async alivePids(id: string): Promise<number[]> {
    const pids = new Set<number>()
    const child = this.children.get(id)
    if (child?.pid !== undefined && !hasEnded(child)) pids.add(child.pid)
    const state = await readState(this.options.dataDir)
    const written = id === 'gateway' ? state?.gateway : state?.nodes.find((node) => node.id === id)
    if (written !== undefined && (await runsCommand(written.pid, written.command))) pids.add(written.pid)
    const node = this.plan.nodes.find((planned) => planned.id === id)
    const answering = node === undefined ? undefined : (await localOf(node))?.pid
    if (answering !== undefined) pids.add(answering)
    return [...pids]
  }
}

/** Result of /readyz. */
async function isReady(api: string): Promise<boolean> {
  try {
    return (await fetch(`${api}/readyz`, { signal: AbortSignal.timeout(LOOK_MS) })).ok
  } catch {
    return false
  }
}
