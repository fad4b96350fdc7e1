import {
  type Allocation,
  type Answer,
  type Cancel,
  LIMITS,
  type Operation,
  type QueryAllocation,
  type Read,
  type ReadDone,
  type ReadPart,
  type Write,
  type Zero,
} from '@ashlar/proto'
import { type ByteReader, type ByteWriter, badFrame } from './bytes.ts'
import {
  blockCountField,
  blockField,
  checkRange,
  checksumField,
  codeField,
  describe,
  epochField,
  extentField,
  flagBits,
  generationField,
  kindField,
  listLength,
  lowMarkField,
  MAX_EXTENT_BLOCKS,
  MAX_PIECE_BLOCKS,
  offsetField,
  opField,
  pieceLengthField,
  requestField,
  sessionField,
  zeroKindField,
  zeroLengthField,
} from './fields.ts'
import type { KindCodec } from './kind-codec.ts'

/*
 * Heads of block traffic between a client and a primary. Numbers are big-endian; `8` is a safe integer in eight bytes.
 *
 * operation          session 8 | op 8 | lowMark 8 | generation 8                                              = 32
 * write              request 8 | extent 8 | epoch 8 | operation 32 | offset 8 | count 2 | checksum 4 x count     payload: the bytes
 * zero               request 8 | extent 8 | epoch 8 | operation 32 | offset 8 | length 4 | kind 1
 * read               request 8 | extent 8 | epoch 8 | generation 8 | offset 8 | length 4
 * query-allocation   request 8 | extent 8 | epoch 8 | firstBlock 4 | blocks 4
 * cancel             request 8 | extent 8 | epoch 8 | operation 32
 * answer             request 8 | code 2 | epoch 8
 * read-done          request 8 | count 2 | (flags 1 | length 4 | checksum 4) x count       payload: bytes of the parts with flag 1
 * allocation         request 8 | count 4 | (blocks 4 | kind 1) x count
 */

export const OPERATION_BYTES = 32

export function writeOperation(to: ByteWriter, operation: Operation): void {
  to.u53(sessionField(operation?.session))
  to.u53(opField(operation.op))
  to.u53(lowMarkField(operation.lowMark))
  to.u53(generationField(operation.generation))
}

export function readOperation(from: ByteReader): Operation {
  return {
    session: sessionField(from.u53()),
    op: opField(from.u53()),
    lowMark: lowMarkField(from.u53()),
    generation: generationField(from.u53()),
  }
}

function pieceBytesField(bytes: unknown): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw badFrame(`a payload must be bytes, not ${describe(bytes)}`)
  pieceLengthField(bytes.length)
  return bytes
}

const writeKind: KindCodec<Write> = {
  headBytes: (m) => 66 + 4 * m.checksums.length,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    writeOperation(to, m.operation)
    to.u53(offsetField(m.offset))
    checkRange(m.offset, pieceBytesField(m.payload).length)
    to.u16(listLength(m.checksums, MAX_PIECE_BLOCKS, 'checksums'))
    for (const checksum of m.checksums) to.u32(checksumField(checksum))
  },
  payload: (m) => [m.payload],
  read(from, payload) {
    const request = requestField(from.u53())
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const operation = readOperation(from)
    const offset = offsetField(from.u53())
    checkRange(offset, pieceBytesField(payload).length)
    const count = from.count(from.u16(), 4, MAX_PIECE_BLOCKS, 'checksums')
    const checksums: number[] = []
    for (let i = 0; i < count; i++) checksums.push(from.u32())
    return { type: 'write', request, extent, epoch, operation, offset, checksums, payload }
  },
}

const zeroKind: KindCodec<Zero> = {
  headBytes: () => 69,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    writeOperation(to, m.operation)
    to.u53(offsetField(m.offset))
    to.u32(zeroLengthField(m.length))
    checkRange(m.offset, m.length)
    to.u8(zeroKindField(m.kind))
  },
  read(from) {
    const request = requestField(from.u53())
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const operation = readOperation(from)
    const offset = offsetField(from.u53())
    const length = zeroLengthField(from.u32())
    checkRange(offset, length)
    return { type: 'zero', request, extent, epoch, operation, offset, length, kind: zeroKindField(from.u8()) }
  },
}

const readKind: KindCodec<Read> = {
  headBytes: () => 44,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    to.u53(generationField(m.generation))
    to.u53(offsetField(m.offset))
    to.u32(pieceLengthField(m.length))
    checkRange(m.offset, m.length)
  },
  read(from) {
    const request = requestField(from.u53())
    const extent = extentField(from.u53())
    const epoch = epochField(from.u53())
    const generation = generationField(from.u53())
    const offset = offsetField(from.u53())
    const length = pieceLengthField(from.u32())
    checkRange(offset, length)
    return { type: 'read', request, extent, epoch, generation, offset, length }
  },
}

