import type { Epoch, ExtentId, Seq, SessionId } from '../ids.ts'
import type { BlockKind } from '../map.ts'
import type { StoreSpace } from '../store-space.ts'
import type { BlockIndex, Bytes } from '../units.ts'

/**
 * Block traffic between a client and the primary of an extent. Fixed binary headers with raw payload on the wire.
 * `request` is a number that the client chooses and the response echoes; it has no meaning on another connection.
 */

/** Name of an operation, kept by every retry of it. */
export interface Operation {
  readonly session: SessionId
  /** 1, 2, 3, … within the session. */
  readonly op: number
  /** Every operation of this session below this number is resolved: its id may be forgotten (amendment 13). */
  readonly lowMark: number
  /** Attachment generation under which it was issued. */
  readonly generation: number
}

/** client -> primary. One piece: inside one extent, at most LIMITS.pieceBytes. */
export interface Write {
  readonly type: 'write'
  readonly request: number
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly operation: Operation
  /** Bytes from the start of the extent, any alignment. */
  readonly offset: Bytes
  /** crc32 of each part that `splitBlocks(blockSizeBytes, offset, payload.length)` gives, in that order. */
  readonly checksums: readonly number[]
  readonly payload: Uint8Array
}

/** client -> primary: a discard of at most LIMITS.zeroBlocks blocks. Unaligned edges are zeroed too. */
export interface Zero {
  readonly type: 'zero'
  readonly request: number
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly operation: Operation
  readonly offset: Bytes
  readonly length: Bytes
  /** BLOCK_TRIM or BLOCK_ZERO: the kind that whole blocks get. */
  readonly kind: BlockKind
}

/** client -> primary. At most LIMITS.pieceBytes. */
export interface Read {
  readonly type: 'read'
  readonly request: number
  readonly extent: ExtentId
  readonly epoch: Epoch
  /** Generation of an exclusive or shared reader; 0 for a read-only one, which is never fenced. */
  readonly generation: number
  readonly offset: Bytes
  readonly length: Bytes
}

/** client -> primary: which blocks hold data. The response is `allocation`. */
export interface QueryAllocation {
  readonly type: 'query-allocation'
  readonly request: number
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly firstBlock: BlockIndex
  readonly blocks: number
}

/**
 * client -> primary, after a deadline: settles the operation. Response: OK (it was applied) or CANCELLED (it never will
 * be).
 */
export interface Cancel {
  readonly type: 'cancel'
  readonly request: number
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly operation: Operation
}

/** primary -> client: outcome of a write, zero or cancel; of a read or query that failed. */
export interface Answer {
  readonly type: 'answer'
  readonly request: number
  /** Number of an error code; 0 is success. */
  readonly code: number
  /** Newest epoch of the extent that the node knows. */
  readonly epoch: Epoch
}

/** A run of the response to a read. Without bytes it reads as zeroes. */
export interface ReadPart {
  readonly length: Bytes
  /** crc32 of `bytes`; 0 for zeroes. */
  readonly checksum: number
  readonly bytes?: Uint8Array
}

/** primary -> client: parts in order, their lengths sum up to the request's. */
export interface ReadDone {
  readonly type: 'read-done'
  readonly request: number
  readonly parts: readonly ReadPart[]
}

/** primary -> client: runs of blocks in order, from the query's first block. */
export interface Allocation {
  readonly type: 'allocation'
  readonly request: number
  readonly runs: readonly { readonly blocks: number; readonly kind: BlockKind }[]
}

export type ClientRequest = Write | Zero | Read | QueryAllocation | Cancel
export type ClientResponse = Answer | ReadDone | Allocation

/** One block of a replicated write, with its new content. */
export interface ReplicatedBlock {
  readonly block: BlockIndex
  readonly kind: BlockKind
  readonly checksum: number
  /** The whole block when kind is BLOCK_DATA. */
  readonly bytes?: Uint8Array
}

/** primary -> replica, REP of A2.4: gapless, in seq order, on the stream that carried the MARK. */
export interface Replicate {
  readonly type: 'replicate'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly seq: Seq
  readonly prevEpoch: Epoch
  readonly prevSeq: Seq
  readonly commitSeq: Seq
  /** Absent for START. */
  readonly operation?: Operation
  /** This entry cancels `operation`: it has no blocks, and the operation is refused from then on (amendment 13). */
  readonly cancel: boolean
  readonly blocks: readonly ReplicatedBlock[]
}

/** primary -> joining replica: the whole block as it is at the primary, or absent (A2.9-2). No seq check. */
export interface Push {
  readonly type: 'push'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  /** 1, 2, 3, … within the stream; acknowledged by Ack.push. */
  readonly push: number
  readonly block: BlockIndex
  readonly versionEpoch: Epoch
  readonly versionSeq: Seq
  readonly kind: BlockKind
  readonly checksum: number
  readonly bytes?: Uint8Array
}

/** replica -> primary: everything up to here is on stable storage. Cumulative. */
export interface Ack {
  readonly type: 'ack'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  /** Highest seq made durable by REP or MARK on this stream; 0 before the MARK. */
  readonly seq: Seq
  readonly push: number
  /** The MARK is durable. */
  readonly marked: boolean
  /** Free bytes of the replica's disk, and its space by its own reserves (amendment 17). */
  readonly freeBytes: Bytes
  readonly space: StoreSpace
}

/** peer -> peer over an idle link: a peer that sends no frame is silent. */
export interface Ping {
  readonly type: 'ping'
}

export type PeerData = Replicate | Push | Ack | Ping
