import type { BlockIndex, BlockVersion, Epoch, Message, Push, Replicate, Seq } from '@ashlar/proto'
import type { ExtentState } from './extent-state.ts'
import type { PendingWrite } from './window.ts'

/** Which stream a message is for. */
type StreamName = Pick<Push, 'extent' | 'epoch' | 'gen'>

/** One block as it is at the primary; `push` counts within the stream. */
export function pushOf(
  stream: StreamName,
  push: number,
  block: BlockIndex,
  version: BlockVersion,
  bytes?: Uint8Array,
): Push {
  return {
    type: 'push',
    ...stream,
    push,
    block,
    versionEpoch: version.epoch,
    versionSeq: version.seq,
    kind: version.kind,
    checksum: version.checksum,
    ...(bytes === undefined ? {} : { bytes }),
  }
}

/** The copy is complete: the whole state of the primary. */
export function markOf(stream: StreamName, { lastEpoch, lastSeq, commitSeq, windows }: ExtentState): Message {
  return { type: 'mark', ...stream, lastEpoch, lastSeq, commitSeq, windows: windows.snapshot() }
}

/** A write that follows the named one. */
export function replicateOf(
  stream: StreamName,
  write: PendingWrite,
  previous: { readonly epoch: Epoch; readonly seq: Seq },
  commitSeq: Seq,
): Replicate {
  return {
    type: 'replicate',
    ...stream,
    seq: write.seq,
    prevEpoch: previous.epoch,
    prevSeq: previous.seq,
    commitSeq,
    cancel: write.cancel,
    ...(write.operation === undefined ? {} : { operation: write.operation }),
    blocks: write.blocks.map((change) => ({
      block: change.block,
      kind: change.version.kind,
      checksum: change.version.checksum,
      ...(change.bytes === undefined ? {} : { bytes: change.bytes }),
    })),
  }
}
