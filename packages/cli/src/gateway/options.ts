import {
  asAddress,
  asAddresses,
  asBytes,
  asDuration,
  asNames,
  asOneOf,
  asSwitch,
  asText,
  LOG_LEVELS,
  type LoadedOptions,
  type OptionTable,
  type OptionValues,
  parseList,
} from '@ashlar/node/config'
import { AshlarError, formatListenAddress, GIB, parseListenAddress, TIMERS } from '@ashlar/proto'

/** Where the gateway of `ashlar dev` listens: the port that IANA gave to NBD. */
const DEFAULT_NBD = '127.0.0.1:10809'

/** An address to listen on: HOST:PORT or `unix:PATH`. */
const asListeners = {
  unit: 'addresses',
  list: true,
  parse: (text: string): readonly string[] => parseList(text).map(parseListener),
  print: (listeners: readonly string[]) => listeners.join(','),
}

function parseListener(text: string): string {
  return formatListenAddress(parseListenAddress(text))
}

/** Listeners that are no unix sockets, for the check of what the network can reach. */
export function tcpListeners(listeners: readonly string[]): string[] {
  return listeners.filter((listener) => parseListenAddress(listener).type === 'tcp')
}

export const GATEWAY_OPTIONS = {
  listen: {
    ...asListeners,
    name: 'listen',
    placeholder: 'HOST:PORT|unix:PATH',
    meaning: 'Where NBD clients connect. May be given more than once.',
    default: [DEFAULT_NBD],
    cost: 'Anything but loopback and unix sockets needs TLS and credentials, or --insecure.',
  },
  stdio: {
    ...asSwitch,
    name: 'stdio',
    meaning: 'Serve one client on standard input and output, listen nowhere, and end with it.',
    default: false,
    cost: 'On, the log goes to standard error.',
  },
  backend: {
    ...asOneOf(['cluster', 'memory']),
    name: 'backend',
    placeholder: 'cluster|memory',
    meaning:
      'Source of the exports: volumes of a cluster, or empty disks in the memory of this process, to try a client.',
    default: 'cluster' as const,
    cost: 'With memory, everything written is lost when the gateway ends.',
  },
  sizeBytes: {
    ...asBytes,
    name: 'size',
    placeholder: 'SIZE',
    meaning: 'Size of each disk of --backend memory.',
    default: GIB,
    cost: 'Memory is allocated as it is written.',
  },
  exports: {
    ...asNames,
    name: 'export',
    placeholder: 'VOLUME,...',
    optional: true,
    meaning: 'Volumes to serve.',
    defaultText: 'all, also those created later; demo with --backend memory',
    cost: 'None.',
  },
  readOnly: {
    ...asSwitch,
    name: 'read-only',
    meaning: 'Serve every volume read-only: the gateway attaches to none and fences no other client.',
    default: false,
    cost: 'Off, one gateway at a time serves a volume: a client that opens an export attaches it.',
  },
  takeOver: {
    ...asSwitch,
    name: 'take-over',
    meaning:
      'Take a volume that a client opens here, also from a holder that the cluster heard of within 30 seconds: its session ends.',
    default: false,
    cost: 'On, a mere look at an export ends the session of the client that writes to the volume elsewhere.',
  },
  shared: {
    ...asSwitch,
    name: 'shared',
    meaning: 'Open volumes shared: several gateways may serve the same volume, all of them with --shared.',
    default: false,
    cost: 'On, only file systems that are made for several writers may use a volume from more than one place.',
  },
  ioTimeoutMs: {
    ...asDuration,
    name: 'io-timeout',
    placeholder: 'DURATION',
    meaning: 'How long a request may wait while a primary is being replaced or replicas are missing.',
    default: TIMERS.ioTimeoutMs,
    cost: 'Higher values tolerate longer outages; lower ones report errors sooner, which makes file systems go read-only.',
  },
  peers: {
    ...asAddresses,
    name: 'peers',
    placeholder: 'A,B,C',
    optional: true,
    meaning: 'Peer addresses of nodes to learn the cluster from.',
    defaultText: 'supplied by the API at --server',
    cost: 'More of them let the gateway start while some are down.',
  },
  api: {
    ...asAddress,
    name: 'api',
    placeholder: 'HOST:PORT',
    optional: true,
    meaning: 'Where /healthz and /metrics of the gateway are served.',
    defaultText: 'nowhere',
    cost: 'Anything but loopback needs --insecure.',
  },
  insecure: {
    ...asSwitch,
    name: 'insecure',
    meaning: 'Listen on other addresses than loopback without TLS and credentials.',
    default: false,
    cost: 'On, anyone who reaches the ports can read and destroy the volumes; log and metrics warn about it.',
  },
  logLevel: {
    ...asOneOf(LOG_LEVELS),
    name: 'log-level',
    placeholder: 'LEVEL',
    meaning: 'Least important level that is logged.',
    default: 'info' as const,
    cost: 'debug writes a line for each connection.',
  },
  name: {
    ...asText,
    name: 'name',
    placeholder: 'NAME',
    optional: true,
    meaning:
      'Name of this gateway as holder of the volumes that it has open. A gateway that starts again under its name gets its own volumes back at once.',
    defaultText: 'host and addresses of --listen',
    cost: 'Two gateways that run under one name take volumes from each other.',
  },
} as const satisfies OptionTable

export type GatewayOptions = OptionValues<typeof GATEWAY_OPTIONS>

/** Throws USAGE for options that exclude each other. */
export function checkGatewayOptions({ values, sources }: LoadedOptions<typeof GATEWAY_OPTIONS>): void {
  const given = (key: keyof GatewayOptions): boolean => sources[key].from !== 'default'
  const refuse = (message: string, hint: string): never => {
    throw new AshlarError('USAGE', message, { hint })
  }
  if (values.stdio && given('listen')) refuse('--stdio and --listen exclude each other', 'leave one of them out')
  if (values.readOnly && values.shared) refuse('--read-only and --shared exclude each other', 'leave one of them out')
  if (values.readOnly && values.takeOver)
    refuse('--read-only and --take-over exclude each other', 'leave one of them out: a reader takes no volume')
  if (values.backend === 'cluster' && given('sizeBytes')) {
    refuse('--size is for --backend memory: volumes have the size that they were created with', 'leave it out')
  }
}
