import {
  type Ack,
  BLOCK_DATA,
  type BlockKind,
  LIMITS,
  type Operation,
  type Ping,
  type Push,
  type Replicate,
  type ReplicatedBlock,
  STORE_SPACES,
  type StoreSpace,
} from '@ashlar/proto'
import { type ByteReader, badFrame } from './bytes.ts'
import { OPERATION_BYTES, readOperation, writeOperation } from './client-kinds.ts'
import {
  blockBytesField,
  blockField,
  bytesField,
  checksumField,
  epochField,
  extentField,
  flagBits,
  genField,
  kindField,
  listLength,
  pushField,
  seqField,
} from './fields.ts'
import type { KindCodec } from './kind-codec.ts'

/*
 * Heads of block traffic between a primary and a replica. Numbers are big-endian; `8` is a safe integer in eight bytes.
 *
 * replicate   extent 8 | epoch 8 | gen 8 | seq 8 | prevEpoch 8 | prevSeq 8 | commitSeq 8 | flags 1 | count 2 |
 *             [operation 32, with flag 1] | (block 4 | kind 1 | checksum 4) x count
 *             payload: the blocks of kind DATA, in order, all of one size
 * push        extent 8 | epoch 8 | gen 8 | push 8 | block 4 | versionEpoch 8 | versionSeq 8 | kind 1 | checksum 4
 *             payload: the block when kind is DATA
 * ack         extent 8 | epoch 8 | gen 8 | seq 8 | push 8 | freeBytes 8 | flags 1 (1: marked; 2, 4: space, a number from 0 to 3)
 * ping        nothing
 */

/** A write touches at most zeroBlocks blocks, and one more when it is not aligned. */
const MAX_REPLICATED_BLOCKS = LIMITS.zeroBlocks + 1
/** Whole blocks of one operation: a piece and what its unaligned edges add. */
const MAX_REPLICATED_BYTES = LIMITS.pieceBytes + LIMITS.maxBlockBytes

const REPLICATE_HAS_OPERATION = 1
const REPLICATE_CANCELS = 2
const REPLICATE_FIXED_BYTES = 59
const ACK_MARKED = 1
const ACK_SPACE_SHIFT = 1
const ACK_SPACE = (STORE_SPACES.length - 1) << ACK_SPACE_SHIFT

/** Bytes belong to a block exactly when its kind is DATA. */
function checkContent(kind: BlockKind, bytes: Uint8Array | undefined): void {
  if (kind === BLOCK_DATA) blockBytesField(bytes)
  else if (bytes !== undefined) throw badFrame(`a block of kind ${kind} carries bytes`)
}

function checkCancel(cancel: boolean, operation: Operation | undefined, blocks: number): void {
  if (cancel && (operation === undefined || blocks !== 0)) {
    throw badFrame('a replicated cancellation names an operation and has no blocks')
  }
}

function replicatedPayload(blocks: readonly ReplicatedBlock[]): Uint8Array[] {
  return blocks.flatMap((block) => block.bytes ?? [])
}

function checkReplicatedBytes(dataBlocks: number, payloadBytes: number): number {
  if (payloadBytes > MAX_REPLICATED_BYTES) throw badFrame(`${payloadBytes} bytes in one replicated write`)
  if (dataBlocks === 0) {
    if (payloadBytes !== 0) throw badFrame('bytes belong to no block')
    return 0
  }
  return payloadBytes / dataBlocks
}

const replicateKind: KindCodec<Replicate> = {
  headBytes: (m) => REPLICATE_FIXED_BYTES + OPERATION_BYTES + 9 * m.blocks.length,
  writeHead(to, m) {
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    to.u53(genField(m.gen))
    to.u53(seqField(m.seq))
    to.u53(epochField(m.prevEpoch))
    to.u53(seqField(m.prevSeq))
    to.u53(seqField(m.commitSeq))
    const count = listLength(m.blocks, MAX_REPLICATED_BLOCKS, 'blocks')
    checkCancel(m.cancel, m.operation, count)
    to.u8((m.operation === undefined ? 0 : REPLICATE_HAS_OPERATION) | (m.cancel ? REPLICATE_CANCELS : 0))
    to.u16(count)
    if (m.operation !== undefined) writeOperation(to, m.operation)
    let dataBlocks = 0
    let payloadBytes = 0
    let first: number | undefined
    for (const block of m.blocks) {
      to.u32(blockField(block.block))
      to.u8(kindField(block.kind))
      to.u32(checksumField(block.checksum))
      checkContent(block.kind, block.bytes)
      if (block.bytes === undefined) continue
      first ??= block.bytes.length
      if (block.bytes.length !== first) throw badFrame('blocks of one write differ in size')
      dataBlocks++
      payloadBytes += first
    }
    checkReplicatedBytes(dataBlocks, payloadBytes)
  },
  payload: (m) => replicatedPayload(m.blocks),
  read(from, payload) {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const gen = genField(from.u53())
    const seq = seqField(from.u53())
    const prevEpoch = epochField(from.u53())
    const prevSeq = seqField(from.u53())
    const commitSeq = seqField(from.u53())
    const flags = flagBits(from.u8(), REPLICATE_HAS_OPERATION | REPLICATE_CANCELS)
    const count = from.u16()
    const operation = (flags & REPLICATE_HAS_OPERATION) === 0 ? undefined : readOperation(from)
    const cancel = (flags & REPLICATE_CANCELS) !== 0
    const blocks = readBlocks(from, from.count(count, 9, MAX_REPLICATED_BLOCKS, 'blocks'), payload)
    checkCancel(cancel, operation, count)
    const fixed = { type: 'replicate', extent, epoch, gen, seq, prevEpoch, prevSeq, commitSeq } as const
    return operation === undefined ? { ...fixed, cancel, blocks } : { ...fixed, operation, cancel, blocks }
  },
}

