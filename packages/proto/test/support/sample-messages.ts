import {
  type AnyMessage,
  BLOCK_ABSENT,
  BLOCK_DATA,
  BLOCK_TRIM,
  BLOCK_ZERO,
  type ClusterId,
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  epochOf,
  extentId,
  type MessageType,
  type NodeName,
  type Operation,
  type Seq,
  type SessionId,
  type SessionWindow,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
} from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'

/**
 * One message of each kind with every field filled that the first wire version with this kind has: the contents of the golden
 * frames. Never changed, only added to.
 */

export const STORES = [
  '018f0000-0000-7000-8000-000000000001',
  '018f0000-0000-7000-8000-000000000002',
  '018f0000-0000-7000-8000-000000000003',
] as readonly string[] as readonly [StoreId, StoreId, StoreId]
export const CLUSTER = '0c1a5e00-1111-4222-8333-444455556666' as ClusterId
export const NAME = 'n1' as NodeName

const extent: ExtentId = extentId(7 as VolumeId, 3)
const epoch: Epoch = epochOf(1, 5)
const seq = (value: number): Seq => value as Seq
const session = 9_007_199_254_740_991 as SessionId
const operation: Operation = { session, op: 42, lowMark: 40, generation: 6 }
const stream = { extent, epoch, gen: 2 }
const windows: SessionWindow[] = [
  {
    session,
    generation: 6,
    lowMark: 40,
    applied: [
      [40, seq(16), 5, 3],
      [41, seq(17), 0, 0],
    ],
    cancelled: [41],
  },
]
const between = { from: STORES[0], to: STORES[1], term: 9 }

