import {
  type AdminCommand,
  type AnyMessage,
  BLOCK_DATA,
  type BlockKind,
  type ClusterId,
  type Epoch,
  type ExtentId,
  type ExtentRecord,
  LIMITS,
  type MessageType,
  type NodeName,
  type NodeRecord,
  type Operation,
  type ReadPart,
  type ReplicatedBlock,
  type Seq,
  type SessionId,
  type SessionWindow,
  STORE_SPACES,
  type StoreId,
  type VolumeId,
  type VolumeRecord,
  type Voter,
} from '@ashlar/proto'
import { checksum } from '@ashlar/proto/codec'
import fc, { type Arbitrary } from 'fast-check'

/** Any valid message of each kind, extremes included. */

const MAX = Number.MAX_SAFE_INTEGER
/** Plain objects, as the codec makes them: without the option some would have no prototype and compare unequal. */
const record = <T>(members: { readonly [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  fc.record(members, { noNullPrototype: true }) as Arbitrary<T>
const whole = (min: number, max: number): Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max, Math.min(max, 2 ** 32), Math.min(max, 2 ** 31)))
const u53 = whole(0, MAX)
const u32 = whole(0, 2 ** 32 - 1)
const code = whole(0, 65_535)
const level = whole(0, 255)
const extent = whole(4096, 2 ** 44 - 1) as Arbitrary<ExtentId>
const volumeId = whole(1, 2 ** 32 - 1) as Arbitrary<VolumeId>
const epoch = u53 as Arbitrary<Epoch>
const seq = u53 as Arbitrary<Seq>
const session = whole(1, MAX) as Arbitrary<SessionId>
const block = whole(0, 2 ** 20 - 1)
const offset = whole(0, LIMITS.maxExtentBytes - LIMITS.zeroBlocks * LIMITS.maxBlockBytes)
const kind = fc.constantFrom<BlockKind>(0, 1, 2, 3)
const store = fc.uuid() as Arbitrary<string> as Arbitrary<StoreId>
const cluster = fc.uuid() as Arbitrary<string> as Arbitrary<ClusterId>
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const name = fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/)
const nodeName = name as Arbitrary<string> as Arbitrary<NodeName>
const address = fc.oneof(
  fc.constant(''),
  fc.domain().map((host) => `${host.slice(0, 250)}:7580`),
)
const operation: Arbitrary<Operation> = record({ session, op: whole(1, MAX), lowMark: u53, generation: u53 })
const bytes = (maxLength: number): Arbitrary<Uint8Array> => fc.uint8Array({ minLength: 1, maxLength })
const blockBytes = (size: number): Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map((seed) => {
    const content = new Uint8Array(size)
    for (let i = 0; i < size; i++) content[i] = (seed[i % seed.length] as number) + i
    return content
  })
const blockSize = fc.constantFrom(4096, 8192)
const stream = { extent, epoch, gen: u53 }
const list = <T>(item: Arbitrary<T>, maxLength = 6): Arbitrary<T[]> => fc.array(item, { maxLength })
/** Leaves optional members out instead of setting them to undefined. */
const withOptional = <T extends object, O extends object>(
  fixed: Arbitrary<T>,
  extra: Arbitrary<O>,
): Arbitrary<T & Partial<O>> =>
  fc
    .tuple(fixed, fc.option(extra, { nil: undefined }))
    .map(([value, more]) => ({ ...value, ...more }) as T & Partial<O>)

const blocksOf = (size: number): Arbitrary<ReplicatedBlock[]> =>
  list(
    fc
      .tuple(block, kind, u32, blockBytes(size))
      .map(([at, content, sum, data]) =>
        content === BLOCK_DATA
          ? { block: at, kind: content, checksum: checksum(data), bytes: data }
          : { block: at, kind: content, checksum: sum },
      ),
    4,
  )
