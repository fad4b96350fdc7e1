import { hostname } from 'node:os'
import { connectClient } from '@ashlar/client/internal'
import { parseList } from '@ashlar/node/config'
import { AshlarError, parseAddress } from '@ashlar/proto'
import type { Session } from './common.ts'
import { parsed } from './flags.ts'

/** The client library's client, as the command line uses it. */
export type ClusterClient = Awaited<ReturnType<typeof connectClient>>

export interface ClusterClientOptions {
  /** Peer addresses with commas; undefined: the API is asked for them. */
  readonly peers: string | undefined
  readonly ioTimeoutMs?: number
  readonly signal?: AbortSignal
}

/** Connects to the nodes that --peers names, or to those that the API knows. The caller closes the client. */
export async function connectCluster(session: Session, options: ClusterClientOptions): Promise<ClusterClient> {
  const { ioTimeoutMs, signal } = options
  return await connectClient({
    servers: await peerAddresses(session, options.peers),
    name: `ashlar on ${hostname()} pid ${process.pid}`,
    ...(ioTimeoutMs === undefined ? {} : { ioTimeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  })
}

async function peerAddresses({ api, io }: Session, peers: string | undefined): Promise<string[]> {
  const given = parseList(peers ?? io.environment['ASHLAR_PEERS'] ?? '')
  if (given.length > 0) {
    for (const address of given) parsed('--peers', address, parseAddress)
    return given
  }
  const nodes = (await api.nodes()).filter(({ state, address }) => state !== 'down' && address !== '')
  if (nodes.length === 0) throw new AshlarError('NO_CONTROL', 'the cluster has no node that is up')
  return nodes.map(({ address }) => address)
}
