import type {
  AdminCommand,
  AdminDone,
  BlockIndex,
  BlockKind,
  BlockVersion,
  Bytes,
  ClusterId,
  Epoch,
  ExtentId,
  Incarnation,
  Message,
  Millis,
  NodeEndKind,
  NodeName,
  Seq,
  SessionId,
  SessionWindow,
  StoreId,
  Trust,
  Voter,
} from '@ashlar/proto'
import type { LogEntry } from './control/log/log-entry.ts'
import type { RaftOptions } from './raft/options.ts'
import type { HardState, PersistRequest, Snapshot } from './raft/stored.ts'

export type { LogEntry } from './control/log/log-entry.ts'

/**
 * The contract between the machines of a node and its shell. A machine is synchronous: `step(input)` changes its state
 * and returns effects. It has no clock, no I/O, no promise and no randomness except what inputs and options give it.
 * The shell (`pump.ts`) executes effects in order and returns each completion as an input. The simulator has a shell of
 * its own.
 */

/** Identifies one request to the shell until its completion. Unique within a process. */
export type Token = number
/** Identifies one connection, dialed or accepted. Never reused within a process. */
export type Link = number

// ---- what a store holds --------------------------------------------------------------------------------------------

/**
 * New content of one block. `bytes` is the whole block when kind is BLOCK_DATA; the machine does not change it
 * afterwards.
 */
export interface BlockChange {
  readonly block: BlockIndex
  readonly version: BlockVersion
  readonly bytes?: Uint8Array
}

/** The extent record under which a store acts, kept in the head so that a lost map can be rebuilt (amendment 16). */
export interface HeadRecord {
  readonly revision: number
  readonly epoch: Epoch
  readonly primary: StoreId
  readonly inSync: readonly StoreId[]
  readonly eligible: readonly StoreId[]
  readonly assigned: readonly StoreId[]
  readonly minInSync: number
  readonly blockSizeBytes: Bytes
  /** Bytes of this extent (the last one of a volume may be short). */
  readonly lengthBytes: Bytes
  readonly volumeName: string
  /** Epoch of the last forced promotion or reconciliation, which began its timeline; absent without one (A2.10). */
  readonly historyEpoch?: Epoch
}

/** Durable state of one replica besides its blocks. */
export interface Head {
  /** Writes of lower epochs are refused. */
  readonly promised: Epoch
  /** Highest epoch that this store itself led. */
  readonly led: Epoch
  readonly lastEpoch: Epoch
  readonly lastSeq: Seq
  readonly commitSeq: Seq
  /** Highest attachment generation under which an operation was applied here. */
  readonly generation: number
  readonly record: HeadRecord | undefined
}

/** A replica as it was when the store was opened. */
export interface StoredReplica {
  readonly extent: ExtentId
  readonly head: Head
  readonly windows: readonly SessionWindow[]
  /** Damaged blocks that are not repaired yet. */
  readonly damaged: readonly BlockIndex[]
}

/**
 * One atomic change of one replica. The store applies changes in the order of the effects; a completion means that this
 * change and all earlier ones are on stable storage (A2.14, amendment 6).
 */
export interface ReplicaChange {
  readonly extent: ExtentId
  readonly blocks: readonly BlockChange[]
  /** Parts of the head to replace. */
  readonly head: Partial<Head>
  /** An operation for the dedupe window, with its seq (amendment 13). */
  readonly operation?: {
    readonly session: SessionId
    readonly op: number
    readonly lowMark: number
    readonly generation: number
    readonly seq: Seq
    /** The operation was cancelled: it did not take effect and never will. */
    readonly cancel: boolean
    /** Range of blocks that it wrote. */
    readonly first: BlockIndex
    readonly count: number
  }
  /** Replaces every window. */
  readonly windows?: readonly SessionWindow[]
  /** The replica caught up with its primary (MARK): if it was suspect, it is cleared. */
  readonly marked?: true
}

/** A block as read from the store, which verified its checksum. */
export interface LoadedBlock {
  readonly block: BlockIndex
  readonly version: BlockVersion
  /** Present if and only if version.kind is BLOCK_DATA and the block is not damaged. Owned by the receiver. */
  readonly bytes?: Uint8Array
  /** The version says DATA, but bytes are missing or do not match the checksum. */
  readonly damaged: boolean
  /** A damaged block of which the store cannot know that the version is the last one: others were lost beside it (A2.17-6). */
  readonly unproven?: true
}

// ---- inputs --------------------------------------------------------------------------------------------------------

/**
 * The peer at the other end of a link. `wire`: the version that both sides speak on it; newer fields and kinds are not
 * sent.
 */
export type LinkPeer = { readonly wire: number } & (
  | {
      readonly kind: 'node'
      readonly store: StoreId
      readonly counter: number
      readonly address: string
      /** Feature level that its build supports (amendment 24). */
      readonly level: number
      /** Urgent messages have a connection of their own and never queue behind bulk (amendment 36). */
      readonly urgentLane?: boolean
    }
  | { readonly kind: 'client'; readonly name: string }
)

