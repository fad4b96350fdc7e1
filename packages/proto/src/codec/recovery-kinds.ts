import {
  type AppliedOperation,
  type BlockVersion,
  type Digests,
  type FetchBlock,
  type FetchedBlock,
  type GetDigests,
  LIMITS,
  type Mark,
  type Opened,
  type SessionWindow,
  type Versions,
  type Windows,
} from '@ashlar/proto'
import { type ByteReader, type ByteWriter, badFrame } from './bytes.ts'
import {
  blockBytesField,
  blockField,
  checksumField,
  DIGEST_BYTES,
  describe,
  epochField,
  extentField,
  flagBits,
  generationField,
  genField,
  kindField,
  leafField,
  listLength,
  lowMarkField,
  MAX_EXTENT_BLOCKS,
  MAX_LEAVES,
  opField,
  requestField,
  seqField,
  sessionField,
  spanField,
} from './fields.ts'
import type { KindCodec } from './kind-codec.ts'

/*
 * Heads of the recovery messages that carry tables. Numbers are big-endian; `8` is a safe integer in eight bytes.
 *
 * stream          extent 8 | epoch 8 | gen 8                                                                   = 24
 * opened          stream 24 | lastEpoch 8 | lastSeq 8 | commitSeq 8 | digest 16 | count 4 | damaged block 4 x count
 * get-digests     stream 24 | count 2 | window x count
 * digests         stream 24 | digest 16 x leaves
 * versions        stream 24 | leaf 4 | count 2 | (block in leaf 1 | kind 1 | checksum 4 | epoch 8 | seq 8) x count
 * mark            stream 24 | lastEpoch 8 | lastSeq 8 | commitSeq 8 | count 2 | window x count
 * window          session 8 | generation 8 | lowMark 8 | applied 4 | cancelled 4 | applied x applied | op 8 x cancelled
 * applied         op 8 | seq 8 | first block 4 | blocks 4
 * windows         stream 24 | count 2 | window x count
 * fetch-block     request 8 | extent 8 | block 4 | versionEpoch 8 | versionSeq 8
 * fetched-block   request 8 | checksum 4 | flags 1 (1: found)                                    payload: the block if found
 */

const STREAM_BYTES = 24
const VERSION_BYTES = 22
const WINDOW_BYTES = 32
const APPLIED_BYTES = 24
/** Sessions come and go within one generation of a shared volume, so only the frame bounds them. */
const MAX_WINDOWS = 2 ** 16 - 1
/** Operations of one window; a frame bounds their sum. */
const MAX_WINDOW_OPS = Math.floor(LIMITS.frameBytes / APPLIED_BYTES)
const BLOCK_FOUND = 1

function writeStream(to: ByteWriter, m: Pick<Opened, 'extent' | 'epoch' | 'gen'>): void {
  to.u53(extentField(m.extent))
  to.u53(epochField(m.epoch))
  to.u53(genField(m.gen))
}

function digestBytes(bytes: unknown, min: number, max: number, what: string): Uint8Array {
  if (!(bytes instanceof Uint8Array) || bytes.length % DIGEST_BYTES !== 0) {
    throw badFrame(`${what} must be a multiple of ${DIGEST_BYTES} bytes, not ${describe(bytes)}`)
  }
  if (bytes.length < min * DIGEST_BYTES || bytes.length > max * DIGEST_BYTES) {
    throw badFrame(`${what} must be ${min} to ${max} digests, not ${bytes.length} bytes`)
  }
  return bytes
}

const openedKind: KindCodec<Opened> = {
  headBytes: (m) => STREAM_BYTES + 44 + 4 * m.damaged.length,
  writeHead(to, m) {
    writeStream(to, m)
    to.u53(epochField(m.lastEpoch))
    to.u53(seqField(m.lastSeq))
    to.u53(seqField(m.commitSeq))
    to.raw(digestBytes(m.digest, 1, 1, 'digest'))
    to.u32(listLength(m.damaged, MAX_EXTENT_BLOCKS, 'damaged'))
    for (const block of m.damaged) to.u32(blockField(block))
  },
  read(from) {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const gen = genField(from.u53())
    const lastEpoch = epochField(from.u53())
    const lastSeq = seqField(from.u53())
    const commitSeq = seqField(from.u53())
    const digest = from.raw(DIGEST_BYTES)
    const count = from.count(from.u32(), 4, MAX_EXTENT_BLOCKS, 'damaged')
    const damaged: number[] = []
    for (let i = 0; i < count; i++) damaged.push(blockField(from.u32()))
    return { type: 'opened', extent, epoch, gen, lastEpoch, lastSeq, commitSeq, digest, damaged }
  },
}

