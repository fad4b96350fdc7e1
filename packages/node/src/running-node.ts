import { randomBytes } from 'node:crypto'
import {
  type AdminCommand,
  type AdminDone,
  AshlarError,
  BLOCK_ABSENT,
  type BlockIndex,
  ERRORS,
  type ExtentId,
  errorCodeOf,
  invariant,
  MapCopy,
  type Message,
  type Millis,
  type NodeName,
  type StoreId,
  TIMERS,
  type VolumeRecord,
} from '@ashlar/proto'
import { verifyWrite } from '@ashlar/proto/codec'
import type { NodeView, Readiness, VerifiedBlock } from './admin/index.ts'
import type { InsecureListener } from './config/index.ts'
import type { Effect, Input, Link, LinkPeer, LoadedBlock, LogEntry, Token } from './core/machine.ts'
import { NodeMachine } from './core/node-machine.ts'
import type { RaftView } from './core/raft/index.ts'
import type { ExtentStatus } from './core/replication/index.ts'
import { type Carriers, carry } from './effects/execute.ts'
import { NodeClock } from './node-clock.ts'
import type { Observer } from './observe/index.ts'
import { PendingCalls } from './pending-calls.ts'
import { Pump } from './pump.ts'
import { RevisionWaits } from './revision-waits.ts'
import {
  type ControlLog,
  controlLogDirectory,
  openControlLog,
  type ReplicaStore,
  type SpaceView,
} from './storage/index.ts'
import type { Transport, TransportEvents } from './transport/index.ts'

/** What a running node is made of, apart from its store and its transport. */
export interface RunningNodeOptions {
  readonly dataDir: string
  readonly name: NodeName
  readonly version: string
  /** Facts about where the node is, as it was told them: shown to people. */
  readonly labels: Readonly<Record<string, string>>
  readonly insecure: readonly InsecureListener[]
  /** Advertised addresses of the expected peers, sorted, this node's own included. */
  readonly peers: readonly string[]
  /** How many of them must answer before a cluster is founded; 1 founds a cluster of this node alone. */
  readonly expect: number
  /** How many of them keep the control log of a cluster that is founded here: 1, 3 or 5; 1 when absent. */
  readonly voterCount?: number
  readonly observer: Observer
  /** The node cannot go on and has stopped acknowledging: the process must end. Called once. */
  readonly onFatal: (reason: string, cause?: unknown) => void
}

/** How long a stopping node waits for its extents to be handed over. */
const HAND_OVER_MS = 6000
/** How long a command of the API waits for control, and for this node's map to show what it did. */
const ADMIN_MS = 30_000
/** How long a read of the API waits for the store. */
const LOAD_MS = 30_000

type Done = Omit<AdminDone, 'type' | 'request'>

/**
 * The machines of a node over its store and transport: the pump, and what the HTTP API sees. Built before the node
 * listens, so that the API can say what it waits for; `begin` starts it.
 */
export class RunningNode implements NodeView, TransportEvents {
  readonly insecure: readonly InsecureListener[]
  readonly version: string
  readonly name: NodeName
  readonly labels: Readonly<Record<string, string>>
  readonly dataDir: string
  readonly #options: RunningNodeOptions
  readonly #store: ReplicaStore
  readonly #clock = new NodeClock()
  readonly #admins: PendingCalls<Done> = new PendingCalls()
  readonly #loads: PendingCalls<readonly LoadedBlock[]> = new PendingCalls()
  /** What the store said before the machines were there to hear it. */
  readonly #early: Input[] = []
  readonly #awaited = new RevisionWaits()
  #controlLog: Promise<ControlLog> | undefined
  #logEntries: readonly LogEntry[]
  readonly #hardState: ControlLog['hardState']
  #snapshot: ControlLog['snapshot']
  #machine: NodeMachine | undefined
  #transport: Transport | undefined
  #pump: Pump | undefined
  #ticker: NodeJS.Timeout | undefined
  #handedOver: (() => void) | undefined
  #lastToken = 0
  /** Some peer accepted this node, in this life of the process. */
  #accepted = false
  #failed = false
  #stopping: Promise<void> | undefined

  constructor(options: RunningNodeOptions, store: ReplicaStore, controlLog: ControlLog | undefined) {
    this.#options = options
    this.#store = store
    this.insecure = options.insecure
    this.version = options.version
    this.name = options.name
    this.labels = options.labels
    this.dataDir = options.dataDir
    this.#controlLog = controlLog === undefined ? undefined : Promise.resolve(controlLog)
    this.#logEntries = controlLog?.entries ?? []
    this.#hardState = controlLog?.hardState
    this.#snapshot = controlLog?.snapshot
  }

