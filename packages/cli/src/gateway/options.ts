import {
  asAddress,
  asAddresses,
  asDuration,
  asNames,
  asOneOf,
  asSwitch,
  asText,
  LOG_LEVELS,
  type OptionTable,
  type OptionValues,
  parseList,
} from '@ashlar/node/config'
import { formatListenAddress, parseListenAddress, TIMERS } from '@ashlar/proto'

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
  exports: {
    ...asNames,
    name: 'export',
    placeholder: 'VOLUME,...',
    optional: true,
    meaning: 'Volumes to serve.',
    defaultText: 'all, also those created later',
    cost: 'None.',
  },
  readOnly: {
    ...asSwitch,
    name: 'read-only',
    meaning: 'Serve every volume read-only: no attachment is taken, and nobody is refused because of it.',
    default: false,
    cost: 'Off, a client that opens an export takes its volume over from whoever had it.',
  },
  ioTimeoutMs: {
    ...asDuration,
    name: 'io-timeout',
    placeholder: 'DURATION',
    meaning: 'How long a request may wait while a primary is being replaced or replicas are missing.',
    default: TIMERS.ioTimeoutMs,
    cost: 'More rides out longer repairs; less reports trouble sooner, which makes file systems go read-only.',
  },
  peers: {
    ...asAddresses,
    name: 'peers',
    placeholder: 'A,B,C',
    optional: true,
    meaning: 'Peer addresses of nodes to learn the cluster from.',
    defaultText: 'the API at --server is asked',
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
    cost: 'On, whoever reaches the ports can read and destroy the volumes; log and metrics say so.',
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
    meaning: 'What people see as the holder of the volumes that are open here.',
    defaultText: 'gateway, host and process id',
    cost: 'None.',
  },
} as const satisfies OptionTable

export type GatewayOptions = OptionValues<typeof GATEWAY_OPTIONS>
