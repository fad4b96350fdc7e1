import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { MetricRegistry } from '@ashlar/client'
import { connectClient } from '@ashlar/client/internal'
import { clientExports, deviceExports, type ExportProvider, MemoryDevice } from '@ashlar/client/nbd'
import type { createLog } from '@ashlar/node/internal'
import { AshlarError, formatListenAddress, parseListenAddress } from '@ashlar/proto'
import type { ApiClient } from '../api-client.ts'
import type { ClusterClient } from '../cluster-client.ts'
import type { GatewayOptions } from './options.ts'

type Log = ReturnType<typeof createLog>

/** How long a gateway that found no node waits before it looks again. */
const RETRY_MS = 1000
/** The library refuses longer names of owners. */
const OWNER_LENGTH = 255
/** Name of the disk of a memory backend that was given none: that of the volume of `ashlar dev`. */
const DEFAULT_DISK = 'demo'

/** Where the exports of a gateway come from; disposed of when it ends. */
export interface ExportSource extends AsyncDisposable {
  readonly exports: ExportProvider
  /** All that may be served, where that is known beforehand. */
  readonly names: readonly string[] | undefined
}

/** What a source of exports may use. */
export interface SourceContext {
  readonly api: ApiClient
  readonly log: Log
  readonly register: MetricRegistry
  /** Name that the gateway keeps when it starts again; undefined: none. */
  readonly owner: string | undefined
  /** Ends the wait for nodes that are not there yet. */
  readonly signal: AbortSignal
}

export async function exportSource(options: GatewayOptions, context: SourceContext): Promise<ExportSource> {
  if (options.backend === 'memory') return memorySource(options)
  const { readOnly, shared, exports: volumes } = options
  const client = await connectPatiently(options, context)
  const takeOver = options.takeOver ? 'take' : 'silent'
  return {
    exports: clientExports(client, { readOnly, shared, takeOver, ...(volumes === undefined ? {} : { volumes }) }),
    names: volumes,
    [Symbol.asyncDispose]: () => client.close(),
  }
}

/**
 * Without --name the addresses that the gateway listens on identify it on its host. Sockets that others opened, a port that
 * the system chooses, and standard input and output do not.
 */
export function ownerOf({ name }: GatewayOptions, listen: readonly string[]): string | undefined {
  if (name !== undefined) return `gateway ${name}`
  const addresses = listen.map(parseListenAddress)
  if (addresses.length === 0 || addresses.some((address) => address.type === 'tcp' && address.port === 0))
    return undefined
  const places = addresses.map((address) =>
    address.type === 'unix' ? resolve(address.path) : formatListenAddress(address),
  )
  return `gateway on ${hostname()} at ${places.join(', ')}`.slice(0, OWNER_LENGTH)
}

/** Empty disks in memory, one for each name. They keep what is written to them for as long as the gateway runs. */
function memorySource({ exports: names = [DEFAULT_DISK], sizeBytes, readOnly }: GatewayOptions): ExportSource {
  const disks = names.map((name) => ({ name, device: new MemoryDevice({ sizeBytes, readOnly }) }))
  return {
    exports: deviceExports(disks),
    names,
    async [Symbol.asyncDispose]() {
      for (const { device } of disks) await device.close()
    },
  }
}

/** Connects, and waits for nodes that are not there yet: a gateway may well be started before them. */
async function connectPatiently(options: GatewayOptions, context: SourceContext): Promise<ClusterClient> {
  const { api, log, register, signal, owner } = context
  for (let attempt = 1; ; attempt++) {
    try {
      return await connectClient({
        servers: options.peers ?? (await peersOf(api)),
        name: `gateway ${options.name === undefined ? '' : `${options.name} `}on ${hostname()} pid ${process.pid}`,
        ...(owner === undefined ? {} : { owner }),
        ioTimeoutMs: options.ioTimeoutMs,
        logger: log,
        register,
        signal,
      })
    } catch (error) {
      if (!(error instanceof AshlarError) || error.code !== 'NO_CONTROL') throw error
      if (attempt === 1) log.warn({ reason: error.message }, 'no-node-yet')
      await delay(RETRY_MS, undefined, { signal })
    }
  }
}

async function peersOf(api: ApiClient): Promise<string[]> {
  const addresses = (await api.nodes()).map(({ address }) => address).filter((address) => address !== '')
  if (addresses.length > 0) return addresses
  throw new AshlarError('NO_CONTROL', 'the cluster has no nodes yet')
}
