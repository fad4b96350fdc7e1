import { readdir } from 'node:fs/promises'
import { endOfStart, type Node, type NodeOptions, Observer, startNode } from '@ashlar/node'
import { knownPeers, type ServerOptions, VERSION, validateServerOptions } from '@ashlar/node/config'
import {
  AshlarError,
  formatAddress,
  isWildcard,
  NODE_ENDS,
  type NodeEndKind,
  type NodeName,
  parseAddress,
} from '@ashlar/proto'
import { describeFailure } from '../failure.ts'
import type { Io } from '../io.ts'
import { stopRequests } from '../stop-signals.ts'

/** Exit code of a node whose stop took too long, or was asked for twice. */
const FAILED = NODE_ENDS.internal.exit

/** Runs a node until it is asked to stop. Resolves to the exit code; throws USAGE for wrong options. */
export async function runServer(io: Io, options: ServerOptions): Promise<number> {
  const insecure = validateServerOptions(options, { empty: await isEmptyDirectory(options.dataDir) })
  const observer = new Observer({ level: options.logLevel, name: options.name, version: VERSION })
  // A node that cannot continue ends at once: its state is not reliable any more, and what it acknowledged is on disk.
  const fail = (reason: string, cause?: unknown, kind: NodeEndKind = 'internal'): never => {
    observer.log.fatal({ reason, kind, err: cause }, 'fatal')
    const because = cause instanceof Error ? `: ${cause.message}` : ''
    io.error(`ashlar: ${options.name} cannot go on: ${reason}${because}\n`)
    process.exit(NODE_ENDS[kind].exit)
  }
  process.on('uncaughtException', (error) => fail('an unexpected error', error))
  const stop = stopRequests(() => process.exit(FAILED))
  try {
    const node = await startNode(nodeOptions(options, observer, insecure, fail))
    observer.log.info({ address: node.address, api: node.api, dataDir: options.dataDir, version: VERSION }, 'serving')
    observer.log.info({ why: await stop.asked }, 'stopping')
    await stopWithin(node, options.stopTimeoutMs, observer)
    return 0
  } catch (error) {
    const kind = endOfStart(error)
    observer.log.fatal({ err: error, kind }, 'failed')
    io.error(`ashlar: ${describeFailure(error)}\n`)
    return NODE_ENDS[kind].exit
  } finally {
    stop.release()
  }
}

function nodeOptions(
  options: ServerOptions,
  observer: Observer,
  insecure: NodeOptions['insecure'],
  onFatal: NodeOptions['onFatal'],
): NodeOptions {
  const peers = knownPeers(options)
  const api = parseAddress(options.api)
  const host = parseAddress(options.advertise ?? options.listen).host
  return {
    dataDir: options.dataDir,
    listen: parseAddress(options.listen),
    advertise: options.advertise,
    api: options.api,
    // Others reach the API at the host under which they reach the node, where it listens on every interface.
    advertiseApi: isWildcard(api.host) ? formatAddress({ host, port: api.port }) : undefined,
    name: options.name as NodeName,
    labels: options.label,
    peers,
    // A node without peers belongs to a cluster already: only --init makes a cluster of a single node.
    expect: options.init ? 1 : Math.max(2, options.expect ?? peers.length),
    voterCount: options.voters,
    observer,
    version: VERSION,
    insecure,
    onFatal,
    ...(options.ballastBytes === undefined ? {} : { ballastBytes: options.ballastBytes }),
    scrubBytesPerSecond: options.scrubRate,
    reserves: { placement: options.placementReserve, writes: options.writeReserve, last: options.lastReserve },
  }
}

/** Everything acknowledged is on stable storage whether or not the stop succeeds, so that a slow one may be cut off. */
async function stopWithin(node: Node, timeoutMs: number, observer: Observer): Promise<void> {
  const late = setTimeout(() => {
    observer.log.warn({ timeoutMs }, 'stop-timed-out')
    process.exit(FAILED)
  }, timeoutMs)
  try {
    await node.stop()
    observer.log.info({}, 'stopped')
  } finally {
    clearTimeout(late)
  }
}

/** True for a directory that holds nothing or does not exist. The store checks anything else. */
async function isEmptyDirectory(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length === 0
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    const problem = code === 'ENOTDIR' ? 'is not a directory' : `cannot be read: ${(error as Error).message}`
    throw new AshlarError('USAGE', `--data-dir: ${path} ${problem}`, { cause: error })
  }
}
