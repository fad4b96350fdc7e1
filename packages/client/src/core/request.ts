import {
  BLOCK_ZERO,
  type ClientRequest,
  type Epoch,
  type ExtentRecord,
  invariant,
  type Millis,
  type Piece,
} from '@ashlar/proto'
import type { IoCall } from './io-call.ts'
import type { ClientLink, WaitReason } from './machine.ts'
import type { RangeClaim } from './range-lock.ts'
import { pieceChecksums, queriedBlocks } from './splitter.ts'

/**
 * One piece of one call on its way: one operation at one primary.
 *
 *   new ──(range lock)──▶ held ◀──▶ sent ──▶ resolved
 *
 * `new` waits for an earlier overlapping write. `held` waits for a link, a map change or `wakeAt`. `sent` waits for the
 * answer, until `wakeAt` at the latest. A write that was ever sent leaves by an answer that settles it, and only so.
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
}

/** True when the primary may have got the operation: only an answer tells whether it took effect. */
export function mayTakeEffect(request: PieceRequest): boolean {
  return request.op !== undefined && request.sends > 0
}

/** The message of the next attempt, to the primary that `record` names. */
export function requestMessage(request: PieceRequest, record: ExtentRecord, number: number): ClientRequest {
  const { call, piece, op } = request
  const session = call.volume.session
  const head = { request: number, extent: piece.extent, epoch: record.epoch }
  const range = { offset: piece.offset, length: piece.length }
  if (call.kind === 'read') return { type: 'read', ...head, ...range, generation: session?.generation ?? 0 }
  const blockSizeBytes = call.volume.record.blockSizeBytes
  if (call.kind === 'allocation') return { type: 'query-allocation', ...head, ...queriedBlocks(blockSizeBytes, piece) }
  invariant(session !== undefined && op !== undefined, 'a change without a session reached the network')
  const operation = session.operation(piece.extent, op)
  if (request.cancelling) return { type: 'cancel', ...head, operation }
  if (call.kind === 'zero') return { type: 'zero', ...head, ...range, operation, kind: call.blockKind ?? BLOCK_ZERO }
  invariant(call.bytes !== undefined && call.checksums !== undefined, 'a write lost its bytes')
  return {
    type: 'write',
    ...head,
    operation,
    offset: piece.offset,
    checksums: pieceChecksums(call.checksums, blockSizeBytes, call.offset, piece),
    payload: call.bytes.subarray(piece.at, piece.at + piece.length),
  }
}
