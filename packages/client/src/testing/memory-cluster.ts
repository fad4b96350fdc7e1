import {
  AshlarError,
  type ClientRequest,
  type ClusterId,
  ERRORS,
  type ErrorCode,
  errorCodeOf,
  type Message,
  type NodeName,
  newVolume,
  newVolumeProblem,
  type SessionId,
  type StoreId,
} from '@ashlar/proto'
import type { CreateVolumeOptions } from '../admin.ts'
import type { Client } from '../client.ts'
import { connectOver } from '../connect.ts'
import type { ConnectOptions } from '../options.ts'
import { MemoryBlocks } from './memory-blocks.ts'
import { type MemoryFault, MemoryFaults, type MemoryHold, type MemoryRequest, requestOf } from './memory-faults.ts'
import { MemoryMap } from './memory-map.ts'
import { type MemoryLink, type MemoryNetwork, type MemoryNode, MemoryTransport } from './memory-transport.ts'

export interface MemoryClusterOptions {
  /** How many nodes, from 1 to 16: they are called n1, n2, and so on. Default 3. */
  readonly nodes?: number
  /** Volumes that are there from the start. */
  readonly volumes?: readonly Omit<CreateVolumeOptions, 'signal'>[]
}

/** Options of `connect`, but for those that a cluster in memory has no use for. */
export type MemoryConnectOptions = Omit<ConnectOptions, 'servers' | 'tls'>

/**
 * A whole cluster in this process, for the unit tests of programs that use the library: no sockets, no files, no timers
 * of its own. Its clients are those that `connect` gives, with all of their cutting, retrying, fencing and errors; its
 * nodes share one memory, so it shows nothing about replication or durability. Failures come on demand.
 */
export interface MemoryCluster extends AsyncDisposable {
  /** Names of the nodes. */
  readonly nodes: readonly string[]
  /** A client of this cluster. Clients are independent of one another, and closed with the cluster at the latest. */
  connect(options?: MemoryConnectOptions): Promise<Client>
  /** The next `times` (default 1) requests of this kind, of any client, meet the fault. */
  failNext(request: MemoryRequest, fault: MemoryFault, times?: number): void
  /** Requests of this kind wait until the hold is released: time for an abort, a timeout, a failover. */
  hold(request: MemoryRequest): MemoryHold
  /** Another client attaches the volume exclusively: its holders are fenced. NOT_FOUND. */
  fence(volume: string): void
  /** Stops a node: its connections break, and other nodes become primary of its extents. NOT_FOUND. */
  stopNode(name: string): void
  /** Starts it again. */
  startNode(name: string): void
  /**
   * Closes every client of it that is still open. Holds, faults and stopped nodes end first, so that nothing is waited
   * for.
   */
  close(): Promise<void>
}

const MAX_NODES = 16
/**
 * Here no message is lost without its connection, and every change of the map is sent at once. So no request needs to
 * be sent again for lack of a response, which would show in holds, and a refused one is soon tried again.
 */
const TIMERS = { answerTimeoutMs: 60_000, waitRetryMs: 20, cancelGraceMs: 200 } as const

/** Makes a cluster in memory. Rejects with USAGE that names the option, or as `admin.create` does for a volume. */
export async function memoryCluster(options: MemoryClusterOptions = {}): Promise<MemoryCluster> {
  const { nodes = 3, volumes = [] } = options
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES)
    throw new AshlarError('USAGE', `nodes must be a whole number from 1 to ${MAX_NODES}, not ${nodes}`)
  const cluster = new Cluster(nodes)
  for (const volume of volumes) cluster.create(volume)
  return cluster
}

class Cluster implements MemoryCluster, MemoryNetwork {
  readonly #nodes: readonly MemoryNode[]
  readonly #blocks = new MemoryBlocks()
  readonly #faults = new MemoryFaults()
  readonly #map: MemoryMap
  readonly #transports: Set<MemoryTransport> = new Set()
  readonly #clients: Set<Client> = new Set()
  #nextOutsider = 1

