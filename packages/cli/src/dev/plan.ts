import { join, resolve } from 'node:path'
import { AshlarError, counted, nbdUri, parseListenAddress } from '@ashlar/proto'

/** The options of `ashlar dev`, with defaults. */
export interface DevOptions {
  readonly nodes: number
  readonly dataDir: string
  readonly apiPort: number
  /** HOST:PORT or unix:PATH. */
  readonly nbd: string
  readonly volume: string
  readonly sizeBytes: number
  readonly replicas: number
  readonly restart: boolean
}

export interface PlannedNode {
  readonly id: string
  /** Base address of the API. */
  readonly api: string
  /** host:port that peers and clients dial. */
  readonly peer: string
  readonly dataDir: string
  readonly log: string
  /** Environment variables beside the inherited ones. */
  readonly environment: Readonly<Record<string, string>>
  /** Whole command line, absolute path of the program first. */
  readonly command: readonly string[]
}

export interface PlannedGateway {
  /** Where it listens, as an NBD URI of the demo volume. */
  readonly uri: string
  readonly log: string
  /** As that of a node. */
  readonly environment: Readonly<Record<string, string>>
  readonly command: readonly string[]
}

export interface DevPlan {
  readonly nodes: readonly PlannedNode[]
  readonly gateway: PlannedGateway
}

const HOST = '127.0.0.1'
/** Peer ports follow API ports at this distance: 7480 and 7580. */
const PEER_PORT_DISTANCE = 100
const MAX_NODES = PEER_PORT_DISTANCE
/**
 * Keeps memory use low: buffers of up to a mebibyte are allocated and freed all the time, and glibc would keep a heap for each
 * of eight threads, V8 three young generations of 32 MiB. docs/benchmarks.md has what they save.
 */
export const PROCESS_ENVIRONMENT = {
  NODE_OPTIONS: '--max-semi-space-size=4',
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '262144',
} as const
/** One helper of V8's collector for each node, since more compete with it for few processors; the gateway reads faster without. */
const NODE_ENVIRONMENT = {
  ...PROCESS_ENVIRONMENT,
  NODE_OPTIONS: `${PROCESS_ENVIRONMENT.NODE_OPTIONS} --v8-pool-size=1`,
} as const

/**
 * The processes of a development cluster. The same options give the same plan, so that a second run finds its data.
 * `ashlar`: the command that runs this very program, absolute path first.
 */
export function planDev(options: DevOptions, ashlar: readonly string[]): DevPlan {
  const directory = resolve(options.dataDir)
  const numbers = Array.from({ length: options.nodes }, (_, index) => index)
  const peers = numbers.map((number) => `${HOST}:${options.apiPort + PEER_PORT_DISTANCE + number}`)
  const nodes = numbers.map((number): PlannedNode => {
    const id = `n${number + 1}`
    const api = `${HOST}:${options.apiPort + number}`
    const peer = peers[number] ?? ''
    const dataDir = join(directory, id)
    const bootstrap = options.nodes === 1 ? ['--init'] : ['--peers', peers.join(','), '--expect', String(peers.length)]
    return {
      id,
      api: `http://${api}`,
      peer,
      dataDir,
      log: join(directory, 'logs', `${id}.log`),
      environment: NODE_ENVIRONMENT,
      command: [
        ...ashlar,
        ...['server', 'run', '--name', id, '--data-dir', dataDir, '--listen', peer, '--api', api],
        ...bootstrap,
      ],
    }
  })
  return {
    nodes,
    gateway: {
      uri: nbdUri(parseListenAddress(options.nbd), options.volume),
      log: join(directory, 'logs', 'gateway.log'),
      environment: PROCESS_ENVIRONMENT,
      command: [...ashlar, 'gateway', 'run', '--listen', options.nbd, '--peers', peers.join(',')],
    },
  }
}

/** Where a gateway listens: HOST:PORT or unix:PATH. */
export function listenerOf({ command }: Pick<PlannedGateway, 'command'>): string {
  return command[command.indexOf('--listen') + 1] ?? ''
}

/** Throws USAGE for options that no development cluster can have. */
export function checkDevOptions(options: DevOptions): void {
  const { nodes, apiPort, replicas } = options
  if (nodes < 1 || nodes > MAX_NODES) throw new AshlarError('USAGE', `--nodes: must be from 1 to ${MAX_NODES}`)
  if (apiPort < 1 || apiPort + PEER_PORT_DISTANCE + nodes > 65_536) {
    throw new AshlarError('USAGE', `--api-port: ${apiPort} leaves too few ports for ${counted(nodes, 'node')}`)
  }
  if (replicas > nodes) {
    throw new AshlarError(
      'USAGE',
      `--replicas: ${counted(replicas, 'replica needs a node', 'replicas need as many nodes')}, and there ${nodes === 1 ? 'is' : 'are'} ${nodes}`,
      {
        hint: 'give more --nodes or fewer --replicas',
      },
    )
  }
}
