import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import {
  type AdminCommand,
  type AdminDone,
  AshlarError,
  type BlockIndex,
  type Bytes,
  ERRORS,
  type ExtentId,
  invariant,
  type Message,
  type NodeName,
  TIMERS,
} from '@ashlar/proto'
import { verifyWrite } from '@ashlar/proto/codec'
import type { Logger } from 'pino'
import type { Fact, Input, Link, LoadedBlock, LogEntry, Token } from './core/machine.ts'
import { NodeMachine } from './core/node-machine.ts'
import { carry } from './effects/carry.ts'
import { observedTransport, type Traffic } from './observe/traffic.ts'
import { Pump } from './pump.ts'
import {
  type ControlLog,
  controlLogDirectory,
  openControlLog,
  openStore,
  type ReplicaStore,
  type StoreMetrics,
} from './storage/index.ts'
import { createWsTransport, type WsTransport } from './transport/index.ts'

/** What a node is started with. Everything is checked before: see config/. */
export interface NodeOptions {
  readonly dataDir: string
  readonly listen: { readonly host: string; readonly port: number }
  /** host:port under which others dial this node; undefined: what it listens on. */
  readonly advertise: string | undefined
  /** host:port of the HTTP API, as others reach it. */
  readonly api: string
  readonly name: NodeName
  /** Advertised addresses of the expected peers, sorted, this node's own included. */
  readonly peers: readonly string[]
  /** How many of them must answer before a cluster is founded; 1 founds a cluster of this node alone. */
  readonly expect: number
  readonly log: Logger
  readonly storeMetrics?: StoreMetrics
  readonly ballastBytes?: Bytes
  /** For every fact that the machines tell. */
  readonly onFact?: (fact: Fact) => void
  /** Told of links and messages, for metrics. */
  readonly traffic?: Traffic
  /** The node cannot go on and has stopped acknowledging: the process must end. Called once. */
  readonly onFatal: (reason: string, cause?: unknown) => void
}

/** How long a stopping node waits for its extents to be handed over. */
const HAND_OVER_MS = 6000

/** A running node: store, transport, control log and the machines between them. */
export class Node {
  readonly store: ReplicaStore
  readonly transport: WsTransport
  readonly machine: NodeMachine
  private readonly pump: Pump
  private readonly options: NodeOptions
  private readonly ticker: NodeJS.Timeout
  private readonly admins = new Map<Token, (done: Omit<AdminDone, 'type' | 'request'>) => void>()
  private readonly loads = new Map<Token, (blocks: readonly LoadedBlock[] | undefined) => void>()
  private lastOwnToken = 0
  private controlLog: Promise<ControlLog> | undefined
  private handedOver: (() => void) | undefined
  private failed = false
  private stopping: Promise<void> | undefined

  /** Use `startNode`. */
  constructor(options: NodeOptions, store: ReplicaStore, transport: WsTransport, controlLog: ControlLog | undefined) {
    this.options = options
    this.store = store
    this.transport = transport
    this.controlLog = controlLog === undefined ? undefined : Promise.resolve(controlLog)
    this.machine = new NodeMachine({
      ...store.identity,
      name: options.name,
      address: options.advertise ?? transport.address,
      api: options.api,
      peers: options.peers,
      expect: options.expect,
      replicas: store.replicas,
      log: controlLog?.entries ?? ([] as readonly LogEntry[]),
      seed: randomBytes(4).readUInt32BE(),
    })
    this.machine.setFreeBytes(store.freeBytes())
    const carriers = {
      store,
      transport: observedTransport(transport, options.traffic),
      controlLog: () => this.openControlLog(),
      feed: (input: Input) => this.feed(input),
      onAdminDone: ({ token, done }: { token: Token; done: Omit<AdminDone, 'type' | 'request'> }) =>
        this.settleAdmin(token, done),
      onFact: (fact: Fact) => options.onFact?.(fact),
      onHandedOver: () => this.handedOver?.(),
      onFatal: (reason: string, cause?: unknown) => this.fail(reason, cause),
    }
    this.pump = new Pump({
      machine: this.machine,
      clock: () => performance.now(),
      carry: (effect) => carry(carriers, effect),
      flush: () => transport.flush(),
      onBroken: (error) => this.fail('a promise of the code itself is broken', error),
    })
    this.ticker = setInterval(() => this.tick(), TIMERS.tickMs)
    this.feed({ type: 'tick' })
  }

  feed(input: Input): void {
    this.pump.feed(input)
  }

  private tick(): void {
    this.machine.setFreeBytes(this.store.freeBytes())
    this.feed({ type: 'tick' })
  }

  /** Messages of one frame. A write whose bytes do not match is refused here, before anything believes it. */
  onMessages(link: Link, messages: readonly Message[]): void {
    for (const message of messages) {
      this.options.traffic?.received(link, message)
      if (message.type === 'write') {
        const blockSizeBytes = this.machine.blockSizeOf(message.extent)
        if (blockSizeBytes !== undefined && !verifyWrite(message, blockSizeBytes)) {
          this.transport.send(link, {
            type: 'answer',
            request: message.request,
            code: ERRORS.CHECKSUM.number,
            epoch: message.epoch,
          })
          this.transport.flush()
          continue
        }
      }
      this.feed({ type: 'received', link, message })
    }
  }

