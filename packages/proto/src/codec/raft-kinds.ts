import {
  type AppendEntries,
  type Appended,
  type AskVote,
  type InstallSnapshot,
  type LeadNow,
  LIMITS,
  type RaftMessage,
  type SnapshotReceived,
  type StoreId,
  type Vote,
  type Voter,
  type WireEntry,
} from '@ashlar/proto'
import { type ByteReader, type ByteWriter, badFrame } from './bytes.ts'
import { describe, flagBits, listLength, readStore, whole, writeUuid } from './fields.ts'
import type { KindCodec } from './kind-codec.ts'
import { readList, sum } from './lists.ts'
import { readVoter, voterBytes, writeVoter } from './map-records.ts'
import { decodeCommand, encodeCommand } from './plain-data.ts'

/*
 * Heads of the traffic of control's log. Numbers are big-endian; `8` is a safe integer in eight bytes. Each begins with
 * from 16 | to 16 | term 8.
 *
 * ask-vote            flags 1 (1: pre, 2: transfer) | lastIndex 8 | lastTerm 8
 * vote                flags 1 (1: pre, 2: granted)
 * append-entries      prevIndex 8 | prevTerm 8 | commit 8 | round 8 | count 4 x (index 8 | term 8 | length 4 | command)
 * appended            flags 1 (1: accepted) | round 8 | match 8 | hintIndex 8 | hintTerm 8
 * install-snapshot    round 8 | index 8 | indexTerm 8 | voters 1 x voter | learners 2 x voter | offset 8 | totalBytes 8 |
 *                     length 4 | bytes
 * snapshot-received   round 8 | index 8 | offset 8
 * lead-now            nothing
 *
 * Commands and parts of snapshots stand in the head, not behind it, so that the checksum of the heads covers them.
 */

const BETWEEN_BYTES = 40
const ENTRY_BYTES = 20
const MAX_ENTRIES = 65_536
/** Fits in a frame with everything beside it. */
const MAX_PART_BYTES = LIMITS.frameBytes - LIMITS.controlBytes
/** A snapshot is held in memory by both sides. */
const MAX_SNAPSHOT_BYTES = 2 ** 30
const PRE = 1
const SECOND_FLAG = 2
const ACCEPTED = 1

const indexField = (value: unknown) => whole(value, 'index', 0, Number.MAX_SAFE_INTEGER)
const termField = (value: unknown) => whole(value, 'term', 0, Number.MAX_SAFE_INTEGER)
const roundField = (value: unknown) => whole(value, 'round', 0, Number.MAX_SAFE_INTEGER)
const sizeField = (value: unknown) => whole(value, 'bytes of a snapshot', 0, MAX_SNAPSHOT_BYTES)

interface Between {
  readonly from: StoreId
  readonly to: StoreId
  readonly term: number
}

function writeBetween(to: ByteWriter, message: RaftMessage): void {
  writeUuid(to, message.from)
  writeUuid(to, message.to)
  to.u53(termField(message.term))
}

function readBetween(from: ByteReader): Between {
  return { from: readStore(from), to: readStore(from), term: from.u53() }
}

/** A kind whose head is as long as its fixed fields. */
function fixed<M extends RaftMessage>(
  bytes: number,
  write: (to: ByteWriter, message: M) => void,
  read: (from: ByteReader, between: Between) => M,
): KindCodec<M> {
  return {
    headBytes: () => BETWEEN_BYTES + bytes,
    writeHead(to, message) {
      writeBetween(to, message)
      write(to, message)
    },
    read: (from) => read(from, readBetween(from)),
  }
}

const askVoteKind = fixed<AskVote>(
  17,
  (to, m) => {
    to.u8((m.pre ? PRE : 0) | (m.transfer ? SECOND_FLAG : 0))
    to.u53(indexField(m.lastIndex))
    to.u53(termField(m.lastTerm))
  },
  (from, between) => {
    const flags = flagBits(from.u8(), PRE | SECOND_FLAG)
    const pre = (flags & PRE) !== 0
    const transfer = (flags & SECOND_FLAG) !== 0
    return { type: 'ask-vote', ...between, pre, transfer, lastIndex: from.u53(), lastTerm: from.u53() }
  },
)

const voteKind = fixed<Vote>(
  1,
  (to, m) => to.u8((m.pre ? PRE : 0) | (m.granted ? SECOND_FLAG : 0)),
  (from, between) => {
    const flags = flagBits(from.u8(), PRE | SECOND_FLAG)
    return { type: 'vote', ...between, pre: (flags & PRE) !== 0, granted: (flags & SECOND_FLAG) !== 0 }
  },
)

