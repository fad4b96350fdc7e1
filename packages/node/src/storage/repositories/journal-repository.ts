import { type BlockIndex, type BlockVersion, type Epoch, type ExtentId, invariant, type Seq } from '@ashlar/proto'
import type { ReplicaChange } from '../../core/machine.ts'
import { UNKNOWN_SPAN } from '../../core/replication/index.ts'
import { asBuffer, readU48, readU64, sealed, unsealed, writeU32, writeU48, writeU64 } from '../encoding/bytes.ts'
import { decodeHeadExtra, encodeHeadExtra, type HeadExtra } from './head-repository.ts'
import { readVersion, VERSION_BYTES, writeVersion } from './version-value.ts'

/**
 * Value of a `j` key: what one batch changed in memory-held state, so that heads, digests and dedupe windows need not be
 * written with every batch (amendment 10). Batches are numbered without a gap, so that a record which LevelDB dropped
 * shows as a hole. Big-endian, with a crc32 behind it:
 *
 *   u8   2, the version of this layout
 *   u32  sections, one an extent, each:
 *          u48  extent
 *          u8   flags: 1 last epoch and seq follow, 2 commitSeq follows, 4 extra follows
 *          [u64 lastEpoch, u64 lastSeq] [u64 commitSeq] [u32 length, MessagePack of HeadExtra]
 *          u32  operations, each u64 session, op, lowMark, generation, seq, u32 first block, blocks, u8 1 if cancelled
 *          u32  blocks, each u32 block, version before, version after (version-value.ts)
 *
 * Every change of a head travels here, `promised`, `led`, the record and the generation included, so that it is durable
 * with its batch; the `m` key follows at the next checkpoint.
 */
export interface JournalSection {
  readonly extent: ExtentId
  last: { readonly epoch: Epoch; readonly seq: Seq } | undefined
  commitSeq: Seq | undefined
  extra: HeadExtra | undefined
  operations: JournalOperation[]
  readonly blocks: JournalBlock[]
}
export type JournalOperation = NonNullable<ReplicaChange['operation']>
export interface JournalBlock {
  readonly block: BlockIndex
  readonly before: BlockVersion
  readonly after: BlockVersion
}

const LAYOUT = 2
/** The layout of before operations had spans: they end with the seq and whether they are cancelled. */
const LAYOUT_WITHOUT_SPANS = 1
const HAS_LAST = 1
const HAS_COMMIT_SEQ = 2
const HAS_EXTRA = 4
const OPERATION_BYTES = 49
const BLOCK_BYTES = 4 + 2 * VERSION_BYTES

export function newSection(extent: ExtentId): JournalSection {
  return { extent, last: undefined, commitSeq: undefined, extra: undefined, operations: [], blocks: [] }
}

export function encodeJournal(sections: Iterable<JournalSection>, count: number): Buffer {
  const parts: Buffer[] = []
  const start = Buffer.allocUnsafe(5)
  start[0] = LAYOUT
  writeU32(start, 1, count)
  parts.push(start)
  for (const section of sections) parts.push(encodeSection(section))
  return sealed(parts.length === 1 ? start : Buffer.concat(parts))
}