function readBlocks(from: ByteReader, count: number, payload: Uint8Array): ReplicatedBlock[] {
  const heads: { block: number; kind: BlockKind; checksum: number }[] = []
  let dataBlocks = 0
  for (let i = 0; i < count; i++) {
    const block = blockField(from.u32())
    const kind = kindField(from.u8())
    if (kind === BLOCK_DATA) dataBlocks++
    heads.push({ block, kind, checksum: from.u32() })
  }
  const blockBytes = checkReplicatedBytes(dataBlocks, payload.length)
  let at = 0
  return heads.map((head) => {
    if (head.kind !== BLOCK_DATA) return head
    const bytes = blockBytesField(payload.subarray(at, at + blockBytes))
    at += blockBytes
    return { block: head.block, kind: head.kind, checksum: head.checksum, bytes }
  })
}

const pushKind: KindCodec<Push> = {
  headBytes: () => 57,
  writeHead(to, m) {
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    to.u53(genField(m.gen))
    to.u53(pushField(m.push))
    to.u32(blockField(m.block))
    to.u53(epochField(m.versionEpoch))
    to.u53(seqField(m.versionSeq))
    to.u8(kindField(m.kind))
    to.u32(checksumField(m.checksum))
    checkContent(m.kind, m.bytes)
  },
  payload: (m) => (m.bytes === undefined ? [] : [m.bytes]),
  read(from, payload) {
    const message = {
      type: 'push',
      extent: extentField(from.u53()),
      epoch: epochField(from.u53()),
      gen: genField(from.u53()),
      push: pushField(from.u53()),
      block: blockField(from.u32()),
      versionEpoch: epochField(from.u53()),
      versionSeq: seqField(from.u53()),
      kind: kindField(from.u8()),
      checksum: from.u32(),
    } as const
    if (message.kind === BLOCK_DATA) return { ...message, bytes: blockBytesField(payload) }
    if (payload.length !== 0) throw badFrame(`a block of kind ${message.kind} carries bytes`)
    return message
  },
}

const ackKind: KindCodec<Ack> = {
  headBytes: () => 49,
  writeHead(to, m) {
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    to.u53(genField(m.gen))
    to.u53(seqField(m.seq))
    to.u53(pushField(m.push))
    to.u53(bytesField(m.freeBytes))
    to.u8((m.marked ? ACK_MARKED : 0) | (spaceNumber(m.space) << ACK_SPACE_SHIFT))
  },
  read(from) {
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const gen = genField(from.u53())
    const seq = seqField(from.u53())
    const push = pushField(from.u53())
    const freeBytes = bytesField(from.u53())
    const flags = flagBits(from.u8(), ACK_MARKED | ACK_SPACE)
    const marked = (flags & ACK_MARKED) !== 0
    const space = STORE_SPACES[(flags & ACK_SPACE) >> ACK_SPACE_SHIFT] ?? 'free'
    return { type: 'ack', extent, epoch, gen, seq, push, marked, freeBytes, space }
  },
}

function spaceNumber(space: StoreSpace): number {
  const number = STORE_SPACES.indexOf(space)
  if (number < 0) throw badFrame(`space must be one of ${STORE_SPACES.join(', ')}`)
  return number
}

const pingKind: KindCodec<Ping> = {
  headBytes: () => 0,
  writeHead() {},
  read: () => ({ type: 'ping' }),
}

export const PEER_KINDS = {
  replicate: replicateKind,
  push: pushKind,
  ack: ackKind,
  ping: pingKind,
}
