import { hostname } from 'node:os'
import { isName } from '@ashlar/proto'
import {
  asAddress,
  asAddresses,
  asBytes,
  asCount,
  asDuration,
  asLabels,
  asName,
  asOneOf,
  asReserve,
  asSwitch,
  asText,
  asVoters,
} from './parsers.ts'
import type { OptionTable, OptionValues } from './table.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Ports of a node unless it is told others: the API, and what peers and clients dial. */
export const DEFAULT_API_PORT = 7480
export const DEFAULT_PEER_PORT = 7580

/** Settings that one node may have to itself. What the cluster must share is in the map and in LIMITS and TIMERS. */
export const SERVER_OPTIONS = {
  dataDir: {
    ...asText,
    name: 'data-dir',
    placeholder: 'DIR',
    meaning:
      'Directory of the store. It is made and formatted when it does not exist; one process at a time may use it.',
    cost: 'Replicas live here: give it its own disk, since a full or slow one holds up every extent that it holds.',
  },
  listen: {
    ...asAddress,
    name: 'listen',
    placeholder: 'HOST:PORT',
    meaning: 'Where peers and clients connect. Port 0 takes any free one.',
    default: `127.0.0.1:${DEFAULT_PEER_PORT}`,
    cost: 'Anything but loopback needs TLS and credentials, or --insecure.',
  },
  api: {
    ...asAddress,
    name: 'api',
    placeholder: 'HOST:PORT',
    meaning: 'Where the HTTP API, health and metrics are served. Port 0 takes any free one.',
    default: `127.0.0.1:${DEFAULT_API_PORT}`,
    cost: 'Whoever reaches it can remove volumes. Anything but loopback needs TLS and credentials, or --insecure.',
  },
  advertise: {
    ...asAddress,
    name: 'advertise',
    placeholder: 'HOST:PORT',
    optional: true,
    meaning: 'Address under which others reach --listen. It is also how the node finds itself in --peers.',
    defaultText: 'what --listen says',
    cost: 'It must be dialable from every node and client, and differ from node to node.',
  },
  name: {
    ...asName,
    name: 'name',
    placeholder: 'NAME',
    meaning: 'What people call the node. The store in the data directory is its identity, so a name may move.',
    default: defaultName(),
    defaultText: 'the host name',
    cost: 'None.',
  },
  label: {
    ...asLabels,
    name: 'label',
    placeholder: 'KEY=VALUE',
    meaning: 'Facts about where the node is, such as zone=a, for `node describe`. May be given more than once.',
    default: {},
    defaultText: 'none',
    cost: 'None.',
  },
  peers: {
    ...asAddresses,
    name: 'peers',
    placeholder: 'A,B,C',
    meaning: 'Advertised addresses of the nodes to find the cluster through; this node may be among them.',
    default: [],
    defaultText: 'none',
    cost: 'More of them find the cluster while some are down; founding needs the same list on every node.',
  },
  expect: {
    ...asCount,
    name: 'expect',
    placeholder: 'COUNT',
    optional: true,
    meaning: 'Found a cluster once this many of --peers answer and all of them are empty.',
    defaultText: 'all of --peers',
    cost: 'Only an empty data directory founds: a cluster that exists is joined, whatever this says.',
  },
  voters: {
    ...asVoters,
    name: 'voters',
    placeholder: 'COUNT',
    meaning: "How many nodes keep control's log in a cluster that is founded: the first of those that --expect names.",
    default: 3,
    cost: '1: control is away with that one node. 3 go on without one of them, 5 without two, for more messages a change.',
  },
  init: {
    ...asSwitch,
    name: 'init',
    meaning: 'Found a cluster of this node alone. Refused when a peer answers.',
    default: false,
    cost: 'A single node keeps one replica of everything: its loss is the loss of the data.',
  },
  insecure: {
    ...asSwitch,
    name: 'insecure',
    meaning: 'Listen on other addresses than loopback without TLS and credentials.',
    default: false,
    cost: 'On, whoever reaches the ports can read and destroy every volume; log, metrics and cluster info say so.',
  },
  logLevel: {
    ...asOneOf(LOG_LEVELS),
    name: 'log-level',
    placeholder: 'LEVEL',
    meaning: 'Least important level that is logged.',
    default: 'info' as const,
    cost: 'debug writes a line for each change of an extent, trace for each operation: slow, and large.',
  },
  stopTimeoutMs: {
    ...asDuration,
    name: 'stop-timeout',
    placeholder: 'DURATION',
    meaning: 'How long a stop may take to hand extents over and close the store.',
    default: 20_000,
    cost: 'Less makes a busy node exit before it handed over: clients then wait for its lease to run out instead.',
  },
  ballastBytes: {
    ...asBytes,
    name: 'ballast-bytes',
    placeholder: 'SIZE',
    optional: true,
    meaning: 'Room kept in a file that is given up only to open the store again on a full disk.',
    defaultText: 'two write buffers and 64Mi, less on disks below 8Gi',
    cost: 'More costs that much disk. Less may not be enough to open; 0 keeps none.',
  },
  placementReserve: {
    ...asReserve,
    name: 'placement-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, no new extents are placed here: what is left is for replicas that move and catch up.',
    defaultText: '784Mi, less on disks below 8Gi, and 10 % of the disk, at most 8Gi of it',
    cost: 'More stops placement earlier; less leaves less room to restore what another node loses.',
  },
  writeReserve: {
    ...asReserve,
    name: 'write-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, writes of new blocks to extents with a replica here are refused with ENOSPC; reads, overwrites and trims go on.',
    defaultText: '784Mi, less on disks below 8Gi, and 5 % of the disk, at most 4Gi of it',
    cost: 'More wastes disk; less than LevelDB needs to compact ends the store when the disk is full.',
  },
  lastReserve: {
    ...asReserve,
    name: 'last-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, overwrites are refused too and nothing is copied here: only what frees space goes on. Replicas that come back may use what lies above it.',
    defaultText:
      '784Mi, less on disks below 8Gi, and 2 % of the disk, at most 2Gi of it; at most half of a given --write-reserve',
    cost: 'As --write-reserve.',
  },
  scrubRate: {
    ...asBytes,
    name: 'scrub-rate',
    placeholder: 'SIZE',
    optional: true,
    meaning: 'Bytes a second that are read again and verified while the node runs, one pass a day at most. 0: none.',
    defaultText: '2Mi, or as much as one pass a week takes',
    cost: 'More finds rot earlier and takes more of the disk from clients; 0 finds it when somebody reads the block.',
  },
} as const satisfies OptionTable

export type ServerOptions = OptionValues<typeof SERVER_OPTIONS>

/** The name of the host without its domain, or `node` when that is not a name of Ashlar. */
function defaultName(): string {
  const name = hostname().toLowerCase().split('.')[0]
  return isName(name) ? name : 'node'
}
