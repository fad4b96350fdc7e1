import { AshlarError, isLoopback, isWildcard, parseAddress } from '@ashlar/proto'
import type { ServerOptions } from './options.ts'

/** A listener that any process on the network can reach without authentication. */
export interface InsecureListener {
  readonly option: string
  readonly address: string
}

/** State of the data directory that the checks depend on; read by the caller, since this module does no I/O. */
export interface DataDirState {
  /** The directory does not exist or holds nothing: it belongs to no cluster yet. */
  readonly empty: boolean
}

/**
 * Refuses every combination of options that must not start: USAGE, with the name of the option. Returns the listeners
 * that --insecure allowed, for the log, the metrics and `cluster info`.
 */
export function validateServerOptions(options: ServerOptions, dataDir: DataDirState): InsecureListener[] {
  if (options.init && options.expect !== undefined && options.expect !== 1) {
    refuse('--expect', `${options.expect} contradicts --init, which bootstraps a cluster of one node`)
  }
  if (options.expect !== undefined && options.expect < 1) refuse('--expect', 'must be at least 1')
  const known = knownPeers(options).length
  if (options.expect !== undefined && options.expect > known) {
    refuse('--expect', `${options.expect} is more than the ${known} nodes in --peers and this one`)
  }
  if (dataDir.empty && options.peers.length === 0 && !options.init) {
    refuse('--peers', 'is empty and so is the data directory: there is no cluster to join', NO_PEERS_HINT)
  }
  refuseReserves(options)
  refuseUndialable(options)
  return insecureListeners(options.insecure, { '--listen': options.listen, '--api': options.api })
}

/** Advertised address: --advertise, else --listen. */
export function advertisedAddress(options: Pick<ServerOptions, 'listen' | 'advertise'>): string {
  return options.advertise ?? options.listen
}

/** Addresses of --peers and of this node, each once, sorted: the same list on every node with the same options. */
export function knownPeers(options: Pick<ServerOptions, 'listen' | 'advertise' | 'peers'>): string[] {
  return [...new Set([...options.peers, advertisedAddress(options)])].sort()
}

/**
 * The listeners of a process that are open to the network. Refuses them unless `insecure`. `listeners`: address by
 * the option that gave it; without unix sockets.
 */
export function insecureListeners(insecure: boolean, listeners: Readonly<Record<string, string>>): InsecureListener[] {
  const open = Object.entries(listeners)
    .filter(([, address]) => !isLoopback(parseAddress(address).host))
    .map(([option, address]) => ({ option, address }))
  const [first] = open
  if (first === undefined || insecure) return open
  refuse(
    first.option,
    `${first.address} is not a loopback address, and there is no TLS and no credential yet`,
    'listen on 127.0.0.1, or give --insecure if every process on the network may read and destroy the volumes',
  )
}

const NO_PEERS_HINT = 'name the nodes of the cluster with --peers, or give --init to bootstrap one of this node alone'

/** Refuses reserves that contradict each other on every disk; other contradictions are found when the store opens. */
function refuseReserves({ placementReserve, writeReserve, lastReserve }: ServerOptions): void {
  const larger = (a: ServerOptions['writeReserve'], b: ServerOptions['writeReserve']) =>
    a !== undefined &&
    b !== undefined &&
    a.bytes >= b.bytes &&
    a.percent >= b.percent &&
    (a.bytes > b.bytes || a.percent > b.percent)
  const hint = 'the placement reserve is the largest, then the write reserve, then the last reserve'
  if (larger(writeReserve, placementReserve)) refuse('--write-reserve', 'is more than --placement-reserve', hint)
  if (larger(lastReserve, writeReserve)) refuse('--last-reserve', 'is more than --write-reserve', hint)
  if (larger(lastReserve, placementReserve)) refuse('--last-reserve', 'is more than --placement-reserve', hint)
}

function refuseUndialable(options: ServerOptions): void {
  const option = options.advertise === undefined ? '--listen' : '--advertise'
  const { host } = parseAddress(advertisedAddress(options))
  if (isWildcard(host)) {
    refuse(
      option,
      `other nodes cannot dial ${host}`,
      'give the address under which they reach this node with --advertise',
    )
  }
  if (options.advertise !== undefined && parseAddress(options.advertise).port === 0) {
    refuse('--advertise', 'other nodes cannot dial port 0')
  }
}

function refuse(option: string, problem: string, hint?: string): never {
  throw new AshlarError('USAGE', `${option}: ${problem}`, hint === undefined ? {} : { hint })
}
