import type { Bytes, Piece } from '@ashlar/proto'
import type { IoCall } from './open-volume.ts'

/** Pieces after which the deadline of a long call is set again. */
export const PIECES_PER_DEADLINE = 64

export function isMutation(call: IoCall): boolean {
  return call.kind === 'write' || call.kind === 'discard'
}

/** True when every byte of the call's range has its response. */
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
