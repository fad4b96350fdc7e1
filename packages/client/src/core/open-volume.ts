import type { AttachMode, Bytes, Epoch, ExtentId, Millis, Piece, VolumeRecord } from '@ashlar/proto'
import { CallQueue } from './call-queue.ts'
import { DiscardWindow } from './discard-window.ts'
import type { Pool } from './in-flight.ts'
import type {
  AllocationRun,
  CallToken,
  ClientFailure,
  ClientLink,
  DiscardKind,
  VolumeHandle,
  WaitReason,
} from './machine.ts'
import { type RangeClaim, RangeLocks } from './range-lock.ts'
import type { Session } from './session.ts'
import type { IoKind } from './splitter.ts'

/*
 * What a client holds of an open volume: the volume, its calls, and the pieces of the calls. The three refer to each
 * other.
 */

/** A flush waits for every mutation with a lower order. */
export interface FlushCall {
  readonly token: CallToken
  readonly order: number
  readonly deadline: Millis
}

/** One open volume of one client: its session, its calls, its locks. */
export interface OpenVolume {
  readonly handle: VolumeHandle
  readonly mode: AttachMode
  /** Absent for a read-only volume. */
  readonly session: Session | undefined
  /** As the map has it now. */
  record: VolumeRecord
  state: 'open' | 'closing' | 'ended'
  /** What calls fail with once the volume ended. */
  ended: ClientFailure | undefined
  /** A response said FENCED, and the map that names the new holder is requested. */
  fencing: boolean
  closing: { readonly token: CallToken; readonly limit: Millis; detaching: boolean } | undefined
  nextOrder: number
  /** When its session renews its attachment next, if it does. */
  renewAt: Millis
  /** Calls with pieces to cut, in each extent first come, first served. */
  readonly queue: CallQueue<IoCall>
  readonly discardWindow: DiscardWindow
  /** Calls that are not settled. */
  readonly calls: Set<IoCall>
  /** Those of `calls` that change the volume, in order. */
  readonly mutations: Set<IoCall>
  readonly flushes: Set<FlushCall>
  readonly locks: RangeLocks<PieceRequest>
  /** Extents that requests went to: links to their primaries are kept. */
  readonly touched: Set<ExtentId>
  /** Extents with a `waiting` event out. */
  readonly waiting: Set<ExtentId>
}

/** One read, write, discard or allocation query, from the call until its last piece is resolved. */
export interface IoCall {
  readonly token: CallToken
  readonly kind: IoKind
  readonly volume: OpenVolume
  readonly offset: Bytes
  readonly length: Bytes
  /** Of a write; cleared when the call is settled. */
  bytes: Uint8Array | undefined
  readonly checksums: readonly number[] | undefined
  /** Of a discard. */
  readonly discardKind: DiscardKind | undefined
  /** Of a read. */
  readonly target: Uint8Array | undefined
  /** Of an allocation query: responses so far. */
  readonly runs: { readonly at: Bytes; readonly runs: readonly AllocationRun[] }[]
  /** Bytes that were cut into pieces so far. */
  cursor: Bytes
  /** Pieces that are not resolved. */
  readonly pieces: Set<PieceRequest>
  appliedPieces: number
  appliedBytes: Bytes
  /** Position among the calls of the volume. */
  readonly order: number
  deadline: Millis
  /** Set at the deadline or at an abort: the call is settled then, even if its cancellations have no response yet. */
  graceUntil: Millis | undefined
  /** Why the call fails once its pieces are resolved. No more pieces are cut. */
  failure: ClientFailure | undefined
  settled: boolean
}

/**
 * One piece of one call on its way: one operation at one primary.
 *
 *   new ──(range lock)──▶ held ◀──▶ sent ──▶ resolved
 *
 * `new` waits for an earlier overlapping write. `held` waits for a link, a map change or `wakeAt`. `sent` waits for the
 * answer, until `wakeAt` at the latest. A write that was sent leaves only by a response that settles it.
 */
export interface PieceRequest {
  readonly call: IoCall
  readonly piece: Piece
  /** Number of the operation, kept by every retry; undefined for reads and queries. */
  readonly op: number | undefined
  readonly claim: RangeClaim<PieceRequest> | undefined
  state: 'new' | 'held' | 'sent' | 'resolved'
  /** CANCEL is sent in place of the operation from now on. */
  cancelling: boolean
  /** Times that the operation itself was sent. */
  sends: number
  refusals: number
  /** Numbers under which an answer may still come. */
  readonly numbers: Set<number>
  /** Of the newest attempt. */
  number: number
  link: ClientLink | undefined
  sentAt: Millis
  sentEpoch: Epoch
  wakeAt: Millis
  /** Since when it has waited without an answer that settles it, and why. */
  waitingSince: Millis
  reason: WaitReason | undefined
  /** Bytes that it counts against LIMITS.clientInFlightBytes; 0 once given back. */
  costBytes: number
  readonly pool: Pool
}

export function openVolume(given: Pick<OpenVolume, 'handle' | 'mode' | 'session' | 'record'>): OpenVolume {
  return {
    ...given,
    state: 'open',
    ended: undefined,
    fencing: false,
    closing: undefined,
    nextOrder: 1,
    renewAt: 0,
    queue: new CallQueue(),
    discardWindow: new DiscardWindow(),
    calls: new Set(),
    mutations: new Set(),
    flushes: new Set(),
    locks: new RangeLocks(),
    touched: new Set(),
    waiting: new Set(),
  }
}