const parts: Arbitrary<ReadPart[]> = fc.array(
  fc.oneof(
    bytes(300).map((data) => ({ length: data.length, checksum: checksum(data), bytes: data })),
    whole(1, 4096).map((length) => ({ length, checksum: 0 })),
  ),
  { minLength: 1, maxLength: 8 },
)
const sessionWindow: Arbitrary<SessionWindow> = record({
  session,
  generation: u53,
  lowMark: u53,
  applied: list(fc.tuple(whole(1, MAX), seq, block, whole(0, 8192))),
  cancelled: list(whole(1, MAX)),
})
const voter: Arbitrary<Voter> = record({ store, address })
const incarnation = record({ bootId: fc.uuid() as Arbitrary<string>, counter: u53 })
const stores = list(store, 5)
export const extentRecord: Arbitrary<ExtentRecord> = record({
  id: extent,
  revision: u53,
  epoch,
  primary: record({ store, counter: u53 }),
  inSync: stores,
  eligible: stores,
  assigned: stores,
  changedAt: u53,
})
const forced = { extent, epoch, store, acknowledged: fc.boolean(), changedAt: u53 }
const forcedPromotion = fc.oneof(record(forced), record({ ...forced, merged: fc.constant(true as const) }))
const holder = record({
  session,
  mode: fc.constantFrom('exclusive', 'read-only', 'shared'),
  client: text,
})
const volumeFields = {
  id: volumeId,
  name,
  sizeBytes: u53,
  blockSizeBytes: whole(1, LIMITS.maxBlockBytes),
  extentSizeBytes: whole(1, LIMITS.maxExtentBytes),
  replicas: whole(0, 16),
  minInSync: whole(0, 16),
  generation: u53,
  changedAt: u53,
}
export const volumeRecord = record({ ...volumeFields, holders: list(holder, 3) }) as Arbitrary<VolumeRecord>
/** As only a map-update has it: with the times of attachments. */
const timedVolume = record({
  ...volumeFields,
  holders: list(withOptional(holder, record({ since: whole(1, 253_402_300_799_999) })), 3),
}) as Arbitrary<VolumeRecord>
const nodeEnd = { counter: u53, kind: name, reason: fc.string({ maxLength: 200 }), at: u53 }
const knownNode = record({
  store,
  name: nodeName,
  address,
  api: address,
  incarnation,
  trust: fc.constantFrom('trusted', 'suspect'),
  state: fc.constantFrom('up', 'down', 'draining'),
  changedAt: u53,
})
const nodeRecord = fc.oneof(
  knownNode,
  fc.tuple(knownNode, record(nodeEnd)).map(([node, ended]) => ({ ...node, ended })),
) as Arbitrary<NodeRecord>
const command = fc.oneof(
  record({
    do: fc.constant('create-volume'),
    name: text,
    sizeBytes: u53,
    blockSizeBytes: u53,
    extentSizeBytes: u53,
    replicas: whole(0, 16),
    minInSync: whole(0, 16),
  }),
  record({ do: fc.constant('remove-volume'), name: text }),
  record({
    do: fc.constant('attach'),
    name: text,
    session,
    mode: fc.constantFrom('exclusive', 'read-only', 'shared'),
    ifFree: fc.boolean(),
    client: text,
  }),
  record({
    do: fc.constant('attach'),
    name: text,
    session,
    mode: fc.constantFrom('exclusive', 'read-only', 'shared'),
    ifFree: fc.boolean(),
    client: text,
    policy: fc.constantFrom('take', 'free', 'silent', 'resume'),
    owner: text,
    since: whole(0, 253_402_300_799_999),
  }),
  record({ do: fc.constant('detach'), volume: volumeId, session }),
  record({ do: fc.constant('force-primary'), extent, store }),
  record({ do: fc.constant('lose-store'), store }),
  record({ do: fc.constant('change-members'), change: fc.constantFrom('add', 'promote', 'remove'), store }),
  record({ do: fc.constant('transfer-leadership'), store }),
  record({ do: fc.constant('acknowledge-loss'), name: text }),
) as Arbitrary<AdminCommand>

type Arbitraries = { readonly [T in MessageType]: Arbitrary<Omit<Extract<AnyMessage, { type: T }>, 'type'>> }

const between = { from: store, to: store, term: u53 }
/** Only control knows what commands look like: any plain data with a word that says what it does. */
const raftCommand = record({
  do: fc.constantFrom('begin-term', 'detach'),
  name: text,
  stores,
  extents: list(record({ extent, revision: u53, ifFree: fc.boolean() })),
})

