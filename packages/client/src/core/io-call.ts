import type { BlockKind, Bytes, Millis, Piece } from '@ashlar/proto'
import type { AllocationRun, CallToken, ClientFailure } from './machine.ts'
import type { OpenVolume } from './open-volume.ts'
import type { PieceRequest } from './request.ts'
import type { IoKind } from './splitter.ts'

/** One read, write, zero or allocation call, from the caller's word until its last piece is resolved. */
export interface IoCall {
  readonly token: CallToken
  readonly kind: IoKind
  readonly volume: OpenVolume
  readonly offset: Bytes
  readonly length: Bytes
  /** Of a write; let go once the call is settled. */
  bytes: Uint8Array | undefined
  readonly checksums: readonly number[] | undefined
  /** Of a zero. */
  readonly blockKind: BlockKind | undefined
  /** Of a read. */
  readonly target: Uint8Array | undefined
  /** Of an allocation query: answers so far. */
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
  /** Set at the deadline or when given up: the call is settled then even if cancellations are not answered. */
  graceUntil: Millis | undefined
  /** Why the call fails once its pieces are resolved. No more pieces are cut. */
  failure: ClientFailure | undefined
  settled: boolean
}

/** Pieces after which a call that goes on and on gets its deadline anew. */
export const PIECES_PER_DEADLINE = 64

export function isMutation(call: IoCall): boolean {
  return call.kind === 'write' || call.kind === 'zero'
}

/** True when every byte of the call's range was answered. */
export function isComplete(call: IoCall): boolean {
  return call.appliedBytes === call.length
}

/** Requests count at least this much against the bytes in flight. */
const LEAST_COST_BYTES = 4096

export function costBytes(call: IoCall, length: Bytes): Bytes {
  return call.kind === 'read' || call.kind === 'write' ? Math.max(length, LEAST_COST_BYTES) : LEAST_COST_BYTES
}

export function discardedBlocks(call: IoCall, piece: Piece): number {
  return Math.ceil(piece.length / call.volume.record.blockSizeBytes)
}
