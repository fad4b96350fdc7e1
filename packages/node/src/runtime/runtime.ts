import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AshlarError,
  type Bytes,
  type ExtentId,
  invariant,
  type Message,
  type Millis,
  type NodeEndKind,
  TIMERS,
} from '@ashlar/proto'
import type { Effect, Input, Link, LinkPeer, LogEntry } from '../core/machine.ts'
import { NodeMachine } from '../core/node-machine.ts'
import { type EffectPorts, execute } from '../effects/execute.ts'
import type { Observer } from '../observe/index.ts'
import {
  type BootMark,
  type ControlLog,
  controlLogDirectory,
  openControlLog,
  type ReplicaStore,
} from '../storage/index.ts'
import type { LinkStatus, Transport, TransportEvents } from '../transport/index.ts'
import { ApiCalls } from './api-calls.ts'
import { NodeClock } from './node-clock.ts'
import { Pump } from './pump.ts'
import { type NodeDescription, NodeReadModel, type RuntimeState } from './read-model.ts'

/** What a running node is made of, apart from its store and its transport. */
export interface RuntimeOptions extends NodeDescription {
  /** Advertised addresses of the expected peers, sorted, this node's own included. */
  readonly peers: readonly string[]
  /** How many of them must respond before a cluster is bootstrapped; 1 bootstraps a cluster of this node alone. */
  readonly expect: number
  /** How many of them keep the control log of a cluster that is bootstrapped here: 1, 3 or 5; 1 when absent. */
  readonly voterCount?: number
  readonly observer: Observer
  /** The node has stopped acknowledging, reported why, and the process must end. Called once. */
  readonly onFatal: (reason: string, cause: unknown, kind: NodeEndKind) => void
}

/** How long the links of a node that ends may take to send the reason and to close. */
const LEAVE_MS = 1000
/** How long a stopping node waits for its extents to be handed over. */
const HAND_OVER_MS = 6000

/**
 * The life cycle of a node: it feeds the machines through the pump and executes their effects over store and transport.
 * Built before the node listens, so that `view` can say what the node waits for; `begin` starts the machines.
 */
export class NodeRuntime implements RuntimeState, TransportEvents {
  readonly view: NodeReadModel
  private readonly options: RuntimeOptions
  private readonly store: ReplicaStore
  private readonly clock = new NodeClock()
  private readonly calls: ApiCalls
  /** Completions of the store from before the machines began. */
  private readonly early: Input[] = []
  private readonly bootMark: BootMark | undefined
  private controlLog: Promise<ControlLog> | undefined
  private logEntries: readonly LogEntry[]
  private readonly hardState: ControlLog['hardState']
  private snapshot: ControlLog['snapshot']
  private nodeMachine: NodeMachine | undefined
  private transport: Transport | undefined
  private pump: Pump | undefined
  private ticker: NodeJS.Timeout | undefined
  private onHandedOver: (() => void) | undefined
  /** A peer has accepted this node since the process started. */
  private accepted = false
  private failed = false
  private stopping: Promise<void> | undefined

  /** `bootMark`: for a control log that begins while this process runs. */
  constructor(
    options: RuntimeOptions,
    store: ReplicaStore,
    controlLog: ControlLog | undefined,
    bootMark: BootMark | undefined,
  ) {
    this.options = options
    this.store = store
    this.calls = new ApiCalls(store, (input) => this.feed(input))
    this.view = new NodeReadModel(options, this, store, this.calls)
    this.bootMark = bootMark
    this.controlLog = controlLog === undefined ? undefined : Promise.resolve(controlLog)
    this.logEntries = controlLog?.entries ?? []
    this.hardState = controlLog?.hardState
    this.snapshot = controlLog?.snapshot
  }

  /** Starts the machines. `address` and `api`: where others reach this node. */
  begin(transport: Transport, address: string, api: string): void {
    const { observer } = this.options
    const machine = new NodeMachine({
      ...this.store.identity,
      name: this.options.name,
      address,
      api,
      peers: this.options.peers,
      expect: this.options.expect,
      voterCount: this.options.voterCount ?? 1,
      replicas: this.store.replicas,
      log: this.logEntries,
      hardState: this.hardState,
      snapshot: this.snapshot,
      seed: randomBytes(4).readUInt32BE(),
    })
    this.logEntries = []
    this.snapshot = undefined
    this.nodeMachine = machine
    this.transport = transport
    const ports: EffectPorts = {
      store: this.store,
      send: (link, message) => observer.sent(link, message, transport.send(link, message)),
      closeLink: (link, reason) => transport.closeLink(link, reason),
      dial: (addresses) => transport.setDialed(addresses.filter((other) => other !== address)),
      controlLog: () => this.openControlLog(),
      feed: (input) => this.feed(input),
      onAdminDone: ({ token, done }) => this.calls.onAdminDone(token, done),
      onMachineEvent: (event) => observer.event(event),
      onHandedOver: () => this.onHandedOver?.(),
      onFatal: (kind, reason, cause) => this.fail(kind, reason, cause),
    }
    this.pump = new Pump({
      machine,
      clock: () => this.clock.now(),
      checkClock: () => this.reportSleep(this.clock.quickCheck()),
      execute: (effect: Effect) => execute(ports, effect),
      flush: () => {
        transport.flush()
        this.calls.onMapRevision(machine.map.revision)
      },
      onBroken: (error) => this.fail('internal', 'internal invariant violated', error),
    })
    this.ticker = setInterval(() => this.tick(), TIMERS.tickMs)
    this.tick()
    for (const input of this.early.splice(0)) this.feed(input)
  }

