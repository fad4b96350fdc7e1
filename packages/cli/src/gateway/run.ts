import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { MetricRegistry } from '@ashlar/client'
import { connectClient } from '@ashlar/client/internal'
import { clientExports, type NbdServer, serveNbd } from '@ashlar/client/nbd'
import { insecureListeners } from '@ashlar/node/config'
import { createLog, createRegister, type Register } from '@ashlar/node/internal'
import { AshlarError } from '@ashlar/proto'
import type { ApiClient } from '../api-client.ts'
import type { ClusterClient } from '../cluster-client.ts'
import { exitCodeOf } from '../failure.ts'
import type { StopRequests } from '../stop-signals.ts'
import { serveGatewayApi } from './api.ts'
import { gatewayMetrics } from './metrics.ts'
import { type GatewayOptions, tcpListeners } from './options.ts'

type Log = ReturnType<typeof createLog>

/** How long a gateway that found no node waits before it looks again. */
const RETRY_MS = 1000

/** Why a gateway ends. */
interface End {
  readonly code: number
  readonly error?: AshlarError
}

/**
 * Serves volumes over NBD until it is asked to stop, or until a volume is lost to another client: then it ends with that
 * failure and takes nothing back by itself. Resolves to the exit code; rejects with AshlarError when it cannot serve.
 */
export async function runGateway(options: GatewayOptions, api: ApiClient, stop: StopRequests): Promise<number> {
  const open = insecureListeners(options.insecure, listenersOf(options))
  const log = createLog({ level: options.logLevel, node: 'gateway' })
  const register = createRegister()
  const metrics = gatewayMetrics(register)
  for (const { option, address } of open) {
    log.warn({ option, address }, 'insecure-listener: anyone on the network can read and destroy the volumes')
    metrics.insecureListener(address)
  }
  const http = options.api === undefined ? undefined : await serveGatewayApi(options.api, register, log)
  const stopping = new AbortController()
  const asked = stop.asked.then((why): End => {
    log.info({ why }, 'stopping')
    stopping.abort()
    return { code: 0 }
  })
  try {
    await using client = await connectPatiently(options, api, log, replacing(register), stopping.signal)
    const lost = Promise.withResolvers<End>()
    // Closed in reverse order, also after a failure: a connection that is left open would keep the process alive.
    await using server = await serve(options, client, log, metrics.observer, (name, error) => {
      log.error({ export: name, code: error.code }, 'export-lost')
      lost.resolve({ code: exitCodeOf(error), error: lostError(name, error) })
    })
    log.info({ listen: server.addresses.map(({ uri }) => uri), exports: options.exports ?? 'all' }, 'serving')
    const end = await Promise.race([asked, lost.promise])
    if (end.error !== undefined) throw end.error
    return end.code
  } catch (error) {
    if (stopping.signal.aborted) return 0
    throw error
  } finally {
    http?.close()
    http?.closeAllConnections()
    log.info({}, 'stopped')
  }
}

type Metric = Parameters<Register['registry']['registerMetric']>[0] & { readonly name: string }

/** Every attempt to connect names the same metrics: those of the last one count. */
function replacing({ registry }: Register): MetricRegistry {
  return {
    registerMetric(metric: Metric) {
      registry.removeSingleMetric(metric.name)
      registry.registerMetric(metric)
    },
  }
}

function lostError(name: string, error: AshlarError): AshlarError {
  return new AshlarError(error.code, `export ${name} is lost: ${error.message}`, {
    hint: 'start the gateway again to take the volume back, which refuses its new holder',
    cause: error,
  })
}

/** Listeners by the flag that gave them, those of more than one numbered, without unix sockets. */
function listenersOf(options: GatewayOptions): Record<string, string> {
  const listeners = tcpListeners(options.listen).map((address, at) => [
    at === 0 ? '--listen' : `--listen ${at + 1}`,
    address,
  ])
  if (options.api !== undefined) listeners.push(['--api', options.api])
  return Object.fromEntries(listeners)
}

/** Connects, and waits for nodes that are not there yet: a gateway may well be started before them. */
async function connectPatiently(
  options: GatewayOptions,
  api: ApiClient,
  log: Log,
  register: MetricRegistry,
  signal: AbortSignal,
): Promise<ClusterClient> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connectClient({
        servers: options.peers ?? (await peersOf(api)),
        name: options.name ?? `gateway on ${hostname()} pid ${process.pid}`,
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

function serve(
  options: GatewayOptions,
  client: ClusterClient,
  log: Log,
  observer: ReturnType<typeof gatewayMetrics>['observer'],
  onLost: (name: string, error: AshlarError) => void,
): Promise<NbdServer> {
  const { exports, readOnly, listen, insecure } = options
  const provider = clientExports(client, { readOnly, ...(exports === undefined ? {} : { volumes: exports }) })
  return serveNbd(provider, {
    listen,
    insecure,
    logger: log,
    observer: { ...observer, exportLost: onLost },
  })
}