  /** Starts the machines. `address` and `api`: where others reach this node. */
  begin(transport: Transport, address: string, api: string): void {
    const { observer } = this.#options
    const machine = new NodeMachine({
      ...this.#store.identity,
      name: this.name,
      address,
      api,
      peers: this.#options.peers,
      expect: this.#options.expect,
      voterCount: this.#options.voterCount ?? 1,
      replicas: this.#store.replicas,
      log: this.#logEntries,
      hardState: this.#hardState,
      snapshot: this.#snapshot,
      seed: randomBytes(4).readUInt32BE(),
    })
    this.#logEntries = []
    this.#snapshot = undefined
    this.#machine = machine
    this.#transport = transport
    const carriers: Carriers = {
      store: this.#store,
      send: (link, message) => observer.sent(link, message, transport.send(link, message)),
      closeLink: (link, reason) => transport.closeLink(link, reason),
      dial: (addresses) => transport.setDialed(addresses.filter((other) => other !== address)),
      controlLog: () => this.#openControlLog(),
      feed: (input) => this.#feed(input),
      onAdminDone: ({ token, done }) => this.#admins.answer(token, done),
      onMachineEvent: (event) => observer.event(event),
      onHandedOver: () => this.#handedOver?.(),
      onFatal: (reason, cause) => this.#fail(reason, cause),
    }
    this.#pump = new Pump({
      machine,
      clock: () => this.#clock.now(),
      look: () => this.#tellSlept(this.#clock.glance()),
      carry: (effect: Effect) => carry(carriers, effect),
      flush: () => {
        transport.flush()
        this.#awaited.tell(this.map.revision)
      },
      onBroken: (error) => this.#fail('a promise of the code itself is broken', error),
    })
    this.#ticker = setInterval(() => this.#tick(), TIMERS.tickMs)
    this.#tick()
    for (const input of this.#early.splice(0)) this.#feed(input)
  }

  #tick(): void {
    this.#tellSlept(this.#clock.look())
    this.#machine?.setSpace(this.#store.space())
    this.#feed({ type: 'tick' })
  }

  #tellSlept(sleptMs: Millis): void {
    if (sleptMs > 0) this.#options.observer.log.warn({ sleptMs }, 'this machine was suspended')
  }

  #feed(input: Input): void {
    this.#pump?.feed(input)
  }

  /** Completions of the store: those of the API's own reads stay here, the rest belongs to the machines. */
  onStoreCompletion(input: Input): void {
    if (input.type === 'loaded' && input.token < 0) this.#loads.answer(input.token, input.blocks)
    else if (this.#pump === undefined) this.#early.push(input)
    else this.#feed(input)
  }

  // ---- events of the transport --------------------------------------------------------------------------------------

  /**
   * A peer belongs to another cluster than this store. Before any peer accepted this node that is a wrong directory or a
   * wrong --peers: better to end and say so than to wait for ever.
   */
  otherCluster(address: string, reason: string): void {
    if (this.#accepted) return
    this.#fail(`${address} does not let this node in: ${reason}; look at --data-dir and --peers`)
  }

  linkUp(link: Link, direction: 'in' | 'out', peer: LinkPeer): void {
    if (peer.kind === 'node') this.#accepted = true
    this.#options.observer.linkUp(link, direction, peer.kind)
    this.#feed({ type: 'link-up', link, direction, peer })
  }

  linkDown(link: Link): void {
    this.#options.observer.linkDown(link)
    this.#feed({ type: 'link-down', link })
  }

  /** Messages of one frame. A write whose bytes do not match is refused here, before anything believes it. */
  messages(link: Link, messages: readonly Message[]): void {
    const { observer } = this.#options
    for (const message of messages) {
      observer.received(link, message)
      const blockSizeBytes = message.type === 'write' ? this.#machine?.blockSizeOf(message.extent) : undefined
      if (message.type === 'write' && blockSizeBytes !== undefined && !verifyWrite(message, blockSizeBytes)) {
        const { request, epoch } = message
        const answer = { type: 'answer', request, code: ERRORS.CHECKSUM.number, epoch } as const
        observer.sent(link, answer, this.#transport?.send(link, answer) ?? 'down')
        this.#transport?.flush()
      } else this.#feed({ type: 'received', link, message })
    }
  }

  // ---- what the API sees ----------------------------------------------------------------------------------------------

  get store(): StoreId {
    return this.#store.identity.store
  }

  get suspicion(): string | undefined {
    return this.#store.identity.suspicion
  }

  get room(): SpaceView {
    return this.#store.space()
  }

  get map(): MapCopy {
    return this.#machine?.map ?? EMPTY_MAP
  }

  /** Feature level of the cluster, as far as this node knows. */
  get featureLevel(): number {
    return this.#machine?.featureLevel ?? this.#store.identity.featureLevel
  }

  get leader(): StoreId | undefined {
    return this.#machine?.agent.leader
  }

  get controlLog(): RaftView | undefined {
    return this.#machine?.raftView(this.#clock.now())
  }

  get leaseHeld(): boolean {
    return (this.#machine?.agent.view(this.#clock.now()).leaseRemainingMs ?? 0) > 0
  }

  /** Why this store is to leave the in-sync sets, once nobody would wait for it; undefined for a sound one. */
  get reasonToLeave(): string | undefined {
    return this.#machine?.reasonToLeave
  }

  get readiness(): Readiness {
    if (this.#machine === undefined) return { ready: false, reason: 'this node is starting' }
    if (this.#stopping !== undefined) return { ready: false, reason: 'this node is stopping' }
    const founding = this.#machine.founding.waitsFor
    if (founding !== '') return { ready: false, reason: founding }
    const { waitsFor } = this.#machine.agent.view(this.#clock.now())
    if (waitsFor !== '') return { ready: false, reason: waitsFor }
    if (!this.leaseHeld) return { ready: false, reason: 'waits for control to renew the lease of this node' }
    const recovering = this.localExtents().filter(({ role, phase }) => role === 'primary' && phase !== 'active').length
    if (recovering > 0) return { ready: false, reason: `${recovering} extents that this node leads are not active yet` }
    return { ready: true }
  }

  hears(store: StoreId): boolean {
    return this.#machine?.links.hears(store, this.#clock.now()) === true
  }

  localExtents(): readonly ExtentStatus[] {
    return this.#machine?.describeExtents() ?? []
  }

  async admin(command: AdminCommand): Promise<VolumeRecord | undefined> {
    const done = await this.#ask(command)
    const code = errorCodeOf(done.code) ?? 'INTERNAL'
    if (code !== 'OK') throw new AshlarError(code, done.message, done.hint === '' ? {} : { hint: done.hint })
    // A map that lags behind for longer is no failure of the command.
    if (this.map.revision < done.revision) await this.#awaited.wait(done.revision, ADMIN_MS)
    return done.volume
  }

  #ask(command: AdminCommand): Promise<Done> {
    if (this.#stopping !== undefined || this.#pump === undefined)
      return Promise.reject(
        new AshlarError('CLOSED', 'this node is starting or stopping', { hint: 'ask another node' }),
      )
    const token = this.#ownToken()
    this.#feed({ type: 'admin', token, command })
    return this.#admins.wait(
      token,
      ADMIN_MS,
      () =>
        new AshlarError(
          'TIMEOUT',
          `control did not answer within ${ADMIN_MS / 1000} s; the command may still take effect`,
          { hint: 'see `ashlar cluster info` for what control waits for' },
        ),
    )
  }

  async versions(
    extent: ExtentId,
    firstBlock: BlockIndex,
    blocks: number,
  ): Promise<readonly VerifiedBlock[] | undefined> {
    const replica = this.localExtents().find((status) => status.extent === extent)
    if (replica === undefined) return undefined
    const end = Math.min(firstBlock + blocks, replica.blockCount)
    if (firstBlock >= end) return []
    if (this.#stopping !== undefined || this.#failed) throw new AshlarError('CLOSED', 'this node is stopping')
    const token = this.#ownToken()
    const wanted = Array.from({ length: end - firstBlock }, (_, at) => firstBlock + at)
    this.#store.execute({ type: 'load', token, extent, blocks: wanted })
    const loaded = await this.#loads.wait(
      token,
      LOAD_MS,
      () => new AshlarError('TIMEOUT', `the store did not read ${wanted.length} blocks within ${LOAD_MS / 1000} s`),
    )
    const damaged = loaded.filter((block) => block.damaged && block.version.kind !== BLOCK_ABSENT)
    if (damaged.length > 0) this.#feed({ type: 'damage-found', extent, blocks: damaged })
    return loaded
      .filter(({ version, damaged }) => damaged || version.kind !== BLOCK_ABSENT)
      .map(({ block, version, damaged }) => ({ ...version, block, intact: !damaged }))
  }

  /** Tokens of this shell are negative, so that they never meet those that the machines give. */
  #ownToken(): Token {
    return -++this.#lastToken
  }

  // ---- the end --------------------------------------------------------------------------------------------------------

  #openControlLog(): Promise<ControlLog> {
    this.#controlLog ??= openControlLog(controlLogDirectory(this.dataDir))
    return this.#controlLog
  }

  #fail(reason: string, cause?: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#pump?.stop()
    clearInterval(this.#ticker)
    this.#loads.endAll(new AshlarError('CLOSED', 'this node failed', { hint: 'its log has the reason' }))
    this.#options.onFatal(reason, cause)
  }

  /**
   * Hands over what this node leads, then stops the machines and the transport, and closes log and store. Everything that
   * it acknowledged is on stable storage whether or not this succeeds.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown()
    return this.#stopping
  }

  async #shutDown(): Promise<void> {
    if (!this.#failed && this.#pump !== undefined) await this.#handOver()
    clearInterval(this.#ticker)
    this.#pump?.stop()
    const stopped = new AshlarError('CLOSED', 'the node stopped', { hint: 'ask another node' })
    this.#admins.endAll(stopped)
    this.#loads.endAll(stopped)
    await this.#transport?.close()
    // A log that could not be opened has ended this node already, and must not keep the store open.
    const controlLog = await this.#controlLog?.catch(() => undefined)
    await controlLog?.close()
    await this.#store.close()
  }

  #handOver(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#options.observer.log.warn({ waitedMs: HAND_OVER_MS }, 'stopped without a complete hand-over')
        resolve()
      }, HAND_OVER_MS)
      this.#handedOver = () => {
        clearTimeout(late)
        resolve()
      }
      invariant(this.#pump !== undefined, 'only a node that began hands over')
      this.#feed({ type: 'shut-down' })
    })
  }
}

const EMPTY_MAP = new MapCopy()