  get machine(): NodeMachine | undefined {
    return this.nodeMachine
  }

  get isStopping(): boolean {
    return this.stopping !== undefined
  }

  get hasFailed(): boolean {
    return this.failed
  }

  now(): Millis {
    return this.clock.now()
  }

  linkStatuses(): readonly LinkStatus[] {
    return this.transport?.linkStatuses() ?? []
  }

  /** Queues an input of the machines; dropped before they begin and after they end. */
  feed(input: Input): void {
    this.pump?.feed(input)
  }

  blockSizeOf(extent: ExtentId): Bytes | undefined {
    return this.nodeMachine?.blockSizeOf(extent)
  }

  /** Completions of the store: those of the API's own reads stay here, the rest goes to the machines. */
  onStoreCompletion(input: Input): void {
    if (this.calls.onStoreCompletion(input)) return
    if (this.pump === undefined) this.early.push(input)
    else this.feed(input)
  }

  private tick(): void {
    this.reportSleep(this.clock.check())
    this.nodeMachine?.setSpace(this.store.space())
    this.feed({ type: 'tick' })
  }

  private reportSleep(sleptMs: Millis): void {
    if (sleptMs > 0) this.options.observer.log.warn({ sleptMs }, 'this machine was suspended')
  }

  // ---- events of the transport --------------------------------------------------------------------------------------

  /**
   * A peer belongs to another cluster than this store. Before any peer accepted this node, that is a wrong data directory
   * or a wrong --peers, and no waiting mends it: the process ends with the reason.
   */
  otherCluster(address: string, reason: string): void {
    if (this.accepted) return
    this.fail('other-cluster', `${address} refuses this node: ${reason}; check --data-dir and --peers`)
  }

  linkUp(link: Link, direction: 'in' | 'out', peer: LinkPeer): void {
    if (peer.kind === 'node') this.accepted = true
    this.options.observer.linkUp(link, direction, peer.kind)
    this.feed({ type: 'link-up', link, direction, peer })
  }

  linkDown(link: Link): void {
    this.options.observer.linkDown(link)
    this.feed({ type: 'link-down', link })
  }

  messages(link: Link, messages: readonly Message[]): void {
    for (const message of messages) {
      this.options.observer.received(link, message)
      this.feed({ type: 'received', link, message })
    }
  }

  writeRefused(link: Link, write: Message, response: Message, outcome: 'queued' | 'full' | 'down'): void {
    this.options.observer.received(link, write)
    this.options.observer.sent(link, response, outcome)
  }

  // ---- the end --------------------------------------------------------------------------------------------------------

  private openControlLog(): Promise<ControlLog> {
    this.controlLog ??= openControlLog(controlLogDirectory(this.options.dataDir), { bootMark: this.bootMark })
    return this.controlLog
  }

  /** The machines end at once, and the process once its peers have the reason (A2.23-1). */
  private fail(kind: NodeEndKind, reason: string, cause?: unknown): void {
    if (this.failed) return
    this.failed = true
    const because = cause instanceof Error ? `${reason}: ${cause.message}` : reason
    this.pump?.finish({ type: 'ending', kind, reason: because, at: Date.now() })
    clearInterval(this.ticker)
    this.calls.endLoads(new AshlarError('CLOSED', 'this node failed', { hint: 'see the log of the node' }))
    const left = Promise.race([this.transport?.close(), delay(LEAVE_MS)]).catch(() => undefined)
    void left.then(() => this.options.onFatal(reason, cause, kind))
  }

  /**
   * Hands over the extents that this node leads, then stops the machines and the transport, and closes log and store.
   * Every acknowledged write is on stable storage whether or not this succeeds.
   */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  private async shutDown(): Promise<void> {
    if (!this.failed && this.pump !== undefined) await this.handOver()
    clearInterval(this.ticker)
    this.pump?.stop()
    this.calls.endAll(new AshlarError('CLOSED', 'the node stopped', { hint: 'send the request to another node' }))
    await this.transport?.close()
    // A log that could not be opened has ended this node already, and must not keep the store open.
    const controlLog = await this.controlLog?.catch(() => undefined)
    await controlLog?.close()
    await this.store.close()
  }

  private handOver(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.options.observer.log.warn({ waitedMs: HAND_OVER_MS }, 'stopped without a complete hand-over')
        resolve()
      }, HAND_OVER_MS)
      this.onHandedOver = () => {
        clearTimeout(late)
        resolve()
      }
      invariant(this.pump !== undefined, 'only a node that began hands over')
      this.feed({ type: 'shut-down' })
    })
  }
}