  /** Asks control, through this node's agent. Resolves with the answer, whatever it is; rejects CLOSED when the node stops. */
  admin(command: AdminCommand): Promise<Omit<AdminDone, 'type' | 'request'>> {
    if (this.stopping !== undefined) return Promise.reject(new AshlarError('CLOSED', 'this node is stopping'))
    // Tokens of the API are negative, so that they never meet those that the machines give.
    const token = -++this.lastOwnToken
    return new Promise((resolve) => {
      this.admins.set(token, resolve)
      this.feed({ type: 'admin', token, command })
    })
  }

  /** Completions of the store: of the machines' effects, and of this shell's own reads. */
  onCompletion(completion: Input): void {
    if (completion.type !== 'loaded' || completion.token >= 0) return this.feed(completion)
    this.loads.get(completion.token)?.(completion.blocks)
    this.loads.delete(completion.token)
  }

  /** Reads blocks beside the machines and verifies them. Undefined when the store holds no replica of the extent, or the node stops. */
  load(extent: ExtentId, blocks: readonly BlockIndex[]): Promise<readonly LoadedBlock[] | undefined> {
    const held = this.machine.describeExtents().some((status) => status.extent === extent)
    if (!held || this.stopping !== undefined) return Promise.resolve(undefined)
    const token = -++this.lastOwnToken
    return new Promise((resolve) => {
      this.loads.set(token, resolve)
      this.store.execute({ type: 'load', token, extent, blocks })
    })
  }

  private settleAdmin(token: Token, done: Omit<AdminDone, 'type' | 'request'>): void {
    this.admins.get(token)?.(done)
    this.admins.delete(token)
  }

  private openControlLog(): Promise<ControlLog> {
    this.controlLog ??= openControlLog(controlLogDirectory(this.options.dataDir))
    return this.controlLog
  }

  private fail(reason: string, cause?: unknown): void {
    if (this.failed) return
    this.failed = true
    this.pump.stop()
    clearInterval(this.ticker)
    this.options.onFatal(reason, cause)
  }

  /**
   * Ends the node: hands over what it leads, then closes in reverse order of opening. Everything that it acknowledged is
   * on stable storage whether or not this succeeds.
   */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  private async shutDown(): Promise<void> {
    if (!this.failed) await this.handOver()
    clearInterval(this.ticker)
    this.pump.stop()
    for (const settle of this.admins.values())
      settle({
        code: ERRORS.CLOSED.number,
        message: 'the node stopped',
        hint: 'ask another node',
        revision: this.machine.map.revision,
      })
    this.admins.clear()
    for (const settle of this.loads.values()) settle(undefined)
    this.loads.clear()
    await this.transport.close()
    await (await this.controlLog)?.close()
    await this.store.close()
  }

  private handOver(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.options.log.warn({ waitedMs: HAND_OVER_MS }, 'stopping without a complete hand-over')
        resolve()
      }, HAND_OVER_MS)
      this.handedOver = () => {
        clearTimeout(late)
        resolve()
      }
      this.feed({ type: 'shut-down' })
    })
  }
}

/**
 * Opens the store and the control log, listens, and starts the machines. Rejects with an AshlarError that names what is
 * wrong (directory in use or of another format, port taken) and leaves nothing open.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  let node: Node | undefined
  const started = (): Node => {
    invariant(node !== undefined, 'a store or a transport spoke before the node was there')
    return node
  }
  const store = await openStore(
    {
      directory: options.dataDir,
      ...(options.ballastBytes === undefined ? {} : { ballastBytes: options.ballastBytes }),
      ...(options.storeMetrics === undefined ? {} : { metrics: options.storeMetrics }),
    },
    (completion) => started().onCompletion(completion),
  )
  try {
    const logDirectory = controlLogDirectory(options.dataDir)
    const controlLog = existsSync(logDirectory) ? await openControlLog(logDirectory) : undefined
    const transport = await createWsTransport(
      {
        listen: options.listen,
        identity: () => ({
          store: store.identity.store,
          counter: store.identity.incarnation.counter,
          name: options.name,
          address: options.advertise ?? transport.address,
          cluster: store.identity.cluster,
        }),
        logger: options.log.child({ room: 'transport' }),
      },
      {
        linkUp: (link, direction, peer) => {
          options.traffic?.linkUp(link, direction, peer.kind)
          started().feed({ type: 'link-up', link, direction, peer })
        },
        linkDown: (link) => {
          options.traffic?.linkDown(link)
          started().feed({ type: 'link-down', link })
        },
        messages: (link, messages) => started().onMessages(link, messages),
      },
    )
    node = new Node(options, store, transport, controlLog)
    return node
  } catch (error) {
    await store.close()
    throw error
  }
}