export type Input =
  | { readonly type: 'tick' }
  /** A connection passed its handshake. `direction` out: this node dialed it. */
  | {
      readonly type: 'link-up'
      readonly link: Link
      readonly direction: 'in' | 'out'
      readonly peer: LinkPeer
    }
  | { readonly type: 'link-down'; readonly link: Link }
  /** A valid message whose block checksums match. Byte arrays belong to the machine from here on. */
  | { readonly type: 'received'; readonly link: Link; readonly message: Message }
  /** Completion of `commit`. */
  | { readonly type: 'committed'; readonly token: Token }
  /** The store had a write error and acknowledges nothing from now on. The process ends; the store is compared at its next start. */
  | { readonly type: 'store-failed'; readonly reason: string; readonly kind?: 'disk-full' }
  /** Damaged blocks found by a scrub or for the API: no machine requested them. */
  | { readonly type: 'damage-found'; readonly extent: ExtentId; readonly blocks: readonly LoadedBlock[] }
  /**
   * The store lost data that it had acknowledged. Its next incarnation registers as suspect, which is on stable
   * storage; this one ends as soon as no extent would have to wait for it. `extent`: the one of which versions were lost.
   */
  | { readonly type: 'store-suspect'; readonly reason: string; readonly extent?: ExtentId }
  /**
   * The same in an incarnation that was opened as suspect, of one replica: it is compared again in this incarnation
   * (A2.17-5).
   */
  | { readonly type: 'versions-lost'; readonly extent: ExtentId; readonly reason: string }
  /**
   * The store was opened as suspect, and its next opening would be trusted: all its suspect replicas were compared or
   * dropped (A2.17-4).
   */
  | { readonly type: 'store-cleared' }
  | { readonly type: 'loaded'; readonly token: Token; readonly blocks: readonly LoadedBlock[] }
  /** Completion of `merge`. `damaged`: the base block is damaged and nothing was merged; `unproven` as of a LoadedBlock. */
  | {
      readonly type: 'merged'
      readonly token: Token
      readonly base: BlockVersion
      readonly damaged: boolean
      readonly unproven?: true
      readonly bytes: Uint8Array
      readonly checksum: number
    }
  /** Completion of `digests`: 16 bytes of the whole extent, and 16 bytes a leaf. */
  | { readonly type: 'digests'; readonly token: Token; readonly root: Uint8Array; readonly leaves: Uint8Array }
  | { readonly type: 'versions'; readonly token: Token; readonly leaves: readonly LeafVersions[] }
  | {
      readonly type: 'allocation'
      readonly token: Token
      readonly runs: readonly { readonly blocks: number; readonly kind: BlockKind }[]
    }
  /**
   * The process ends by its own decision, and this is its last input: the machine reports the reason (A2.23-1). `at`:
   * milliseconds since 1970.
   */
  | { readonly type: 'ending'; readonly kind: NodeEndKind; readonly reason: string; readonly at: number }
  /** Completion of `log-append`: this entry and all earlier ones are on stable storage. */
  | { readonly type: 'log-appended'; readonly index: number }
  /** Completion of `raft-persist`: the request with this token and all earlier ones are on stable storage. */
  | { readonly type: 'raft-persisted'; readonly token: number }
  /** Completion of `save-cluster`. */
  | { readonly type: 'cluster-saved' }
  /** A request of this node's HTTP API; the effect `admin-done` with the same token is its response. */
  | { readonly type: 'admin'; readonly token: Token; readonly command: AdminCommand }
  /** Hand over extents and leadership where another store can take them; the effect `handed-over` follows. */
  | { readonly type: 'shut-down' }

export interface LeafVersions {
  readonly leaf: number
  readonly versions: readonly (BlockVersion & { readonly block: BlockIndex })[]
}

// ---- effects -------------------------------------------------------------------------------------------------------