const digestsKind: KindCodec<Digests> = {
  headBytes: (m) => STREAM_BYTES + m.leaves.length,
  writeHead(to, m) {
    writeStream(to, m)
    to.raw(digestBytes(m.leaves, 0, MAX_LEAVES, 'leaves'))
  },
  read: (from) => ({
    type: 'digests',
    extent: extentField(from.u53()),
    epoch: epochField(from.u53()),
    gen: genField(from.u53()),
    leaves: digestBytes(from.raw(from.left), 0, MAX_LEAVES, 'leaves'),
  }),
}

type LeafVersion = BlockVersion & { readonly block: number }

const versionsKind: KindCodec<Versions> = {
  headBytes: (m) => STREAM_BYTES + 6 + VERSION_BYTES * m.versions.length,
  writeHead(to, m) {
    writeStream(to, m)
    to.u32(leafField(m.leaf))
    to.u16(listLength(m.versions, LIMITS.leafBlocks, 'versions'))
    const first = m.leaf * LIMITS.leafBlocks
    for (const version of m.versions) {
      const inLeaf = blockField(version.block) - first
      if (inLeaf < 0 || inLeaf >= LIMITS.leafBlocks)
        throw badFrame(`block ${version.block} is not under leaf ${m.leaf}`)
      to.u8(inLeaf)
      to.u8(kindField(version.kind))
      to.u32(checksumField(version.checksum))
      to.u53(epochField(version.epoch))
      to.u53(seqField(version.seq))
    }
  },
  read(from) {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const gen = genField(from.u53())
    const leaf = leafField(from.u32())
    const count = from.count(from.u16(), VERSION_BYTES, LIMITS.leafBlocks, 'versions')
    const versions: LeafVersion[] = []
    for (let i = 0; i < count; i++) {
      const block = leaf * LIMITS.leafBlocks + from.u8()
      const kind = kindField(from.u8())
      const checksum = from.u32()
      versions.push({ block, epoch: epochField(from.u53()), seq: seqField(from.u53()), kind, checksum })
    }
    return { type: 'versions', extent, epoch, gen, leaf, versions }
  },
}

function writeWindow(to: ByteWriter, window: SessionWindow): void {
  to.u53(sessionField(window.session))
  to.u53(generationField(window.generation))
  to.u53(lowMarkField(window.lowMark))
  to.u32(listLength(window.applied, MAX_WINDOW_OPS, 'applied'))
  to.u32(listLength(window.cancelled, MAX_WINDOW_OPS, 'cancelled'))
  for (const [op, seq, first, count] of window.applied) {
    to.u53(opField(op))
    to.u53(seqField(seq))
    to.u32(blockField(first))
    to.u32(spanField(count))
  }
  for (const op of window.cancelled) to.u53(opField(op))
}

function readWindow(from: ByteReader): SessionWindow {
  const session = sessionField(from.u53())
  const generation = generationField(from.u53())
  const lowMark = lowMarkField(from.u53())
  const appliedCount = from.u32()
  const cancelledCount = from.u32()
  from.count(appliedCount, APPLIED_BYTES, MAX_WINDOW_OPS, 'applied')
  const applied: AppliedOperation[] = []
  for (let i = 0; i < appliedCount; i++) {
    applied.push([opField(from.u53()), seqField(from.u53()), blockField(from.u32()), spanField(from.u32())])
  }
  from.count(cancelledCount, 8, MAX_WINDOW_OPS, 'cancelled')
  const cancelled: number[] = []
  for (let i = 0; i < cancelledCount; i++) cancelled.push(opField(from.u53()))
  return { session, generation, lowMark, applied, cancelled }
}

