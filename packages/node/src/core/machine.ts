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
 * The contract between the machines of a node and its shell. A machine is synchronous and total: `step(input)` changes
 * state and returns effects; it has no clock, no I/O, no promise and no randomness but what inputs and options give it.
 * The shell (`pump.ts`) decides nothing: it carries effects out in the order in which they were returned and brings
 * every completion back as an input. The simulator puts its own shell under the same machines.
 */

/** Names one request to the shell until its completion comes back. Unique within a process. */
export type Token = number
/** Names one connection, dialed or accepted, for as long as it lives. Never used again within a process. */
export type Link = number

// ---- what a store holds -------------------------------------------------------------------------------------------

/** New content of one block. `bytes` is the whole block when kind is BLOCK_DATA; the machine never changes it afterwards. */
export interface BlockChange {
  readonly block: BlockIndex
  readonly version: BlockVersion
  readonly bytes?: Uint8Array
}

/** The record under which a store acts, kept in its extent head so that a lost map can be rebuilt (amendment 16). */
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
  /** Epoch in which a person began its history anew; absent when nobody ever did (A2.10). */
  readonly historyEpoch?: Epoch
}

/** Durable state of one replica beside its blocks. */
export interface Head {
  /** Nothing of a lower epoch is applied any more. */
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

/** What opening a store gives for each replica that it holds. */
export interface StoredReplica {
  readonly extent: ExtentId
  readonly head: Head
  readonly windows: readonly SessionWindow[]
  /** Blocks that were found damaged and not yet repaired. */
  readonly damaged: readonly BlockIndex[]
}

/**
 * One atomic change of one replica. The store applies changes in the order of the effects; a completion means that this
 * change and every change before it are on stable storage (A2.14, amendment 6).
 */
export interface ReplicaChange {
  readonly extent: ExtentId
  readonly blocks: readonly BlockChange[]
  /** Parts of the head to replace. */
  readonly head: Partial<Head>
  /** An operation to remember (amendment 13), with the seq that it got. */
  readonly operation?: {
    readonly session: SessionId
    readonly op: number
    readonly lowMark: number
    readonly generation: number
    readonly seq: Seq
    /** The operation is cancelled: remembered as one that never took effect and never will. */
    readonly cancel: boolean
    /** The blocks from the first to the last that it wrote. */
    readonly first: BlockIndex
    readonly count: number
  }
  /** Replaces every window. */
  readonly windows?: readonly SessionWindow[]
  /** The replica is as good as its primary from here on (MARK): a suspect one is in doubt no more. */
  readonly marked?: true
}

/** A block as a store gives it back. Its checksum was verified. */
export interface LoadedBlock {
  readonly block: BlockIndex
  readonly version: BlockVersion
  /** Present exactly when version.kind is BLOCK_DATA and the block is not damaged. Owned by the receiver. */
  readonly bytes?: Uint8Array
  /** The version says DATA, but bytes are missing or do not match the checksum. */
  readonly damaged: boolean
}

// ---- inputs ---------------------------------------------------------------------------------------------------------

/**
 * Who is at the other end of a link. `wire`: the version that both speak on it, so that a machine knows what cannot travel
 * there.
 */
export type LinkPeer = { readonly wire: number } & (
  | {
      readonly kind: 'node'
      readonly store: StoreId
      readonly counter: number
      readonly address: string
      /** Feature level that its build knows (amendment 24). */
      readonly level: number
      /** What is urgent has a connection of its own: it never waits behind bulk (amendment 36). */
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
  /** The store met a write error and acknowledges nothing any more. The process will end or reopen the store. */
  | { readonly type: 'store-failed'; readonly reason: string }
  /** The store found damaged blocks by itself, in a scrub or for the API: no machine waits for them. */
  | { readonly type: 'damage-found'; readonly extent: ExtentId; readonly blocks: readonly LoadedBlock[] }
  /**
   * The store found that it cannot be trusted any more; its next life registers as suspect, which is on stable storage. This
   * life ends as soon as nobody would wait for it.
   */
  | { readonly type: 'store-suspect'; readonly reason: string }
  /** The store was opened as suspect, and its next opening would be trusted: all its suspect replicas were compared or dropped (A2.17-4). */
  | { readonly type: 'store-cleared' }
  | { readonly type: 'loaded'; readonly token: Token; readonly blocks: readonly LoadedBlock[] }
  /** Completion of `merge`. `damaged`: the base block was damaged, nothing was merged. */
  | {
      readonly type: 'merged'
      readonly token: Token
      readonly base: BlockVersion
      readonly damaged: boolean
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
  /** Completion of `log-append`: this entry and all before it are on stable storage. */
  | { readonly type: 'log-appended'; readonly index: number }
  /** Completion of `raft-persist`: the request with this token and all before it are on stable storage. */
  | { readonly type: 'raft-persisted'; readonly token: number }
  /** Completion of `save-cluster`. */
  | { readonly type: 'cluster-saved' }
  /** A request from this node's own HTTP API; answered by the effect `admin-done` with the same token. */
  | { readonly type: 'admin'; readonly token: Token; readonly command: AdminCommand }
  /** Hand over what can be handed over; the shell ends the process after the effect `handed-over`. */
  | { readonly type: 'shut-down' }

export interface LeafVersions {
  readonly leaf: number
  readonly versions: readonly (BlockVersion & { readonly block: BlockIndex })[]
}

// ---- effects --------------------------------------------------------------------------------------------------------

export type Effect =
  | { readonly type: 'send'; readonly link: Link; readonly message: Message }
  /** Close a connection; `link-down` follows. */
  | { readonly type: 'close-link'; readonly link: Link; readonly reason: string }
  /** The complete set of peer addresses to keep a dialed connection to. Replaces the set before. */
  | { readonly type: 'dial'; readonly addresses: readonly string[] }
  | { readonly type: 'commit'; readonly token: Token; readonly change: ReplicaChange }
  /** Read blocks, in the state after every `commit` effect before this one. */
  | { readonly type: 'load'; readonly token: Token; readonly extent: ExtentId; readonly blocks: readonly BlockIndex[] }
  /**
   * Read one block (absent reads as zeroes), lay the patches over it in order, checksum the result. Same state as `load`.
   * A patch without bytes is `length` zeroes.
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
   * Make a replica known to the store before anything else of it is committed; no completion of its own. All its blocks
   * are absent. Sizes are needed for leaves and loads.
   */
  | {
      readonly type: 'create-replica'
      readonly extent: ExtentId
      readonly blockSizeBytes: Bytes
      readonly lengthBytes: Bytes
      readonly volumeName: string
    }
  /** Delete a replica and all its keys: the map holds a tombstone of its volume. */
  | { readonly type: 'drop-replica'; readonly extent: ExtentId }
  /** Write new bytes over a damaged block with exactly this version, which does not change. Completion: `committed`. */
  | {
      readonly type: 'repair'
      readonly token: Token
      readonly extent: ExtentId
      readonly block: BlockIndex
      readonly version: BlockVersion
      readonly bytes: Uint8Array
    }
  /** Cut `blocks` (whole blocks, in order) to the byte range, checksum each part, send `read-done`. Zero blocks become holes. */
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
  /** Carry out a request of the control log over several voters, after every one before it. Completion: `raft-persisted`. */
  | { readonly type: 'raft-persist'; readonly request: PersistRequest }
  /** Write the cluster that this store belongs to into its identity, synced. Completion: `cluster-saved`. */
  | {
      readonly type: 'save-cluster'
      readonly cluster: ClusterId
      readonly voters: readonly Voter[]
      readonly founded: boolean
    }
  /**
   * Write the feature level of the cluster into the identity of the store, before anything that is handed over later
   * (amendment 24); no completion of its own.
   */
  | { readonly type: 'save-level'; readonly level: number }
  | { readonly type: 'admin-done'; readonly token: Token; readonly done: Omit<AdminDone, 'type' | 'request'> }
  | { readonly type: 'handed-over' }
  /** For people: a log line and metrics. Never read back. */
  | { readonly type: 'event'; readonly event: MachineEvent }
  /** The process cannot go on. */
  | { readonly type: 'fatal'; readonly reason: string }

/** Something worth a log line or a metric. `level` is pino's; labels are metric labels where a metric of that name exists. */
export interface MachineEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly what: string
  readonly extent?: ExtentId
  readonly store?: StoreId
  readonly [detail: string]: unknown
}

// ---- composition ----------------------------------------------------------------------------------------------------

/** What the shell knows when it builds the machines: read from the opened data directory and from the options. */
export interface NodeStart {
  readonly store: StoreId
  readonly name: NodeName
  /** Advertised peer address, host:port. */
  readonly address: string
  readonly api: string
  readonly incarnation: Incarnation
  readonly trust: Trust
  /** The cluster this store belongs to, once it does. */
  readonly cluster: ClusterId | undefined
  readonly voters: readonly Voter[]
  /** True when this store founded its cluster: it must then have the control log. */
  readonly founded: boolean
  /** Peer addresses from --peers, sorted, this node's own included. */
  readonly peers: readonly string[]
  /** How many peers must answer before a cluster is founded (--expect); 1 with --init. */
  readonly expect: number
  readonly replicas: readonly StoredReplica[]
  /** Entries of the control log on this store, in order, from index 1 or from the one after the snapshot's; may be empty. */
  readonly log: readonly LogEntry[]
  /** Snapshot of the control log that is on this store, if there is one. */
  readonly snapshot?: Snapshot | undefined
  /** Term and vote of this store, once it took part in a control log over several voters. */
  readonly hardState?: HardState | undefined
  /**
   * How many of the expected peers vote on the control log of a cluster that is founded here, at most. Absent: one, and it
   * keeps the log without elections (SoloLog), as the simulator's exhaustive search wants it.
   */
  readonly voterCount?: number
  /** What its raft does otherwise than by default: a simulated cluster takes snapshots of a short log. */
  readonly logOptions?: Partial<RaftOptions>
  /** Feature level at which the data directory was written (amendment 24); absent: 0. */
  readonly featureLevel?: number
  /** Feature level that this build knows; absent: FEATURE_LEVEL. A simulated older build knows less. */
  readonly knows?: number
  /** A number from 0 to 2^32 - 1: start of this process's own random sequence. */
  readonly seed: number
}

/** What an event says beside its level and its name, which no detail may take the place of. */
export type EventDetails = Readonly<Record<string, unknown>> & { readonly level?: never; readonly what?: never }

/** What sub-machines are given at each step. */
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
