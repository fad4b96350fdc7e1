import { AshlarError, isLoopback, isWildcard, parseAddress } from '@ashlar/proto'
import type { ServerOptions } from './options.ts'

/** A listener that anybody on the network can reach without proving who they are. */
export interface InsecureListener {
  readonly option: string
  readonly address: string
}

/** What the files say that decides whether options fit: found out by the caller, since this module does no I/O. */
export interface DataDirState {
  /** The directory does not exist or holds nothing: it belongs to no cluster yet. */
  readonly empty: boolean
}

/**
 * Refuses every combination of options that must not start: USAGE, with the name of the option. Resolves to the
 * listeners that --insecure allowed, for the log, the metrics and `cluster info`.
 */
export function validateServerOptions(options: ServerOptions, dataDir: DataDirState): InsecureListener[] {
  if (options.init && options.expect !== undefined && options.expect !== 1) {
    refuse('--expect', `${options.expect} contradicts --init, which founds a cluster of one node`)
  }
  if (options.expect !== undefined && options.expect < 1) refuse('--expect', 'must be at least 1')
  const known = knownPeers(options).length
  if (options.expect !== undefined && options.expect > known) {
    refuse('--expect', `${options.expect} nodes can never answer: --peers and this node are ${known}`)
  }
  if (dataDir.empty && options.peers.length === 0 && !options.init) {
    refuse('--peers', 'is empty and so is the data directory: there is no cluster to join', NO_PEERS_HINT)
  }
  refuseReserves(options)
  refuseUndialable(options)
  return insecureListeners(options.insecure, { '--listen': options.listen, '--api': options.api })
}

/** Advertised address: what --advertise says, else --listen. */
export function advertisedAddress(options: Pick<ServerOptions, 'listen' | 'advertise'>): string {
  return options.advertise ?? options.listen
}

/** Addresses of --peers and of this node, each once, sorted: the same list on every node that was told the same. */
export function knownPeers(options: Pick<ServerOptions, 'listen' | 'advertise' | 'peers'>): string[] {
  return [...new Set([...options.peers, advertisedAddress(options)])].sort()
}

/**
 * The listeners of a process that are open to the network. Refuses them unless `insecure`. `listeners`: address by
 * the option that gave it; unix sockets are nobody's business here.
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
    'listen on 127.0.0.1, or give --insecure on a network where everybody may read and destroy the volumes',
  )
}

const NO_PEERS_HINT = 'name the nodes of the cluster with --peers, or give --init to found one of this node alone'

/** Where both parts of one are larger they contradict each other on every disk; the rest shows when the store opens. */
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
    refuse(option, `${host} is no address that others can dial`, 'say with --advertise how they reach this node')
  }
  if (options.advertise !== undefined && parseAddress(options.advertise).port === 0) {
    refuse('--advertise', 'port 0 is no port that others can dial')
  }
}

function refuse(option: string, problem: string, hint?: string): never {
  throw new AshlarError('USAGE', `${option}: ${problem}`, hint === undefined ? {} : { hint })
}