  constructor(nodes: number) {
    this.#map = new MemoryMap(
      '00000000-0000-4000-8000-00006d656d6f' as ClusterId,
      () => this.#notifyWatchers(),
      (extent) => this.#blocks.forget(extent),
    )
    this.#nodes = Array.from({ length: nodes }, (_, index) => ({
      name: `n${index + 1}`,
      address: `n${index + 1}.memory:7580`,
      store: `00000000-0000-7000-8000-${String(index + 1).padStart(12, '0')}` as StoreId,
      isUp: true,
    }))
    for (const { store, name, address } of this.#nodes) this.#map.addNode(store, name as NodeName, address)
  }

  get nodes(): readonly string[] {
    return this.#nodes.map(({ name }) => name)
  }

  async connect(options: MemoryConnectOptions = {}): Promise<Client> {
    const servers = this.#nodes.map(({ address }) => address)
    const transport = (events: ConstructorParameters<typeof MemoryTransport>[1]): MemoryTransport => {
      const made = new MemoryTransport(this, events, (closed) => this.#transports.delete(closed))
      this.#transports.add(made)
      return made
    }
    const client = await connectOver({ ...TIMERS, ...options, servers }, () => transport, this.connect)
    this.#clients.add(client)
    return client
  }

  create(options: Omit<CreateVolumeOptions, 'signal'>): void {
    const volume = newVolume(options)
    const problem = newVolumeProblem(volume)
    if (problem !== undefined) throw new AshlarError('USAGE', `volume '${volume.name}': ${problem}`)
    const { code, message } = this.#map.create(volume)
    if (code !== ERRORS.OK.number) throw new AshlarError(codeOf(code), message)
  }

  failNext(request: MemoryRequest, fault: MemoryFault, times = 1): void {
    this.#faults.add(request, fault, times)
  }

  hold(request: MemoryRequest): MemoryHold {
    return this.#faults.hold(request)
  }

  fence(volume: string): void {
    const session = -this.#nextOutsider++ as SessionId
    const attach = { do: 'attach', name: volume, session, mode: 'exclusive', ifFree: false } as const
    const { code, message } = this.#map.command({ ...attach, client: 'another client' })
    if (code !== ERRORS.OK.number) throw new AshlarError(codeOf(code), message)
  }

  stopNode(name: string): void {
    const node = this.#nodeNamed(name)
    node.isUp = false
    for (const link of this.#links()) if (link.node === node) link.transport.cut(link)
    this.#map.setNodeState(node.store, 'down')
  }

  startNode(name: string): void {
    const node = this.#nodeNamed(name)
    node.isUp = true
    this.#map.setNodeState(node.store, 'up')
    for (const transport of this.#transports) transport.dial(node.address)
  }

  async close(): Promise<void> {
    this.#faults.clear()
    for (const name of this.nodes) this.startNode(name)
    for (const client of this.#clients) await client.close()
    this.#clients.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // ---- what clients send

  nodeAt(address: string): MemoryNode | undefined {
    return this.#nodes.find((node) => node.address === address)
  }

  receive(link: MemoryLink, message: Message): void {
    const request = requestOf(message)
    this.#faults.pass(request, () => {
      const fault = this.#faults.take(request)
      if (fault === 'lose-request') return link.transport.cut(link)
      const answer =
        fault === undefined || fault === 'lose-answer' ? this.#executeEffects(link, message) : refusal(message, fault)
      if (fault === 'lose-answer') link.transport.cut(link)
      else if (answer !== undefined) link.transport.answer(link, answer)
    })
  }

  #executeEffects(link: MemoryLink, message: Message): Message | undefined {
    switch (message.type) {
      case 'get-map':
        link.isWatching ||= message.watch
        return { type: 'map-update', delta: this.#map.delta() }
      case 'admin':
        return { type: 'admin-done', request: message.request, ...this.#map.command(message.command) }
      case 'write':
      case 'zero':
      case 'cancel':
      case 'read':
      case 'query-allocation':
        return this.#serve(link.node, message)
      default:
        return undefined
    }
  }

  /** What the node answers: it serves extents that it is primary of, to sessions that are not fenced. */
  #serve(node: MemoryNode, message: ClientRequest): Message {
    const { request, extent } = message
    const record = this.#map.extent(extent)
    const volume = this.#map.volumeOf(extent)
    const epoch = record?.epoch ?? message.epoch
    const answer = (code: ErrorCode): Message => ({ type: 'answer', request, code: ERRORS[code].number, epoch })
    if (record === undefined || volume === undefined) return answer('NOT_FOUND')
    if (record.primary.store !== node.store || record.epoch !== message.epoch) return answer('NOT_PRIMARY')
    const { blockSizeBytes, generation } = volume
    if (message.type === 'query-allocation') {
      const kinds = Array.from({ length: message.blocks }, (_, i) =>
        this.#blocks.kindOf(extent, message.firstBlock + i),
      )
      return { type: 'allocation', request, runs: kinds.map((kind) => ({ blocks: 1, kind })) }
    }
    if (message.type === 'read') {
      if (message.generation !== 0 && message.generation < generation) return answer('FENCED')
      const parts = this.#blocks.read(extent, blockSizeBytes, message.offset, message.length)
      return { type: 'read-done', request, parts }
    }
    if (message.operation.generation < generation) return answer('FENCED')
    if (record.inSync.length < volume.minInSync) return answer('WAIT')
    return answer(this.#blocks.change(message, blockSizeBytes))
  }

  #notifyWatchers(): void {
    const delta = this.#map.delta()
    for (const link of this.#links()) if (link.isWatching) link.transport.answer(link, { type: 'map-update', delta })
  }

  *#links(): Iterable<MemoryLink> {
    for (const transport of this.#transports) yield* [...transport.links]
  }

  #nodeNamed(name: string): MemoryNode {
    const node = this.#nodes.find((known) => known.name === name)
    if (node === undefined)
      throw new AshlarError('NOT_FOUND', `there is no node ${name}`, {
        hint: `The nodes are ${this.nodes.join(', ')}.`,
      })
    return node
  }
}

function refusal(message: Message, code: ErrorCode): Message {
  const { number } = ERRORS[code]
  const text = `the test asked for ${code}`
  if (message.type === 'admin')
    return { type: 'admin-done', request: message.request, code: number, message: text, hint: '', revision: 0 }
  const { request, epoch } = message as ClientRequest
  return { type: 'answer', request, code: number, epoch }
}

function codeOf(number: number): ErrorCode {
  return errorCodeOf(number) ?? 'INTERNAL'
}
