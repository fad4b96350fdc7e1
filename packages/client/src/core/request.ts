import { BLOCK_TRIM, BLOCK_ZERO, type BlockKind, type ClientRequest, type ExtentRecord, invariant } from '@ashlar/proto'
import type { DiscardKind } from './machine.ts'
import type { PieceRequest } from './open-volume.ts'
import { pieceChecksums, queriedBlocks } from './splitter.ts'

/** Kinds of blocks as messages have them. */
const BLOCK_KINDS: Readonly<Record<DiscardKind, BlockKind>> = { trim: BLOCK_TRIM, zero: BLOCK_ZERO }

/** True when the primary may have the operation: only a response decides whether it took effect. */
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
  if (call.discardKind !== undefined)
    return { type: 'zero', ...head, ...range, operation, kind: BLOCK_KINDS[call.discardKind] }
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