const appendedKind = fixed<Appended>(
  33,
  (to, m) => {
    to.u8(m.accepted ? ACCEPTED : 0)
    to.u53(roundField(m.round))
    to.u53(indexField(m.match))
    to.u53(indexField(m.hintIndex))
    to.u53(termField(m.hintTerm))
  },
  (from, between) => {
    const accepted = flagBits(from.u8(), ACCEPTED) !== 0
    const round = from.u53()
    const match = from.u53()
    return { type: 'appended', ...between, accepted, round, match, hintIndex: from.u53(), hintTerm: from.u53() }
  },
)

const snapshotReceivedKind = fixed<SnapshotReceived>(
  24,
  (to, m) => {
    to.u53(roundField(m.round))
    to.u53(indexField(m.index))
    to.u53(sizeField(m.offset))
  },
  (from, between) => {
    const round = from.u53()
    const index = from.u53()
    return { type: 'snapshot-received', ...between, round, index, offset: sizeField(from.u53()) }
  },
)

const leadNowKind = fixed<LeadNow>(
  0,
  () => {},
  (_from, between) => ({ type: 'lead-now', ...between }),
)

const appendEntriesKind: KindCodec<AppendEntries> = {
  headBytes: ({ entries }) =>
    BETWEEN_BYTES + 4 * 8 + 4 + sum(entries, ({ command }) => ENTRY_BYTES + encodeCommand(command).length),
  writeHead(to, m) {
    writeBetween(to, m)
    to.u53(indexField(m.prevIndex))
    to.u53(termField(m.prevTerm))
    to.u53(indexField(m.commit))
    to.u53(roundField(m.round))
    to.u32(listLength(m.entries, MAX_ENTRIES, 'entries'))
    for (const { index, term, command } of m.entries) {
      to.u53(indexField(index))
      to.u53(termField(term))
      const bytes = encodeCommand(command)
      to.u32(bytes.length)
      to.raw(bytes)
    }
  },
  read(from) {
    const between = readBetween(from)
    const prevIndex = from.u53()
    const prevTerm = from.u53()
    const commit = from.u53()
    const round = from.u53()
    const count = from.count(from.u32(), ENTRY_BYTES, MAX_ENTRIES, 'entries')
    const entries: WireEntry[] = []
    for (let i = 0; i < count; i++) {
      const index = from.u53()
      const term = from.u53()
      entries.push({ index, term, command: decodeCommand(from.raw(from.u32())) })
    }
    return { type: 'append-entries', ...between, prevIndex, prevTerm, commit, round, entries }
  },
}

const installSnapshotKind: KindCodec<InstallSnapshot> = {
  headBytes: ({ voters, learners, bytes }) =>
    BETWEEN_BYTES + 47 + sum(voters, voterBytes) + sum(learners, voterBytes) + bytes.length,
  writeHead(to, m) {
    writeBetween(to, m)
    to.u53(roundField(m.round))
    to.u53(indexField(m.index))
    to.u53(termField(m.indexTerm))
    to.u8(listLength(m.voters, LIMITS.voters, 'voters'))
    for (const voter of m.voters) writeVoter(to, voter)
    to.u16(listLength(m.learners, LIMITS.nodes, 'learners'))
    for (const learner of m.learners) writeVoter(to, learner)
    to.u53(sizeField(m.offset))
    to.u53(sizeField(m.totalBytes))
    checkPart(m)
    to.u32(m.bytes.length)
    to.raw(m.bytes)
  },
  read(from) {
    const between = readBetween(from)
    const round = from.u53()
    const index = from.u53()
    const indexTerm = from.u53()
    const voters = readList<Voter>(from, from.u8(), 18, LIMITS.voters, 'voters', () => readVoter(from))
    const learners = readList<Voter>(from, from.u16(), 18, LIMITS.nodes, 'learners', () => readVoter(from))
    const offset = sizeField(from.u53())
    const totalBytes = sizeField(from.u53())
    const bytes = from.raw(from.u32())
    const part = { offset, totalBytes, bytes }
    checkPart(part)
    return { type: 'install-snapshot', ...between, round, index, indexTerm, voters, learners, ...part }
  },
}

/** A part lies inside its snapshot: the receiver lays it over what it has. */
function checkPart({ offset, totalBytes, bytes }: Pick<InstallSnapshot, 'offset' | 'totalBytes' | 'bytes'>): void {
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_PART_BYTES)
    throw badFrame(`a part of a snapshot must be at most ${MAX_PART_BYTES} bytes, not ${describe(bytes)}`)
  if (offset + bytes.length > totalBytes)
    throw badFrame(`a part that ends at ${offset + bytes.length} leaves its snapshot of ${totalBytes} bytes`)
}

export const RAFT_KINDS = {
  'ask-vote': askVoteKind,
  vote: voteKind,
  'append-entries': appendEntriesKind,
  appended: appendedKind,
  'install-snapshot': installSnapshotKind,
  'snapshot-received': snapshotReceivedKind,
  'lead-now': leadNowKind,
}