function encodeSection(section: JournalSection): Buffer {
  const { last, commitSeq, operations, blocks } = section
  const extra = section.extra === undefined ? undefined : encodeHeadExtra(section.extra)
  const size =
    7 +
    (last === undefined ? 0 : 16) +
    (commitSeq === undefined ? 0 : 8) +
    (extra === undefined ? 0 : 4 + extra.length) +
    (4 + operations.length * OPERATION_BYTES) +
    (4 + blocks.length * BLOCK_BYTES)
  const target = Buffer.allocUnsafe(size)
  writeU48(target, 0, section.extent)
  target[6] =
    (last === undefined ? 0 : HAS_LAST) |
    (commitSeq === undefined ? 0 : HAS_COMMIT_SEQ) |
    (extra === undefined ? 0 : HAS_EXTRA)
  let at = 7
  if (last !== undefined) {
    writeU64(target, at, last.epoch)
    writeU64(target, at + 8, last.seq)
    at += 16
  }
  if (commitSeq !== undefined) {
    writeU64(target, at, commitSeq)
    at += 8
  }
  if (extra !== undefined) {
    writeU32(target, at, extra.length)
    extra.copy(target, at + 4)
    at += 4 + extra.length
  }
  writeU32(target, at, operations.length)
  at += 4
  for (const operation of operations) {
    writeU64(target, at, operation.session)
    writeU64(target, at + 8, operation.op)
    writeU64(target, at + 16, operation.lowMark)
    writeU64(target, at + 24, operation.generation)
    writeU64(target, at + 32, operation.seq)
    writeU32(target, at + 40, operation.first)
    writeU32(target, at + 44, operation.count)
    target[at + 48] = operation.cancel ? 1 : 0
    at += OPERATION_BYTES
  }
  writeU32(target, at, blocks.length)
  at += 4
  for (const block of blocks) {
    writeU32(target, at, block.block)
    writeVersion(target, at + 4, block.before)
    writeVersion(target, at + 4 + VERSION_BYTES, block.after)
    at += BLOCK_BYTES
  }
  invariant(at === size, 'a section fills its bytes: the buffer was not cleared')
  return target
}

/** The sections of a journal value, or undefined when it does not match its checksum or has another layout. */
export function decodeJournal(value: Uint8Array): JournalSection[] | undefined {
  const source = unsealed(value)
  const layout = source?.[0]
  if (source === undefined || (layout !== LAYOUT && layout !== LAYOUT_WITHOUT_SPANS)) return undefined
  const count = source.readUInt32BE(1)
  const sections: JournalSection[] = []
  let at = 5
  for (let i = 0; i < count; i++) {
    const section = newSection(readU48(source, at) as ExtentId)
    at = decodeSection(source, at + 6, section, layout === LAYOUT)
    sections.push(section)
  }
  invariant(at === source.length, 'a journal value ends with its last section')
  return sections
}

/** Reads a section from its flags on and returns the offset behind it. */
function decodeSection(source: Buffer, start: number, section: JournalSection, hasSpans: boolean): number {
  const flags = source[start] as number
  let at = start + 1
  if (flags & HAS_LAST) {
    section.last = { epoch: readU64(source, at) as Epoch, seq: readU64(source, at + 8) as Seq }
    at += 16
  }
  if (flags & HAS_COMMIT_SEQ) {
    section.commitSeq = readU64(source, at) as Seq
    at += 8
  }
  if (flags & HAS_EXTRA) {
    const length = source.readUInt32BE(at)
    section.extra = decodeHeadExtra(asBuffer(source.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  const operations = source.readUInt32BE(at)
  at += 4
  for (let i = 0; i < operations; i++) {
    section.operations.push({
      session: readU64(source, at) as JournalOperation['session'],
      op: readU64(source, at + 8),
      lowMark: readU64(source, at + 16),
      generation: readU64(source, at + 24),
      seq: readU64(source, at + 32) as Seq,
      ...(hasSpans ? { first: source.readUInt32BE(at + 40), count: source.readUInt32BE(at + 44) } : UNKNOWN_SPAN),
      cancel: source[at + (hasSpans ? 48 : 40)] === 1,
    })
    at += hasSpans ? OPERATION_BYTES : OPERATION_BYTES - 8
  }
  const blocks = source.readUInt32BE(at)
  at += 4
  for (let i = 0; i < blocks; i++) {
    section.blocks.push({
      block: source.readUInt32BE(at),
      before: readVersion(source, at + 4),
      after: readVersion(source, at + 4 + VERSION_BYTES),
    })
    at += BLOCK_BYTES
  }
  return at
}

/** Value of `h j`: a u64 with a crc32 behind it. */
export function encodeJournalStart(batch: number): Buffer {
  const value = Buffer.allocUnsafe(8)
  writeU64(value, 0, batch)
  return sealed(value)
}

/** The number, or undefined when it does not match its checksum. */
export function decodeJournalStart(value: Uint8Array): number | undefined {
  const content = unsealed(value)
  return content?.length === 8 ? readU64(content, 0) : undefined
}
