import {
  type ClusterId,
  clusterGenerationOf,
  type Epoch,
  type ExtentId,
  epochOf,
  type NodeName,
  type Seq,
  type SessionId,
  type StoreId,
  type VolumeId,
} from './ids.ts'
import { secondOf } from './moments.ts'
import type { NodeEnd } from './node-ends.ts'
import type { VolumeRange } from './tombstones.ts'
import type { Bytes } from './units.ts'

/**
 * One start of one store, until it stops or is reopened. The counter rises by one, synced, at each start and each
 * reopen.
 */
export interface Incarnation {
  /**
   * Boot id of the operating system, `/`, and a random number for this start: printable ASCII, at most 64 characters.
   * Older builds write no number. Compared as a whole: the same counter with another text is another directory.
   */
  readonly bootId: string
  readonly counter: number
}

export type Trust = 'trusted' | 'suspect'
/** `down`: its lease ran out. `draining`: no command sets it yet. */
export type NodeState = 'up' | 'down' | 'draining'
export type AttachMode = 'exclusive' | 'read-only' | 'shared'

/** A voter of the control log. */
export interface Voter {
  readonly store: StoreId
  readonly address: string
}

/** A store and its address. The store is the identity; name and address may move to another store. */
export interface NodeRecord {
  readonly store: StoreId
  readonly name: NodeName
  /** host:port that peers and clients dial; empty once another store took over the address. */
  readonly address: string
  /** host:port of the HTTP API. */
  readonly api: string
  readonly incarnation: Incarnation
  readonly trust: Trust
  readonly state: NodeState
  /** Why it ended last, until it registers another incarnation (A2.23-2). Absent: it reported nothing. */
  readonly ended?: NodeEnd
  /** Map revision of the last change of this record: deltas are cut by it. */
  readonly changedAt: number
}

export interface Holder {
  readonly session: SessionId
  readonly mode: AttachMode
  /** What operators see as its name (host, program, pid); at most 255 characters. */
  readonly client: string
  /** When it requested the attachment: milliseconds since 1970 by the clock of that client. Since wire version 3. */
  readonly since?: number
  /**
   * The session renews its attachment, so that control notices when it is silent (A2.11-9, A2.11-12). Only control has
   * this: no map-update carries it.
   */
  readonly renews?: true
  /** Name that the program keeps when it starts again (A2.11-13). Only control has this. */
  readonly owner?: string
}

/** A holder as messages name it. */
export function holderText({ client, mode, since }: Holder): string {
  return `${client} (${mode}${since === undefined ? '' : `, since ${secondOf(since)}`})`
}

/**
 * What an attach does with holders whose sessions it would end (A2.11-11). `take`: ends them. `free`: is refused.
 * `silent`: ends those of its own owner and those that control has not heard of for TIMERS.holderHeardMs. `resume`: ends
 * those of its own owner, and is refused where there are none.
 */
export type AttachPolicy = 'take' | 'free' | 'silent' | 'resume'

export interface VolumeRecord {
  readonly id: VolumeId
  readonly name: string
  readonly sizeBytes: Bytes
  readonly blockSizeBytes: Bytes
  readonly extentSizeBytes: Bytes
  /** M */
  readonly replicas: number
  readonly minInSync: number
  /** Attachment generation: only rises. A write with a lower one is fenced. */
  readonly generation: number
  /** Sessions that hold the newest generation: one when exclusive, any number when shared. */
  readonly holders: readonly Holder[]
  readonly changedAt: number
}

export interface PrimaryRef {
  readonly store: StoreId
  /**
   * Start counter of the incarnation that the epoch belongs to: an epoch never outlives it. NO_INCARNATION: no primary.
   */
  readonly counter: number
}

/**
 * Start counter of no incarnation: the store lost committed data and released the extent, and no other store can serve
 * it; or none of its stores was among those that the cluster was recovered from (`isMissing`).
 */
export const NO_INCARNATION = 0

/**
 * True for an extent of which none of the stores was among those that the cluster was recovered from, until an operator forces
 * a primary (A2.18-6): nothing has raised its epoch yet.
 */
export function isMissing({ primary, epoch }: Pick<ExtentRecord, 'primary' | 'epoch'>): boolean {
  return primary.counter === NO_INCARNATION && epoch === epochOf(clusterGenerationOf(epoch), 1)
}

