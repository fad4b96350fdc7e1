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

/** Default ports of a node: the API, and the port that peers and clients dial. */
export const DEFAULT_API_PORT = 7480
const DEFAULT_PEER_PORT = 7580

/** Settings of one node. Settings that all nodes share are in the map and in LIMITS and TIMERS. */
export const SERVER_OPTIONS = {
  dataDir: {
    ...asText,
    name: 'data-dir',
    placeholder: 'DIR',
    meaning:
      'Directory of the store. It is created and formatted when it does not exist; one process at a time may use it.',
    cost: 'Give it a disk of its own: a full or slow disk delays every extent that has a replica here.',
  },
  listen: {
    ...asAddress,
    name: 'listen',
    placeholder: 'HOST:PORT',
    meaning: 'Address on which peers and clients connect. Port 0 takes any free one.',
    default: `127.0.0.1:${DEFAULT_PEER_PORT}`,
    cost: 'Anything but loopback needs TLS and credentials, or --insecure.',
  },
  api: {
    ...asAddress,
    name: 'api',
    placeholder: 'HOST:PORT',
    meaning: 'Address of the HTTP API, health and metrics. Port 0 takes any free one.',
    default: `127.0.0.1:${DEFAULT_API_PORT}`,
    cost: 'Any process that reaches it can remove volumes. Anything but loopback needs TLS and credentials, or --insecure.',
  },
  advertise: {
    ...asAddress,
    name: 'advertise',
    placeholder: 'HOST:PORT',
    optional: true,
    meaning: 'Address under which other nodes and clients reach --listen. It also identifies the node in --peers.',
    defaultText: 'the address of --listen',
    cost: 'It must be dialable from every node and client, and differ from node to node.',
  },
  name: {
    ...asName,
    name: 'name',
    placeholder: 'NAME',
    meaning: 'Name of the node. Its identity is the store in the data directory, so a name may move to another store.',
    default: defaultName(),
    defaultText: 'the host name',
    cost: 'None.',
  },
  label: {
    ...asLabels,
    name: 'label',
    placeholder: 'KEY=VALUE',
    meaning: 'Labels of the node, such as zone=a, shown by `node describe`. May be given more than once.',
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
    cost: 'More addresses find the cluster while some nodes are down; bootstrap needs the same list on every node.',
  },
  expect: {
    ...asCount,
    name: 'expect',
    placeholder: 'COUNT',
    optional: true,
    meaning: 'Bootstrap a cluster once this many of --peers respond and all of them are empty.',
    defaultText: 'all of --peers',
    cost: 'Only an empty data directory bootstraps: an existing cluster is joined, whatever the value.',
  },
  voters: {
    ...asVoters,
    name: 'voters',
    placeholder: 'COUNT',
    meaning: "How many nodes keep control's log when a cluster is bootstrapped: the first of --peers.",
    default: 3,
    cost: '1: control is unavailable without that node. 3 tolerate the loss of one voter, 5 of two, for more messages a change.',
  },
  init: {
    ...asSwitch,
    name: 'init',
    meaning: 'Bootstrap a cluster of this node alone. Refused when a peer responds.',
    default: false,
    cost: 'A single node keeps the only replica of every extent: its loss is the loss of the data.',
  },
  insecure: {
    ...asSwitch,
    name: 'insecure',
    meaning: 'Listen on other addresses than loopback without TLS and credentials.',
    default: false,
    cost: 'On: any process that reaches the ports can read and destroy every volume; log, metrics and cluster info warn of it.',
  },
  logLevel: {
    ...asOneOf(LOG_LEVELS),
    name: 'log-level',
    placeholder: 'LEVEL',
    meaning: 'Least important level that is logged.',
    default: 'info' as const,
    cost: 'debug logs each change of an extent, trace each operation: slow and large.',
  },
  stopTimeoutMs: {
    ...asDuration,
    name: 'stop-timeout',
    placeholder: 'DURATION',
    meaning: 'How long a stop may take to hand over extents and close the store.',
    default: 20_000,
    cost: 'Less makes a busy node exit before the hand-over is complete: clients then wait until its lease expires.',
  },
  ballastBytes: {
    ...asBytes,
    name: 'ballast-bytes',
    placeholder: 'SIZE',
    optional: true,
    meaning: 'Space kept in a file that is deleted only to open the store again on a full disk.',
    defaultText: 'two write buffers and 64Mi, less on disks below 8Gi',
    cost: 'More costs that much disk space. Less may not be enough to open the store; 0 keeps none.',
  },
  placementReserve: {
    ...asReserve,
    name: 'placement-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, no new extents are placed here: the rest is for replicas that move and catch up.',
    defaultText: '784Mi, less on disks below 8Gi, and 10 % of the disk, at most 8Gi of it',
    cost: 'More stops placement earlier; less leaves less space to restore replicas of a lost node.',
  },
  writeReserve: {
    ...asReserve,
    name: 'write-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, writes of new blocks to extents with a replica here are refused with ENOSPC; reads, overwrites and trims go on.',
    defaultText: '784Mi, less on disks below 8Gi, and 5 % of the disk, at most 4Gi of it',
    cost: 'More wastes disk space; less than LevelDB needs to compact makes the store fail when the disk is full.',
  },
  lastReserve: {
    ...asReserve,
    name: 'last-reserve',
    placeholder: 'SIZE+PERCENT',
    optional: true,
    meaning:
      'With less than this free, overwrites are refused too and nothing is copied here: only operations that free space are served. Returning replicas may use the space above it.',
    defaultText:
      '784Mi, less on disks below 8Gi, and 2 % of the disk, at most 2Gi of it; at most half of a given --write-reserve',
    cost: 'As --write-reserve.',
  },
  scrubRate: {
    ...asBytes,
    name: 'scrub-rate',
    placeholder: 'SIZE',
    optional: true,
    meaning: 'Bytes a second that the scrub reads and verifies, one pass a day at most. 0: no scrub.',
    defaultText: '2Mi, or the rate of one pass a week',
    cost: 'More finds damage earlier and takes more disk bandwidth from clients; 0 finds it only when a client reads the block.',
  },
} as const satisfies OptionTable

export type ServerOptions = OptionValues<typeof SERVER_OPTIONS>

/** The host name without its domain, or `node` when that is not a valid name. */
function defaultName(): string {
  const name = hostname().toLowerCase().split('.')[0]
  return isName(name) ? name : 'node'
}