const queryAllocationKind: KindCodec<QueryAllocation> = {
  headBytes: () => 32,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    to.u32(blockField(m.firstBlock))
    to.u32(blockCountField(m.blocks))
  },
  read: (from) => ({
    type: 'query-allocation',
    request: requestField(from.u53()),
    extent: extentField(from.u53()),
    epoch: epochField(from.u53()),
    firstBlock: blockField(from.u32()),
    blocks: blockCountField(from.u32()),
  }),
}

const cancelKind: KindCodec<Cancel> = {
  headBytes: () => 24 + OPERATION_BYTES,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u53(extentField(m.extent))
    to.u53(epochField(m.epoch))
    writeOperation(to, m.operation)
  },
  read: (from) => ({
    type: 'cancel',
    request: requestField(from.u53()),
    extent: extentField(from.u53()),
    epoch: epochField(from.u53()),
    operation: readOperation(from),
  }),
}

const answerKind: KindCodec<Answer> = {
  headBytes: () => 18,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u16(codeField(m.code))
    to.u53(epochField(m.epoch))
  },
  read: (from) => ({
    type: 'answer',
    request: requestField(from.u53()),
    code: from.u16(),
    epoch: epochField(from.u53()),
  }),
}

const PART_HAS_BYTES = 1

function readPart(from: ByteReader, payload: Uint8Array, at: number): ReadPart {
  const flags = flagBits(from.u8(), PART_HAS_BYTES)
  const length = pieceLengthField(from.u32())
  const checksum = from.u32()
  if ((flags & PART_HAS_BYTES) === 0) return { length, checksum }
  if (at + length > payload.length) throw badFrame('the parts of a read need more bytes than came')
  return { length, checksum, bytes: payload.subarray(at, at + length) }
}

const readDoneKind: KindCodec<ReadDone> = {
  headBytes: (m) => 10 + 9 * m.parts.length,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u16(listLength(m.parts, MAX_PIECE_BLOCKS, 'parts'))
    let total = 0
    for (const part of m.parts) {
      if (part.bytes !== undefined && pieceBytesField(part.bytes).length !== part.length) {
        throw badFrame(`a part of ${part.length} bytes carries ${part.bytes.length}`)
      }
      to.u8(part.bytes === undefined ? 0 : PART_HAS_BYTES)
      to.u32(pieceLengthField(part.length))
      to.u32(checksumField(part.checksum))
      total += part.length
    }
    pieceLengthField(total)
  },
  payload: (m) => m.parts.flatMap((part) => part.bytes ?? []),
  read(from, payload) {
    const request = requestField(from.u53())
    const count = from.count(from.u16(), 9, MAX_PIECE_BLOCKS, 'parts')
    const parts: ReadPart[] = []
    let total = 0
    let at = 0
    for (let i = 0; i < count; i++) {
      const part = readPart(from, payload, at)
      parts.push(part)
      total += part.length
      at += part.bytes?.length ?? 0
    }
    pieceLengthField(total)
    if (at !== payload.length) throw badFrame(`${payload.length - at} bytes belong to no part of the read`)
    return { type: 'read-done', request, parts }
  },
}

const allocationKind: KindCodec<Allocation> = {
  headBytes: (m) => 12 + 5 * m.runs.length,
  writeHead(to, m) {
    to.u53(requestField(m.request))
    to.u32(listLength(m.runs, MAX_EXTENT_BLOCKS, 'runs'))
    for (const run of m.runs) {
      to.u32(blockCountField(run.blocks))
      to.u8(kindField(run.kind))
    }
  },
  read(from) {
    const request = requestField(from.u53())
    const count = from.count(from.u32(), 5, MAX_EXTENT_BLOCKS, 'runs')
    const runs: Allocation['runs'][number][] = []
    for (let i = 0; i < count; i++) runs.push({ blocks: blockCountField(from.u32()), kind: kindField(from.u8()) })
    return { type: 'allocation', request, runs }
  },
}

// The largest answer of each kind must fit in a frame with room to spare, or a legal request could not be answered.
if (12 + 5 * MAX_EXTENT_BLOCKS > LIMITS.frameBytes / 2 + LIMITS.frameBytes / 4) {
  throw new Error('limits contradict each other: the allocation of a whole extent fits in a frame')
}

export const CLIENT_KINDS = {
  write: writeKind,
  zero: zeroKind,
  read: readKind,
  'query-allocation': queryAllocationKind,
  cancel: cancelKind,
  answer: answerKind,
  'read-done': readDoneKind,
  allocation: allocationKind,
}
