import type { Bytes } from '@ashlar/proto'
import { createAdminServer, listenAdmin } from './admin/index.ts'
import type { Input } from './core/machine.ts'
import { othersKeepLog } from './core/raft/index.ts'
import type { Observer } from './observe/index.ts'
import { NodeRuntime, type RuntimeOptions } from './runtime/runtime.ts'
import {
  BootMark,
  controlLogDirectory,
  openExistingControlLog,
  openStore,
  type ReplicaStore,
  type ReserveOptions,
  runtimeDirectory,
} from './storage/index.ts'
import { Scrubber, type ScrubCommand } from './storage/scrub/index.ts'
import { createWsTransport, type WsTransport } from './transport/index.ts'

/** What a node is started with. Everything is checked before: see config/. */
export interface NodeOptions extends RuntimeOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** host:port under which others dial this node; undefined: what it listens on. */
  readonly advertise: string | undefined
  /** host:port on which the HTTP API listens. */
  readonly api: string
  /** host:port under which others reach the API; undefined: what it listens on. */
  readonly advertiseApi?: string | undefined
  /** Size of the ballast file; undefined: as much as opening the store on a full disk takes. */
  readonly ballastBytes?: Bytes
  /** Space that is kept free on the disk; absent parts follow from its size. */
  readonly reserves?: ReserveOptions
  /** Bytes a second that the scrub reads; 0: none. Absent: the default of the scrub. */
  readonly scrubBytesPerSecond?: Bytes | undefined
}

/** A node that runs. */
export interface Node {
  /** host:port that peers and clients dial. */
  readonly address: string
  /** host:port of the HTTP API. */
  readonly api: string
  /**
   * Hands over what the node leads, stops the machines, then closes connections, log, store and, last, the API, so that
   * it responds to probes until the end. May be called again; every call resolves when all is closed.
   */
  stop(): Promise<void>
}

/**
 * The composition root: opens the store and the control log, listens for the API and for peers, and starts the machines.
 * Rejects with an AshlarError that names what is wrong (directory in use or of another format, port taken) and leaves
 * nothing open.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  const closers: Closer[] = []
  try {
    return await openNode(options, closers)
  } catch (error) {
    // The caller gets the first failure; one of a closer must not keep the rest open.
    for (const close of closers.reverse()) await close().catch(() => undefined)
    throw error
  }
}

type Closer = () => Promise<unknown>

/** Pushes to `closers` whatever it opens, in order. */
async function openNode(options: NodeOptions, closers: Closer[]): Promise<Node> {
  const { observer } = options
  const { store, node } = await openRuntime(options, closers)
  const scrubber = new Scrubber(store.scrubbed, { bytesPerSecond: options.scrubBytesPerSecond })
  observer.metrics.scrub.watch(scrubber)
  const scrub = {
    get status() {
      return scrubber.status
    },
    get reasonToLeave() {
      return node.view.reasonToLeave
    },
    command: (command: ScrubCommand) => scrubber.command(command),
  }
  const metrics = { contentType: observer.register.contentType, expose: () => observer.register.expose() }
  const log = observer.log.child({ module: 'admin' })
  const server = await createAdminServer({ view: node.view, log, metrics, scrub })
  closers.push(() => server.close())
  const api = await listenAdmin(server, options.api)
  const transport = await openTransport(options, store, node)
  closers.push(() => transport.close())
  observer.metrics.transport.watch(transport.counters)
  node.begin(transport, options.advertise ?? transport.address, options.advertiseApi ?? api)
  observer.watch(node.view)
  scrubber.start()
  const stopAll = async (): Promise<void> => {
    try {
      scrubber.stop()
      await node.stop()
    } finally {
      await server.close()
      observer.close()
    }
  }
  let stopping: Promise<void> | undefined
  return {
    address: transport.address,
    api,
    stop() {
      stopping ??= stopAll()
      return stopping
    },
  }
}

/** The store, the control log that it already has, and the runtime over both. */
async function openRuntime(
  options: NodeOptions,
  closers: Closer[],
): Promise<{ readonly store: ReplicaStore; readonly node: NodeRuntime }> {
  const { observer, dataDir: directory, ballastBytes, reserves } = options
  let node: NodeRuntime | undefined
  /** Completions from before the runtime exists: the store may fail at once, and that input must not be lost. */
  const early: Input[] = []
  const store = await openStore(
    {
      directory,
      owner: { node: options.name, peers: options.peers.filter((peer) => peer !== options.advertise) },
      ...(ballastBytes === undefined ? {} : { ballastBytes }),
      ...(reserves === undefined ? {} : { reserves }),
    },
    (input) => (node === undefined ? early.push(input) : node.onStoreCompletion(input)),
  )
  closers.push(() => store.close())
  observer.metrics.storage.watch(store)
  const control = controlLogDirectory(directory)
  const bootMark = await openBootMark(store, control, observer)
  const shared = othersKeepLog(store.identity.voters, store.identity.store)
  const controlLog = await openExistingControlLog(control, { shared, bootMark })
  if (controlLog !== undefined) closers.push(() => controlLog.close())
  node = new NodeRuntime(options, store, controlLog, bootMark)
  for (const input of early) node.onStoreCompletion(input)
  return { store, node }
}

async function openTransport(options: NodeOptions, store: ReplicaStore, node: NodeRuntime): Promise<WsTransport> {
  const transport = await createWsTransport(
    {
      listen: options.listen,
      identity: () => ({
        store: store.identity.store,
        counter: store.identity.incarnation.counter,
        name: options.name,
        address: options.advertise ?? transport.address,
        cluster: store.identity.cluster,
        featureLevel: node.view.featureLevel,
      }),
      blockSizeOf: (extent) => node.blockSizeOf(extent),
      logger: options.observer.log.child({ module: 'transport' }),
      onOtherCluster: (address, reason) => node.otherCluster(address, reason),
    },
    node,
  )
  return transport
}

/** Undefined where it cannot be kept: an older copy of the whole data directory is then not detected (A2.20-5). */
async function openBootMark(store: ReplicaStore, control: string, { log }: Observer): Promise<BootMark | undefined> {
  const { identity } = store
  try {
    const cluster = () => store.identity.cluster
    return await BootMark.open(await runtimeDirectory(), { store: identity.store, control, cluster })
  } catch (error) {
    const reason = (error as Error).message
    log.warn({ reason }, 'no boot mark: an older copy of the data directory would not be detected')
    return undefined
  }
}
