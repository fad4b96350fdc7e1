import type { MetricRegistry } from '@ashlar/client'
import { type NbdServerOptions, serveNbd, serveNbdStream } from '@ashlar/client/nbd'
import { insecureListeners } from '@ashlar/node/config'
import { createLog, createRegister, type Register } from '@ashlar/node/internal'
import { AshlarError } from '@ashlar/proto'
import type { ApiClient } from '../api-client.ts'
import { exitCodeOf } from '../failure.ts'
import type { StopRequests } from '../stop-signals.ts'
import { serveGatewayApi } from './api.ts'
import { inheritedSockets, standardStream } from './inherited.ts'
import { gatewayMetrics } from './metrics.ts'
import { type GatewayOptions, tcpListeners } from './options.ts'
import { type ExportSource, exportSource, ownerOf } from './sources.ts'

type Log = ReturnType<typeof createLog>

/** Why a gateway ends. */
interface End {
  readonly code: number
  readonly error?: AshlarError
}

/**
 * Serves volumes over NBD until it is asked to stop, until its one client left (--stdio), or until a volume is lost to
 * another client: then it ends with that failure and takes nothing back by itself. Resolves to the exit code; rejects
 * with AshlarError when it cannot serve.
 *
 * @param environment where LISTEN_FDS and LISTEN_PID are looked up: sockets passed by them take the place of --listen
 */
export async function runGateway(
  options: GatewayOptions,
  api: ApiClient,
  stop: StopRequests,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<number> {
  const descriptors = inheritedSockets(environment, process.pid)
  const listen = options.stdio || descriptors.length > 0 ? [] : options.listen
  const open = insecureListeners(options.insecure, listenersOf(listen, options.api))
  // Standard output belongs to the client: it is the connection, or what a client that started this process prints on.
  const started = options.stdio || descriptors.length > 0
  const to = started ? { to: { write: (line: string) => void process.stderr.write(line) } } : {}
  const log = createLog({ level: options.logLevel, node: 'gateway', ...to })
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
    const owner = ownerOf(options, listen)
    const context = { api, log, register: replacing(register), signal: stopping.signal, owner }
    await using source = await exportSource(options, context)
    const lost = Promise.withResolvers<End>()
    const observer = { ...metrics.observer, exportLost: lossObserver(log, lost.resolve) }
    const shared = { insecure: options.insecure, logger: log, observer }
    const end = options.stdio
      ? await serveStandardStream(source, { ...shared, signal: stopping.signal }, lost.promise)
      : await serveListeners(source, { ...shared, listen, descriptors }, log, [asked, lost.promise])
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

async function serveListeners(
  source: ExportSource,
  options: NbdServerOptions,
  log: Log,
  ends: readonly Promise<End>[],
): Promise<End> {
  // Closed also after a failure: a connection that is left open would keep the process alive.
  await using server = await serveNbd(source.exports, options)
  log.info({ listen: server.addresses.map(({ uri }) => uri), exports: source.names ?? 'all' }, 'serving')
  return await Promise.race(ends)
}

/** Ends when its only client has left, whatever the reason. */
async function serveStandardStream(
  source: ExportSource,
  options: Parameters<typeof serveNbdStream>[2],
  lost: Promise<End>,
): Promise<End> {
  const reason = await serveNbdStream(source.exports, standardStream(), options)
  return reason === 'export-lost' ? await lost : { code: 0 }
}

/** A volume that was removed is no reason to stop serving the others; one that another client took is. */
function lossObserver(log: Log, end: (end: End) => void): (name: string, error: AshlarError) => void {
  return (name, error) => {
    const removed = error.code === 'NOT_FOUND'
    log[removed ? 'warn' : 'error']({ export: name, code: error.code, reason: error.message }, 'export-lost')
    if (!removed) end({ code: exitCodeOf(error), error: lostError(name, error) })
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
    removeSingleMetric: (name) => registry.removeSingleMetric(name),
  }
}

function lostError(name: string, error: AshlarError): AshlarError {
  return new AshlarError(error.code, `export ${name} is lost: ${error.message}`, {
    hint: 'see who holds it: ashlar gateway ls; take it back, which ends that session: start the gateway with --take-over',
    cause: error,
  })
}

/** Listeners by the flag that gave them, those of more than one numbered, without unix sockets. */
function listenersOf(listen: readonly string[], api: string | undefined): Record<string, string> {
  const listeners = tcpListeners(listen).map((address, at) => [at === 0 ? '--listen' : `--listen ${at + 1}`, address])
  if (api !== undefined) listeners.push(['--api', api])
  return Object.fromEntries(listeners)
}
