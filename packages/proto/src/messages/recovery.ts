import type { Epoch, ExtentId, Seq, SessionId, StoreId } from '../ids.ts'
import type { BlockVersion } from '../map.ts'
import type { BlockIndex } from '../units.ts'

/**
 * An operation that a replica applied, its seq, and the blocks that lie between the first and the last that it wrote.
 */
export type AppliedOperation = readonly [op: number, seq: Seq, first: BlockIndex, count: number]

/** Operations of one session that a replica applied and that are not yet below its low mark. */
export interface SessionWindow {
  readonly session: SessionId
  readonly generation: number
  readonly lowMark: number
  /** By operation number. */
  readonly applied: readonly AppliedOperation[]
  /** Those of `applied` that are cancellations: the operation itself never took effect and never will. */
  readonly cancelled: readonly number[]
}

/** primary -> replica: opens the stream (epoch, gen) on this connection (A2.4 S-1). */
export interface Open {
  readonly type: 'open'
  readonly extent: ExtentId
  readonly epoch: Epoch
  /** Rises with each open of the same primary incarnation to the same store. */
  readonly gen: number
  readonly primaryStore: StoreId
  readonly replicaStore: StoreId
  /** Start counter of the replica's incarnation, as the handshake of the connection gave it. */
  readonly replicaCounter: number
  /** The replica may be the next primary (amendment 25). Absent from an older primary: the replica uses its own map. */
  readonly counts?: boolean
}

/** replica -> primary, once `promised` is durable: what it holds (S-2). */
export interface Opened {
  readonly type: 'opened'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly lastEpoch: Epoch
  readonly lastSeq: Seq
  readonly commitSeq: Seq
  /** Digest of the whole extent: 16 bytes. */
  readonly digest: Uint8Array
  /** Blocks that are damaged on this replica: the primary copies them whatever their version is. */
  readonly damaged: readonly BlockIndex[]
}

/** replica -> primary: the stream is not opened. */
export interface OpenRefused {
  readonly type: 'open-refused'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly reason: 'fenced' | 'wrong-store' | 'older-stream' | 'poisoned'
  readonly promised: Epoch
}

/** primary -> replica, and the response: 16 bytes a leaf, leaves in order. */
export interface GetDigests {
  readonly type: 'get-digests'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  /** What the primary applied: the replica drops any other operation with the first of its blocks (amendment 13). */
  readonly windows: readonly SessionWindow[]
}
export interface Digests {
  readonly type: 'digests'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly leaves: Uint8Array
}

/** primary -> replica, and the response, one for each leaf: the versions of every block under it that has one. */
export interface GetVersions {
  readonly type: 'get-versions'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly leaves: readonly number[]
}
export interface Versions {
  readonly type: 'versions'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly leaf: number
  readonly versions: readonly (BlockVersion & { readonly block: BlockIndex })[]
}

/** reconciling primary -> suspect replica, and the response: the operations that it remembers (A2.17-3, A2.11-4). */
export interface GetWindows {
  readonly type: 'get-windows'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
}
export interface Windows {
  readonly type: 'windows'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly windows: readonly SessionWindow[]
}

/** primary -> replica: the copy is complete, from here on the stream is gapless (S-3). */
export interface Mark {
  readonly type: 'mark'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly lastEpoch: Epoch
  readonly lastSeq: Seq
  readonly commitSeq: Seq
  /** Dedupe windows: a replica that was down must not execute a retry of an applied operation. */
  readonly windows: readonly SessionWindow[]
}

/** replica -> primary: the response to a frame of an older epoch; that primary steps down (A2.3-7). */
export interface Fenced {
  readonly type: 'fenced'
  readonly extent: ExtentId
  readonly promised: Epoch
}

/** either way: this stream is closed (gap, full queue, checksum). The primary opens it again with gen + 1 (S-5). */
export interface StreamClosed {
  readonly type: 'stream-closed'
  readonly extent: ExtentId
  readonly epoch: Epoch
  readonly gen: number
  readonly reason: string
}

/** any replica -> in-sync replica, and the response: one block with exactly this version, to repair a damaged one. */
export interface FetchBlock {
  readonly type: 'fetch-block'
  readonly request: number
  readonly extent: ExtentId
  readonly block: BlockIndex
  readonly versionEpoch: Epoch
  readonly versionSeq: Seq
}
export interface FetchedBlock {
  readonly type: 'fetched-block'
  readonly request: number
  readonly checksum: number
  /** Absent when the replica has no good copy of that version. */
  readonly bytes?: Uint8Array
}

/**
 * primary -> every member of its ackSet, while its lease does not hold. The response has the epoch that the store
 * promised last, which is that of this primary if no other one was named (amendment 8).
 */
export interface Confirm {
  readonly type: 'confirm'
  readonly extent: ExtentId
  readonly epoch: Epoch
  /** Rises with each round of one primary; echoed. */
  readonly round: number
  /**
   * Present: a notice without a response. The extent has had no write for a while, and writes are committed up to here.
   * Not sent over a link of an older wire version.
   */
  readonly commitSeq?: Seq
}
export interface Confirmed {
  readonly type: 'confirmed'
  readonly extent: ExtentId
  readonly round: number
  /** The epoch that the store promised last. */
  readonly promised: Epoch
}

export type RecoveryMessage =
  | Open
  | Opened
  | OpenRefused
  | GetDigests
  | Digests
  | GetVersions
  | Versions
  | GetWindows
  | Windows
  | Mark
  | Fenced
  | StreamClosed
  | FetchBlock
  | FetchedBlock
  | Confirm
  | Confirmed