export type Effect =
  | { readonly type: 'send'; readonly link: Link; readonly message: Message }
  /** Close a connection; `link-down` follows. */
  | { readonly type: 'close-link'; readonly link: Link; readonly reason: string }
  /** The complete set of peer addresses to keep connected. Replaces the previous set. */
  | { readonly type: 'dial'; readonly addresses: readonly string[] }
  | { readonly type: 'commit'; readonly token: Token; readonly change: ReplicaChange }
  /** Read blocks as they are after every earlier `commit` effect. */
  | { readonly type: 'load'; readonly token: Token; readonly extent: ExtentId; readonly blocks: readonly BlockIndex[] }
  /**
   * Read-modify-write of one block: read it (absent reads as zeroes, state as for `load`), apply the patches in order,
   * and compute the checksum of the result. A patch without bytes is `length` zeroes.
   */
  | {
      readonly type: 'merge'
      readonly token: Token
      readonly extent: ExtentId
      readonly block: BlockIndex
      readonly patches: readonly { readonly offset: Bytes; readonly length: Bytes; readonly bytes?: Uint8Array }[]
    }
  | { readonly type: 'digests'; readonly token: Token; readonly extent: ExtentId }
  | { readonly type: 'versions'; readonly token: Token; readonly extent: ExtentId; readonly leaves: readonly number[] }
  | {
      readonly type: 'allocation'
      readonly token: Token
      readonly extent: ExtentId
      readonly firstBlock: BlockIndex
      readonly blocks: number
    }
  /**
   * Create a replica before the first `commit` for it; there is no completion. All its blocks are absent.
   */
  | {
      readonly type: 'create-replica'
      readonly extent: ExtentId
      readonly blockSizeBytes: Bytes
      readonly lengthBytes: Bytes
      readonly volumeName: string
    }
  /** Delete a replica and all its keys. The map has a tombstone of its volume. */
  | { readonly type: 'drop-replica'; readonly extent: ExtentId }
  /** Rewrite the bytes of a damaged block under its present version. Completion: `committed`. */
  | {
      readonly type: 'repair'
      readonly token: Token
      readonly extent: ExtentId
      readonly block: BlockIndex
      readonly version: BlockVersion
      readonly bytes: Uint8Array
    }
  /**
   * Cut `blocks` (whole, in order) to the byte range, compute a checksum for each part, send `read-done`. Zero blocks
   * become holes.
   */
  | {
      readonly type: 'reply-read'
      readonly link: Link
      readonly request: number
      readonly blockSizeBytes: Bytes
      readonly offset: Bytes
      readonly length: Bytes
      readonly blocks: readonly LoadedBlock[]
    }
  /** Append to the control log and sync it. Completion: `log-appended`. */
  | { readonly type: 'log-append'; readonly index: number; readonly entry: LogEntry }
  /** Execute a storage request of raft, after all earlier ones. Completion: `raft-persisted`. */
  | { readonly type: 'raft-persist'; readonly request: PersistRequest }
  /** Write the cluster of this store into its identity file and sync it. Completion: `cluster-saved`. */
  | {
      readonly type: 'save-cluster'
      readonly cluster: ClusterId
      readonly voters: readonly Voter[]
      readonly founded: boolean
    }
  /**
   * Write the feature level of the cluster into the identity file, before any later effect (amendment 24). There is no
   * completion.
   */
  | { readonly type: 'save-level'; readonly level: number }
  | { readonly type: 'admin-done'; readonly token: Token; readonly done: Omit<AdminDone, 'type' | 'request'> }
  | { readonly type: 'handed-over' }
  /** A log line and metrics. Never read back. */
  | { readonly type: 'event'; readonly event: MachineEvent }
  /** The process must end: the input `ending` follows, and no other. */
  | { readonly type: 'fatal'; readonly kind: NodeEndKind; readonly reason: string }

/** A log line, and a metric where one of that name exists. `level` is pino's. */
export interface MachineEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly what: string
  readonly extent?: ExtentId
  readonly store?: StoreId
  readonly [detail: string]: unknown
}

// ---- composition ---------------------------------------------------------------------------------------------------

/** What the shell read from the data directory and from the options. */
export interface NodeStart {
  readonly store: StoreId
  readonly name: NodeName
  /** Advertised peer address, host:port. */
  readonly address: string
  readonly api: string
  readonly incarnation: Incarnation
  readonly trust: Trust
  /** The cluster of this store; undefined before it joins one. */
  readonly cluster: ClusterId | undefined
  readonly voters: readonly Voter[]
  /** This store bootstrapped its cluster, so that it must have the control log. */
  readonly founded: boolean
  /** Peer addresses from --peers, sorted, including this node's own. */
  readonly peers: readonly string[]
  /** How many peers must respond before a cluster is bootstrapped (--expect); 1 with --init. */
  readonly expect: number
  readonly replicas: readonly StoredReplica[]
  /** Entries of the control log on this store, in order, from index 1 or from the snapshot's next; may be empty. */
  readonly log: readonly LogEntry[]
  readonly snapshot?: Snapshot | undefined
  /** Term and vote of this store; undefined before it took part in raft. */
  readonly hardState?: HardState | undefined
  /** Most voters of a cluster that is bootstrapped here; absent: 1. */
  readonly voterCount?: number
  /** Options of raft that differ from the defaults: simulated clusters take snapshots of short logs. */
  readonly logOptions?: Partial<RaftOptions>
  /** Feature level of the data directory (amendment 24); absent: 0. */
  readonly featureLevel?: number
  /** Feature level that this build supports; absent: FEATURE_LEVEL. A simulated older build supports a lower one. */
  readonly knows?: number
  /** Seed of this process's random sequence, from 0 to 2^32 - 1. */
  readonly seed: number
}

/** Details of an event; none may replace its level or its name. */
export type EventDetails = Readonly<Record<string, unknown>> & { readonly level?: never; readonly what?: never }

/** What each step gives to the machines inside the node machine. */
export interface Context {
  /** Monotonic time of this step. */
  readonly now: Millis
  emit(effect: Effect): void
  /** A new token. */
  token(): Token
  /** A number from 0 (included) to 1 (excluded). */
  random(): number
  event(level: MachineEvent['level'], what: string, details?: EventDetails): void
}