export interface ExtentRecord {
  readonly id: ExtentId
  /** extentRevision: counts every change of this record; each change is compare-and-set on it (A2.0-6). */
  readonly revision: number
  readonly epoch: Epoch
  readonly primary: PrimaryRef
  readonly inSync: readonly StoreId[]
  /** Kept after a shrink below minInSync: they hold every acknowledged write (CTL-2, CTL-5). */
  readonly eligible: readonly StoreId[]
  /** The M stores that should hold a replica. A member outside inSync is joining or out. */
  readonly assigned: readonly StoreId[]
  readonly changedAt: number
}

/** The store holds every acknowledged write of the extent, as far as control knows. */
export function countsIn({ inSync, eligible }: Pick<ExtentRecord, 'inSync' | 'eligible'>, store: StoreId): boolean {
  return inSync.includes(store) || eligible.includes(store)
}

/**
 * An operator made a store primary although it may lack acknowledged writes (A2.10), or control had a primary reconcile
 * suspect replicas (amendment 11). Data of an earlier epoch belongs to another timeline: it does not prove what was
 * committed.
 */
export interface ForcedPromotion {
  readonly extent: ExtentId
  /** The epoch in which that store was named; every epoch from it on is the new timeline. */
  readonly epoch: Epoch
  readonly store: StoreId
  /** Not forced: the extent was reconciled from suspect stores, which may have lost the same write. */
  readonly merged?: true
  /** An operator has acknowledged the loss: it is no warning any more. */
  readonly acknowledged: boolean
  readonly changedAt: number
}

/** What changed between two revisions of the map. `from` 0 is the whole map. */
export interface MapDelta {
  readonly cluster: ClusterId
  readonly clusterGeneration: number
  readonly from: number
  readonly to: number
  readonly voters: readonly Voter[]
  readonly nodes: readonly NodeRecord[]
  readonly volumes: readonly VolumeRecord[]
  readonly extents: readonly ExtentRecord[]
  /** Tombstones: volumes removed in between (with `from` 0: the latest). Their extents go with them. */
  readonly removedVolumes: readonly VolumeId[]
  /** Older tombstones, as ranges of numbers, ascending; absent when the receiver has them. */
  readonly removedRanges?: readonly VolumeRange[]
  /** The latest forced promotion of each extent; absent when there are none. */
  readonly forced?: readonly ForcedPromotion[]
  /** Stores that left the map, because no extent names them any more; absent when there are none. */
  readonly removedNodes?: readonly StoreId[]
  /** All stores that an operator declared lost and that some extent still names; absent when there are none. */
  readonly gone?: readonly StoreId[]
  /** Feature level of the cluster (amendment 24); absent: 0, or a link of wire version 2. */
  readonly featureLevel?: number
}

/** Kinds of a block's content, as stored and as sent. Numbers never change. */
export const BLOCK_ABSENT = 0
export const BLOCK_DATA = 1
export const BLOCK_ZERO = 2
export const BLOCK_TRIM = 3
export type BlockKind = typeof BLOCK_ABSENT | typeof BLOCK_DATA | typeof BLOCK_ZERO | typeof BLOCK_TRIM

/**
 * Name of the write that gave a block its content. Equal (epoch, seq) means equal bytes. Absent: kind BLOCK_ABSENT, all
 * 0.
 */
export interface BlockVersion {
  readonly epoch: Epoch
  readonly seq: Seq
  readonly kind: BlockKind
  /** crc32 of the whole block when kind is BLOCK_DATA, else 0. */
  readonly checksum: number
}

export const ABSENT_VERSION: BlockVersion = { epoch: 0 as Epoch, seq: 0 as Seq, kind: BLOCK_ABSENT, checksum: 0 }

export function sameVersion(a: BlockVersion, b: BlockVersion): boolean {
  return a.epoch === b.epoch && a.seq === b.seq && a.kind === b.kind && a.checksum === b.checksum
}

/** True when `a` was written after `b`: by epoch, then by seq. */
export function isHigher(a: Pick<BlockVersion, 'epoch' | 'seq'>, b: Pick<BlockVersion, 'epoch' | 'seq'>): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq)
}

/** Default minInSync: ceil(M / 2) (A2.10-4). */
export function defaultMinInSync(replicas: number): number {
  return Math.ceil(replicas / 2)
}