const BODIES: Arbitraries = {
  hello: withOptional(
    record({
      kind: fc.constantFrom('node' as const, 'client' as const),
      wire: whole(0, 255),
      wireMin: whole(0, 255),
      counter: u53,
      name: text,
      address,
      credential: fc.uint8Array({ maxLength: 64 }),
    }),
    record({ cluster, store, level, pid: u32 }),
  ),
  welcome: withOptional(
    record({ wire: whole(0, 255), store, counter: u53, name: nodeName, address }),
    record({ cluster, level, pid: u32 }),
  ),
  refused: record({ code, message: text }),
  write: record({
    request: u53,
    extent,
    epoch,
    operation,
    offset,
    checksums: list(u32, 20),
    payload: bytes(3000),
  }),
  zero: record({
    request: u53,
    extent,
    epoch,
    operation,
    offset,
    length: whole(1, LIMITS.zeroBlocks * LIMITS.maxBlockBytes),
    kind: fc.constantFrom<BlockKind>(2, 3),
  }),
  read: record({ request: u53, extent, epoch, generation: u53, offset, length: whole(1, LIMITS.pieceBytes) }),
  'query-allocation': record({ request: u53, extent, epoch, firstBlock: block, blocks: whole(1, 2 ** 20) }),
  cancel: record({ request: u53, extent, epoch, operation }),
  answer: record({ request: u53, code, epoch }),
  'read-done': record({ request: u53, parts }),
  allocation: record({ request: u53, runs: list(record({ blocks: whole(1, 2 ** 20), kind }), 50) }),
  replicate: blockSize.chain((size) =>
    fc.oneof(
      withOptional(
        record({
          ...stream,
          seq,
          prevEpoch: epoch,
          prevSeq: seq,
          commitSeq: seq,
          cancel: fc.constant(false),
          blocks: blocksOf(size),
        }),
        record({ operation }),
      ),
      record({
        ...stream,
        seq,
        prevEpoch: epoch,
        prevSeq: seq,
        commitSeq: seq,
        operation,
        cancel: fc.constant(true),
        blocks: fc.constant([]),
      }),
    ),
  ),
  push: blockSize.chain((size) =>
    fc
      .tuple(record({ ...stream, push: u53, block, versionEpoch: epoch, versionSeq: seq }), kind, u32, blockBytes(size))
      .map(([fixed, content, sum, data]) =>
        content === BLOCK_DATA
          ? { ...fixed, kind: content, checksum: checksum(data), bytes: data }
          : { ...fixed, kind: content, checksum: sum },
      ),
  ),
  ack: record({
    ...stream,
    seq,
    push: u53,
    marked: fc.boolean(),
    freeBytes: u53,
    space: fc.constantFrom(...STORE_SPACES),
  }),
  ping: fc.constant({}),
  open: withOptional(
    record({ ...stream, primaryStore: store, replicaStore: store, replicaCounter: u53 }),
    record({ counts: fc.boolean() }),
  ),
  opened: record({
    ...stream,
    lastEpoch: epoch,
    lastSeq: seq,
    commitSeq: seq,
    digest: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    damaged: list(block, 20),
  }),
  'open-refused': record({
    ...stream,
    reason: fc.constantFrom('fenced' as const, 'wrong-store' as const, 'older-stream' as const, 'poisoned' as const),
    promised: epoch,
  }),
  'get-digests': record({ ...stream, windows: list(sessionWindow) }),
  digests: record({
    ...stream,
    leaves: fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 5 }).map((all) => {
      const joined = new Uint8Array(all.length * 16)
      for (const [i, each] of all.entries()) joined.set(each, i * 16)
      return joined
    }),
  }),
  'get-versions': record({ ...stream, leaves: list(whole(0, 4095), 30) }),
  versions: whole(0, 4095).chain((leaf) =>
    record({
      ...stream,
      leaf: fc.constant(leaf),
      versions: list(record({ block: whole(leaf * 256, leaf * 256 + 255), epoch, seq, kind, checksum: u32 }), 30),
    }),
  ),
  'get-windows': record(stream),
  windows: record({ ...stream, windows: list(sessionWindow) }),
  mark: record({ ...stream, lastEpoch: epoch, lastSeq: seq, commitSeq: seq, windows: list(sessionWindow) }),
  fenced: record({ extent, promised: epoch }),
  'stream-closed': record({ ...stream, reason: text }),
  confirm: withOptional(record({ extent, epoch, round: u53 }), record({ commitSeq: seq })),
  confirmed: record({ extent, round: u53, promised: epoch }),
  'fetch-block': record({ request: u53, extent, block, versionEpoch: epoch, versionSeq: seq }),
  'fetched-block': fc.oneof(
    record({ request: u53, checksum: u32 }),
    fc.tuple(u53, blockBytes(4096)).map(([request, data]) => ({ request, checksum: checksum(data), bytes: data })),
  ),
  greet: withOptional(record({ store, address, voters: list(voter), expect: list(address) }), record({ cluster })),
  register: withOptional(
    record({
      request: u53,
      cluster,
      store,
      name: nodeName,
      address,
      api: address,
      incarnation,
      trust: fc.constantFrom('trusted' as const, 'suspect' as const),
    }),
    record({ level }),
  ),
  registered: record({ request: u53, code, message: text, revision: u53 }),
  renew: withOptional(
    record({
      token: u53,
      store,
      counter: u53,
      revision: u53,
      freeBytes: u53,
      space: fc.constantFrom(...STORE_SPACES),
    }),
    record({ level }),
  ),
  renewed: record({ token: u53, code, revision: u53 }),
  'get-map': record({ have: u53, watch: fc.boolean() }),
  'map-update': record({
    delta: withOptional(
      record({
        cluster,
        clusterGeneration: u53,
        from: u53,
        to: u53,
        voters: list(voter),
        nodes: list(nodeRecord),
        volumes: list(timedVolume),
        extents: list(extentRecord),
        removedVolumes: list(volumeId),
      }),
      record({
        forced: fc.array(forcedPromotion, { minLength: 1, maxLength: 4 }),
        removedNodes: fc.array(store, { minLength: 1, maxLength: 4 }),
        gone: fc.array(store, { minLength: 1, maxLength: 4 }),
        featureLevel: whole(1, 255),
      }),
    ),
  }),
  'change-sets': record({
    request: u53,
    store,
    counter: u53,
    changes: list(
      withOptional(
        record({ extent, revision: u53, epoch, inSync: stores }),
        record({ complete: fc.array(store, { minLength: 1, maxLength: 5 }) }),
      ),
    ),
  }),
  'sets-changed': record({
    request: u53,
    results: list(withOptional(record({ extent, code }), record({ record: extentRecord }))),
  }),
  release: record({
    request: u53,
    store,
    counter: u53,
    extents: list(withOptional(record({ extent, epoch }), record({ revision: fc.integer({ min: 1 }) }))),
    reason: fc.constantFrom('shutdown' as const, 'slow' as const, 'behind' as const, 'poisoned' as const),
  }),
  released: record({ request: u53, code }),
  promises: record({ store, counter: u53, extents: list(record({ extent, epoch, promised: epoch })) }),
  ending: record({ store, ...nodeEnd }),
  admin: record({ request: u53, command }),
  'admin-done': withOptional(
    record({ request: u53, code, message: text, hint: text, revision: u53 }),
    record({ volume: volumeRecord }),
  ),
  'ask-vote': record({ ...between, pre: fc.boolean(), transfer: fc.boolean(), lastIndex: u53, lastTerm: u53 }),
  vote: record({ ...between, pre: fc.boolean(), granted: fc.boolean() }),
  'append-entries': record({
    ...between,
    prevIndex: u53,
    prevTerm: u53,
    commit: u53,
    round: u53,
    entries: list(record({ index: u53, term: u53, command: raftCommand })),
  }),
  appended: record({ ...between, accepted: fc.boolean(), round: u53, match: u53, hintIndex: u53, hintTerm: u53 }),
  'install-snapshot': fc
    .tuple(
      record({ ...between, round: u53, index: u53, indexTerm: u53, voters: list(voter), learners: list(voter) }),
      bytes(64),
    )
    .map(([rest, part]) => ({ ...rest, offset: 2 ** 20, totalBytes: 2 ** 20 + part.length, bytes: part })),
  'snapshot-received': record({ ...between, round: u53, index: u53, offset: whole(0, 2 ** 30) }),
  'lead-now': record(between),
}

export const MESSAGES: { readonly [T in MessageType]: Arbitrary<AnyMessage> } = Object.fromEntries(
  Object.entries(BODIES).map(([type, body]) => [
    type,
    (body as Arbitrary<object>).map((fields) => ({ type, ...fields }) as AnyMessage),
  ]),
) as { readonly [T in MessageType]: Arbitrary<AnyMessage> }

/** Any message that may share a frame. */
export const anyMessage: Arbitrary<AnyMessage> = fc.oneof(
  ...Object.entries(MESSAGES)
    .filter(([type]) => type !== 'hello' && type !== 'welcome' && type !== 'refused')
    .map(([, arbitrary]) => arbitrary),
)