function windowsBytes(windows: readonly SessionWindow[]): number {
  return windows.reduce(
    (sum, window) => sum + WINDOW_BYTES + APPLIED_BYTES * window.applied.length + 8 * window.cancelled.length,
    2,
  )
}

function writeWindows(to: ByteWriter, windows: readonly SessionWindow[]): void {
  to.u16(listLength(windows, MAX_WINDOWS, 'windows'))
  for (const window of windows) writeWindow(to, window)
}

function readWindows(from: ByteReader): SessionWindow[] {
  const count = from.count(from.u16(), WINDOW_BYTES, MAX_WINDOWS, 'windows')
  const windows: SessionWindow[] = []
  for (let i = 0; i < count; i++) windows.push(readWindow(from))
  return windows
}

const getDigestsKind: KindCodec<GetDigests> = {
  headBytes: (m) => STREAM_BYTES + windowsBytes(m.windows),
  writeHead(to, m) {
    writeStream(to, m)
    writeWindows(to, m.windows)
  },
  read: (from) => ({
    type: 'get-digests',
    extent: extentField(from.u53()),
    epoch: epochField(from.u53()),
    gen: genField(from.u53()),
    windows: readWindows(from),
  }),
}

const windowsKind: KindCodec<Windows> = {
  headBytes: (m) => STREAM_BYTES + windowsBytes(m.windows),
  writeHead(to, m) {
    writeStream(to, m)
    writeWindows(to, m.windows)
  },
  read: (from) => ({
    type: 'windows',
    extent: extentField(from.u53()),
    epoch: epochField(from.u53()),
    gen: genField(from.u53()),
    windows: readWindows(from),
  }),
}

const markKind: KindCodec<Mark> = {
  headBytes: (m) => STREAM_BYTES + 24 + windowsBytes(m.windows),
  writeHead(to, m) {
    writeStream(to, m)
    to.u53(epochField(m.lastEpoch))
    to.u53(seqField(m.lastSeq))
    to.u53(seqField(m.commitSeq))
    writeWindows(to, m.windows)
  },
  read(from) {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const gen = genField(from.u53())
    const lastEpoch = epochField(from.u53())
    const lastSeq = seqField(from.u53())
    const commitSeq = seqField(from.u53())
    const windows = readWindows(from)
    return { type: 'mark', extent, epoch, gen, lastEpoch, lastSeq, commitSeq, windows }
  },
}

const fetchBlockKind: KindCodec<FetchBlock> = {
  headBytes: () => 36,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u32(blockField(m.block))
    to.u53(epochField(m.versionEpoch))
    to.u53(seqField(m.versionSeq))
  },
  read: (from) => ({
    type: 'fetch-block',
    request: requestField(from.u53()),
    extent: extentField(from.u53()),
    block: blockField(from.u32()),
    versionEpoch: epochField(from.u53()),
    versionSeq: seqField(from.u53()),
  }),
}

const fetchedBlockKind: KindCodec<FetchedBlock> = {
  headBytes: () => 13,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u32(checksumField(m.checksum))
    to.u8(m.bytes === undefined ? 0 : BLOCK_FOUND)
    if (m.bytes !== undefined) blockBytesField(m.bytes)
  },
  payload: (m) => (m.bytes === undefined ? [] : [m.bytes]),
  read(from, payload) {
    const request = requestField(from.u53())
    const checksum = from.u32()
    const found = (flagBits(from.u8(), BLOCK_FOUND) & BLOCK_FOUND) !== 0
    if (found) return { type: 'fetched-block', request, checksum, bytes: blockBytesField(payload) }
    if (payload.length !== 0) throw badFrame('a block that was not found carries bytes')
    return { type: 'fetched-block', request, checksum }
  },
}

export const RECOVERY_KINDS = {
  opened: openedKind,
  'get-digests': getDigestsKind,
  digests: digestsKind,
  versions: versionsKind,
  mark: markKind,
  'fetch-block': fetchBlockKind,
  'fetched-block': fetchedBlockKind,
  windows: windowsKind,
}