/** Bytes that differ from place to place, so that a shifted payload does not look right. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (seed + i * 31 + (i >> 8) * 7) & 0xff
  return bytes
}

const block = pattern(4096, 1)
const voters = STORES.map((store, i) => ({ store, address: `10.0.0.${i + 1}:7580` }))

export const EXTENT_RECORD: ExtentRecord = {
  id: extent,
  revision: 12,
  epoch,
  primary: { store: STORES[0], counter: 4 },
  inSync: [STORES[0], STORES[1]],
  eligible: [STORES[2]],
  assigned: [...STORES],
  changedAt: 99,
}

export const VOLUME_RECORD: VolumeRecord = {
  id: 7 as VolumeId,
  name: 'demo',
  sizeBytes: 1_073_741_824,
  blockSizeBytes: 4096,
  extentSizeBytes: 268_435_456,
  replicas: 3,
  minInSync: 2,
  generation: 6,
  holders: [{ session, mode: 'exclusive', client: 'host-é/ashlar-gateway/4711' }],
  changedAt: 98,
}

export const SAMPLES: { readonly [T in MessageType]: Extract<AnyMessage, { type: T }> } = {
  hello: {
    type: 'hello',
    kind: 'node',
    wire: 1,
    wireMin: 1,
    cluster: CLUSTER,
    store: STORES[0],
    counter: 4,
    name: NAME,
    address: '10.0.0.1:7580',
    credential: new Uint8Array(0),
  },
  welcome: {
    type: 'welcome',
    wire: 1,
    cluster: CLUSTER,
    store: STORES[1],
    counter: 9,
    name: 'n2' as NodeName,
    address: '10.0.0.2:7580',
  },
  refused: { type: 'refused', code: 21, message: 'data directory of another cluster' },
  write: {
    type: 'write',
    request: 1001,
    extent,
    epoch,
    operation,
    offset: 4000,
    checksums: [checksum(block.subarray(0, 96)), checksum(block.subarray(96))],
    payload: block,
  },
  zero: { type: 'zero', request: 1002, extent, epoch, operation, offset: 8192, length: 4_194_304, kind: BLOCK_TRIM },
  read: { type: 'read', request: 1003, extent, epoch, generation: 6, offset: 512, length: 1_048_576 },
  'query-allocation': { type: 'query-allocation', request: 1004, extent, epoch, firstBlock: 16, blocks: 65_520 },
  cancel: { type: 'cancel', request: 1005, extent, epoch, operation },
  answer: { type: 'answer', request: 1001, code: 8, epoch: epochOf(1, 6) },
  'read-done': {
    type: 'read-done',
    request: 1003,
    parts: [
      { length: 100, checksum: checksum(block.subarray(0, 100)), bytes: block.subarray(0, 100) },
      { length: 4096, checksum: 0 },
      { length: 50, checksum: checksum(block.subarray(200, 250)), bytes: block.subarray(200, 250) },
    ],
  },
  allocation: {
    type: 'allocation',
    request: 1004,
    runs: [
      { blocks: 100, kind: BLOCK_DATA },
      { blocks: 65_000, kind: BLOCK_ABSENT },
      { blocks: 420, kind: BLOCK_ZERO },
    ],
  },
  replicate: {
    type: 'replicate',
    ...stream,
    seq: seq(18),
    prevEpoch: epochOf(1, 4),
    prevSeq: seq(17),
    commitSeq: seq(15),
    operation,
    cancel: false,
    blocks: [
      { block: 5, kind: BLOCK_DATA, checksum: checksum(block), bytes: block },
      { block: 6, kind: BLOCK_TRIM, checksum: 0 },
    ],
  },
  push: {
    type: 'push',
    ...stream,
    push: 33,
    block: 65_535,
    versionEpoch: epochOf(1, 3),
    versionSeq: seq(11),
    kind: BLOCK_DATA,
    checksum: checksum(block),
    bytes: block,
  },
  ack: { type: 'ack', ...stream, seq: seq(18), push: 33, marked: true, freeBytes: 123_456_789_012, space: 'free' },
  ping: { type: 'ping' },
  open: { type: 'open', ...stream, primaryStore: STORES[0], replicaStore: STORES[1], replicaCounter: 9 },
  opened: {
    type: 'opened',
    ...stream,
    lastEpoch: epochOf(1, 4),
    lastSeq: seq(17),
    commitSeq: seq(15),
    digest: pattern(16, 3),
    damaged: [0, 77, 1_048_575],
  },
  'open-refused': { type: 'open-refused', ...stream, reason: 'older-stream', promised: epochOf(1, 6) },
  'get-digests': { type: 'get-digests', ...stream, windows },
  digests: { type: 'digests', ...stream, leaves: pattern(48, 5) },
  'get-versions': { type: 'get-versions', ...stream, leaves: [0, 3, 4095] },
  versions: {
    type: 'versions',
    ...stream,
    leaf: 3,
    versions: [
      { block: 768, epoch: epochOf(1, 4), seq: seq(17), kind: BLOCK_DATA, checksum: 0xffff_ffff },
      { block: 1023, epoch: epochOf(1, 2), seq: seq(3), kind: BLOCK_ZERO, checksum: 0 },
    ],
  },
  'get-windows': { type: 'get-windows', ...stream },
  windows: {
    type: 'windows',
    ...stream,
    windows: [{ session, generation: 6, lowMark: 40, applied: [[40, seq(16), 3, 1]], cancelled: [40] }],
  },
  mark: {
    type: 'mark',
    ...stream,
    lastEpoch: epochOf(1, 4),
    lastSeq: seq(17),
    commitSeq: seq(15),
    windows,
  },
  fenced: { type: 'fenced', extent, promised: epochOf(1, 6) },
  'stream-closed': { type: 'stream-closed', ...stream, reason: 'gap: expected seq 17, got 19' },
  'fetch-block': { type: 'fetch-block', request: 8, extent, block: 5, versionEpoch: epoch, versionSeq: seq(18) },
  'fetched-block': { type: 'fetched-block', request: 8, checksum: checksum(block), bytes: block },
  confirm: { type: 'confirm', extent, epoch, round: 12 },
  confirmed: { type: 'confirmed', extent, round: 12, promised: epochOf(1, 6) },
  greet: {
    type: 'greet',
    store: STORES[0],
    address: '10.0.0.1:7580',
    cluster: CLUSTER,
    voters,
    expect: voters.map((voter) => voter.address),
  },
  register: {
    type: 'register',
    request: 1,
    cluster: CLUSTER,
    store: STORES[0],
    name: NAME,
    address: '10.0.0.1:7580',
    api: '10.0.0.1:7480',
    incarnation: { bootId: 'b5e1c9b4-0000-4000-8000-000000000001', counter: 4 },
    trust: 'suspect',
  },
  registered: { type: 'registered', request: 1, code: 5, message: 'this counter was seen before', revision: 99 },
  renew: { type: 'renew', token: 77, store: STORES[0], counter: 4, revision: 99, freeBytes: 123_456_789_012 },
  renewed: { type: 'renewed', token: 77, code: 0, revision: 100 },
  'get-map': { type: 'get-map', have: 99, watch: true },
  'map-update': {
    type: 'map-update',
    delta: {
      cluster: CLUSTER,
      clusterGeneration: 1,
      from: 90,
      to: 100,
      voters,
      nodes: [
        {
          store: STORES[0],
          name: NAME,
          address: '10.0.0.1:7580',
          api: '10.0.0.1:7480',
          incarnation: { bootId: 'b5e1c9b4-0000-4000-8000-000000000001', counter: 4 },
          trust: 'trusted',
          state: 'draining',
          changedAt: 95,
        },
      ],
      volumes: [VOLUME_RECORD],
      extents: [EXTENT_RECORD],
      removedVolumes: [1 as VolumeId, 6 as VolumeId],
    },
  },
  'change-sets': {
    type: 'change-sets',
    request: 2,
    store: STORES[0],
    counter: 4,
    changes: [{ extent, revision: 12, epoch, inSync: [STORES[0]] }],
  },
  'sets-changed': {
    type: 'sets-changed',
    request: 2,
    results: [
      { extent, code: 0, record: EXTENT_RECORD },
      { extent: extentId(8 as VolumeId, 0), code: 3 },
    ],
  },
  release: {
    type: 'release',
    request: 3,
    store: STORES[0],
    counter: 4,
    extents: [{ extent, epoch }],
    reason: 'behind',
  },
  released: { type: 'released', request: 3, code: 0 },
  promises: { type: 'promises', store: STORES[0], counter: 4, extents: [{ extent, epoch, promised: 9 as Epoch }] },
  ending: {
    type: 'ending',
    store: STORES[0],
    counter: 4,
    kind: 'store-failed',
    reason: 'the store failed: EIO',
    at: 1_790_000_000_000,
  },
  admin: {
    type: 'admin',
    request: 4,
    command: { do: 'attach', name: 'demo', session, mode: 'shared', ifFree: true, client: 'host/ashlar/1' },
  },
  'admin-done': {
    type: 'admin-done',
    request: 4,
    code: 22,
    message: 'volume demo is attached by host/ashlar/1',
    hint: 'detach it there, or attach without --if-free',
    volume: VOLUME_RECORD,
    revision: 100,
  },
  'ask-vote': { type: 'ask-vote', ...between, pre: true, transfer: true, lastIndex: 40, lastTerm: 8 },
  vote: { type: 'vote', ...between, pre: false, granted: true },
  'append-entries': {
    type: 'append-entries',
    ...between,
    prevIndex: 40,
    prevTerm: 8,
    commit: 39,
    round: 77,
    entries: [
      { index: 41, term: 9, command: { do: 'begin-term' } },
      { index: 42, term: 9, command: { do: 'detach', volume: 7, session } as { do: string } },
    ],
  },
  appended: {
    type: 'appended',
    ...between,
    round: 77,
    accepted: true,
    match: 42,
    hintIndex: 40,
    hintTerm: 8,
  },
  'install-snapshot': {
    type: 'install-snapshot',
    ...between,
    round: 78,
    index: 40,
    indexTerm: 8,
    voters,
    learners: voters.slice(0, 1),
    offset: 4096,
    totalBytes: 9000,
    bytes: pattern(64, 9),
  },
  'snapshot-received': { type: 'snapshot-received', ...between, round: 78, index: 40, offset: 4160 },
  'lead-now': { type: 'lead-now', ...between },
}

/** Of kinds that have fields since wire version 3: the same message with those filled too, for the golden frames of `wire-3`. */
export const WIRE_3_SAMPLES: { readonly [T in MessageType]?: Extract<AnyMessage, { type: T }> } = {
  register: { ...SAMPLES.register, level: 1 },
  renew: { ...SAMPLES.renew, level: 1, cleared: true },
  open: { ...SAMPLES.open, counts: true },
  'change-sets': {
    ...SAMPLES['change-sets'],
    changes: [{ extent, revision: 12, epoch, inSync: [STORES[0]], complete: [STORES[1]] }],
  },
  release: { ...SAMPLES.release, extents: [{ extent, epoch, revision: 12 }] },
  confirm: { ...SAMPLES.confirm, commitSeq: seq(15) },
  'map-update': { ...SAMPLES['map-update'], delta: { ...SAMPLES['map-update'].delta, featureLevel: 1 } },
}
