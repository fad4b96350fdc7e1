import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { type Client, ConnectedClient } from './client.ts'
import type { ClientEvent, ClientOptions } from './core/machine.ts'
import { ClientMetrics } from './metrics.ts'
import { type ClientLogger, type ConnectOptions, checkConnectOptions, type Entry } from './options.ts'
import { ClientPump, type TransportFactory } from './pump.ts'
import { StatusFeed } from './status.ts'
import { WsTransport } from './transport/ws-transport.ts'

/**
 * Connects to a cluster. Resolves when the map was learned from one server. Rejects with AshlarError: USAGE for a wrong
 * option; NO_CONTROL when no server can be reached, with the reason of each; TIMEOUT after ioTimeoutMs; ABORTED.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  return await connectClient(options, connect)
}

/** Timers that no user needs to know; tests shorten them. Meaning and defaults are those of ClientOptions. */
export type ConnectTimers = Pick<ClientOptions, 'answerTimeoutMs' | 'waitRetryMs' | 'cancelGraceMs'>

/** `connect` with what the public interface leaves out. */
export async function connectClient(
  options: ConnectOptions & ConnectTimers,
  entry: Entry = connectClient,
): Promise<ConnectedClient> {
  return await connectOver(
    options,
    ({ name, tls }) =>
      (events) =>
        new WsTransport({ name, tls }, events),
    entry,
  )
}

/** A client over a transport of the caller's choice, which is closed with the client. */
export async function connectOver(
  options: ConnectOptions & ConnectTimers,
  over: (options: ConnectOptions & { readonly name: string }) => TransportFactory,
  entry: Entry,
): Promise<ConnectedClient> {
  checkConnectOptions(options, entry)
  const { servers, logger, register, signal, owner } = options
  const name = options.name ?? `${basename(process.argv[1] ?? 'node')} on ${hostname()} pid ${process.pid}`
  const status = new StatusFeed()
  const metrics = new ClientMetrics()
  const makeTransport = over({ ...options, name })
  const pump = new ClientPump(
    {
      ...{ servers: [...new Set(servers)], name, seed: randomSeed() },
      ...(owner === undefined ? {} : { owner }),
      ...timersOf(options),
    },
    {
      transport: (events) => {
        const transport = makeTransport(events)
        if (register !== undefined) metrics.register(register, transport.counters, entry)
        return transport
      },
      metrics,
      onEvent: (event) => {
        if (logger !== undefined) logEvent(logger, event)
        status.publish(event)
      },
    },
  )
  const onClosed = (): void => {
    status.end()
    if (register !== undefined) metrics.unregister(register)
  }
  pump.start()
  try {
    await pump.call({ do: 'wait-for-map' }, 'done', entry, signal)
  } catch (error) {
    await pump.close()
    onClosed()
    throw error
  }
  return new ConnectedClient(pump, status, onClosed)
}

const LOG_LEVELS: Readonly<Record<ClientEvent['what'], keyof ClientLogger>> = {
  connected: 'info',
  disconnected: 'info',
  map: 'debug',
  waiting: 'warn',
  resumed: 'info',
  fenced: 'warn',
  removed: 'warn',
  'resolved-late': 'warn',
  'detach-failed': 'warn',
}

function logEvent(logger: ClientLogger, event: ClientEvent): void {
  const { what, ...fields } = event
  logger[LOG_LEVELS[what]](fields, what)
}

/** The timers that were given. */
function timersOf(options: ConnectOptions & ConnectTimers): Pick<ClientOptions, 'ioTimeoutMs'> & ConnectTimers {
  const { ioTimeoutMs, answerTimeoutMs, waitRetryMs, cancelGraceMs } = options
  return {
    ...(ioTimeoutMs === undefined ? {} : { ioTimeoutMs }),
    ...(answerTimeoutMs === undefined ? {} : { answerTimeoutMs }),
    ...(waitRetryMs === undefined ? {} : { waitRetryMs }),
    ...(cancelGraceMs === undefined ? {} : { cancelGraceMs }),
  }
}

/** 53 random bits: sessions of all clients of a cluster must differ. */
function randomSeed(): number {
  const bytes = randomBytes(8)
  return (bytes.readUInt32BE(0) >>> 11) * 2 ** 32 + bytes.readUInt32BE(4)
}
