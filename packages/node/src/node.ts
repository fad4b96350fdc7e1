import type { Bytes, NodeName } from '@ashlar/proto'
import { createAdminServer, listenAdmin } from './admin/index.ts'
import type { InsecureListener } from './config/index.ts'
import type { Input } from './core/machine.ts'
import { othersKeepLog } from './core/raft/index.ts'
import type { Observer } from './observe/index.ts'
import { RunningNode } from './running-node.ts'
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
import { createWsTransport } from './transport/index.ts'

/** What a node is started with. Everything is checked before: see config/. */
export interface NodeOptions {
  readonly dataDir: string
  readonly listen: { readonly host: string; readonly port: number }
  /** host:port under which others dial this node; undefined: what it listens on. */
  readonly advertise: string | undefined
  /** host:port on which the HTTP API listens. */
  readonly api: string
  /** host:port under which others reach the API; undefined: what it listens on. */
  readonly advertiseApi?: string | undefined
  readonly name: NodeName
  /** Facts about where the node is, such as its zone: `/v1/local` and `node describe` show them. */
  readonly labels: Readonly<Record<string, string>>
  /** Advertised addresses of the expected peers, sorted, this node's own included. */
  readonly peers: readonly string[]
  /** How many of them must answer before a cluster is founded; 1 founds a cluster of this node alone. */
  readonly expect: number
  /** How many of them keep the control log of a cluster that is founded here: 1, 3 or 5; 1 when absent. */
  readonly voterCount?: number
  readonly observer: Observer
  readonly version: string
  /** Listeners that --insecure allowed, for the warnings that it costs. */
  readonly insecure: readonly InsecureListener[]
  /** Size of the ballast file; undefined: as much as it takes to open a full disk. */
  readonly ballastBytes?: Bytes
  /** Room that is kept free on the disk; what is not given follows from its size. */
  readonly reserves?: ReserveOptions
  /** Bytes a second that the scrub reads; 0: none. Absent: what scrub/ takes by itself. */
  readonly scrubBytesPerSecond?: Bytes | undefined
  /** The node cannot go on and has stopped acknowledging: the process must end. Called once. */
  readonly onFatal: (reason: string, cause?: unknown) => void
}

/** A node that runs. */
export interface Node {
  /** host:port that peers and clients dial. */
  readonly address: string
  /** host:port of the HTTP API. */
  readonly api: string
  /**
   * Hands over what the node leads, stops the machines, then closes connections, log, store and, last, the API, so that
   * probes are answered until the end. May be called again; every call resolves when all is closed.
   */
  stop(): Promise<void>
}

/**
 * The composition root: opens the store and the control log, listens for the API and for peers, and starts the machines.
 * Rejects with an AshlarError that names what is wrong (directory in use or of another format, port taken) and leaves
 * nothing open.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  const closers: (() => Promise<unknown>)[] = []
  try {
    let running: RunningNode | undefined
    /** What the store said before there was a node: it may fail at once, and that must not go unheard. */
    const early: Input[] = []
    const { observer } = options
    const store = await openStore(
      {
        directory: options.dataDir,
        ...(options.ballastBytes === undefined ? {} : { ballastBytes: options.ballastBytes }),
        ...(options.reserves === undefined ? {} : { reserves: options.reserves }),
      },
      (input) => (running === undefined ? early.push(input) : running.onStoreCompletion(input)),
    )
    closers.push(() => store.close())
    observer.metrics.storage.watch(store)
    const scrubber = new Scrubber(store.scrubbed, { bytesPerSecond: options.scrubBytesPerSecond })
    observer.metrics.scrub.watch(scrubber)
    const shared = othersKeepLog(store.identity.voters)
    const control = controlLogDirectory(options.dataDir)
    const bootMark = await openBootMark(store, control, observer)
    closers.push(async () => bootMark?.close())
    const controlLog = await openExistingControlLog(control, { shared, bootMark })
    if (controlLog !== undefined) closers.push(() => controlLog.close())
    const node = new RunningNode(options, store, controlLog)
    running = node
    for (const input of early) node.onStoreCompletion(input)
    const metrics = { contentType: observer.register.contentType, expose: () => observer.register.expose() }
    const scrub = {
      get status() {
        return scrubber.status
      },
      get reasonToLeave() {
        return node.reasonToLeave
      },
      command: (command: ScrubCommand) => scrubber.command(command),
    }
    const log = observer.log.child({ room: 'admin' })
    const server = await createAdminServer({ view: node, log, metrics, scrub })
    closers.push(() => server.close())
    const api = await listenAdmin(server, options.api)
    const transport = await createWsTransport(
      {
        listen: options.listen,
        identity: () => ({
          store: store.identity.store,
          counter: store.identity.incarnation.counter,
          name: options.name,
          address: options.advertise ?? transport.address,
          cluster: store.identity.cluster,
          featureLevel: node.featureLevel,
        }),
        logger: observer.log.child({ room: 'transport' }),
        onOtherCluster: (address, reason) => node.otherCluster(address, reason),
      },
      node,
    )
    closers.push(() => transport.close())
    observer.metrics.transport.watch(transport.counters)
    node.begin(transport, options.advertise ?? transport.address, options.advertiseApi ?? api)
    observer.watch(node)
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
  } catch (error) {
    // The first failure is the one to tell; what cannot be closed after it must not keep the rest open.
    for (const close of closers.reverse()) await close().catch(() => undefined)
    throw error
  }
}

/** Undefined where there is no place for it: an older copy of the whole data directory is then not found out (A2.20-5). */
async function openBootMark(store: ReplicaStore, control: string, { log }: Observer): Promise<BootMark | undefined> {
  const { identity } = store
  try {
    const cluster = () => store.identity.cluster
    return await BootMark.open(await runtimeDirectory(), { store: identity.store, control, cluster })
  } catch (error) {
    const reason = (error as Error).message
    log.warn({ reason }, 'nothing tells whether the data directory was put back to an older copy')
    return undefined
  }
}
