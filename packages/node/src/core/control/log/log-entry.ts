import type {
  ClusterId,
  Epoch,
  ExtentId,
  ExtentRecord,
  Holder,
  Incarnation,
  NodeEnd,
  NodeName,
  SessionId,
  SetChange,
  StoreId,
  Trust,
  VolumeId,
  VolumeRecord,
  Voter,
} from '@ashlar/proto'
import type { StoredNode } from './stored-node.ts'

/** Stores that a command may choose from. */
export interface Candidates {
  /** Stores with a live lease when the command was proposed: candidates for primaries and replicas. */
  readonly live: readonly StoreId[]
  /** Those of them without space for new replicas (amendment 17). Absent: none. */
  readonly filling?: readonly StoreId[]
}

/**
 * Commands of the control log. A command contains everything that its outcome depends on besides the map, so that
 * applying the log gives the same map everywhere. Append-only: the meaning of a command never changes.
 */
export type Command =
  | { readonly do: 'found'; readonly cluster: ClusterId; readonly voters: readonly Voter[] }
  | (Candidates & {
      readonly do: 'register'
      readonly store: StoreId
      readonly name: NodeName
      readonly address: string
      readonly api: string
      readonly incarnation: Incarnation
      readonly trust: Trust
      /** Feature level that the node supports (amendment 24). Absent: 0. */
      readonly level?: number
    })
  /** Stores whose lease ran out: one entry for all of their extents. */
  | (Candidates & {
      readonly do: 'expire'
      readonly stores: readonly { readonly store: StoreId; readonly counter: number }[]
    })
  /** Name primaries for extents whose primary cannot serve, from the live stores. */
  | (Candidates & {
      readonly do: 'promote'
      readonly extents: readonly { readonly extent: ExtentId; readonly revision: number }[]
    })
  | {
      readonly do: 'change-sets'
      readonly store: StoreId
      readonly counter: number
      readonly changes: readonly SetChange[]
    }
  | (Candidates & {
      readonly do: 'release'
      readonly store: StoreId
      readonly counter: number
      readonly extents: readonly {
        readonly extent: ExtentId
        readonly epoch: Epoch
        /**
         * The release applies to this revision of the record only (amendment 38). Absent below that level, or if not
         * `slow`.
         */
        readonly revision?: number
        /** Members that released it as slow a short while ago: not chosen as primary (amendment 18). */
        readonly avoid?: readonly StoreId[]
      }[]
      readonly reason: 'shutdown' | 'slow' | 'behind' | 'poisoned'
    })
  | (Candidates & {
      readonly do: 'create-volume'
      readonly name: string
      readonly sizeBytes: number
      readonly blockSizeBytes: number
      readonly extentSizeBytes: number
      readonly replicas: number
      readonly minInSync: number
    })
  | { readonly do: 'remove-volume'; readonly name: string }
  | {
      readonly do: 'attach'
      readonly name: string
      readonly holder: Holder
      readonly ifFree: boolean
      /** Sessions that the leader lets it end: it is refused while another one holds the volume (A2.11-11). */
      readonly replaces?: readonly SessionId[]
      /** Refused also while no session holds the volume (policy `resume`). */
      readonly resumes?: true
    }
  | { readonly do: 'detach'; readonly volume: VolumeId; readonly session: SessionId }
  /** Forced promotion by an operator (A2.10-2). */
  | (Candidates & {
      readonly do: 'force-primary'
      readonly extent: ExtentId
      readonly store: StoreId
    })
  /** An operator declares a store removed: one entry for all of its extents. */
  | (Candidates & { readonly do: 'lose-store'; readonly store: StoreId })
  /** An operator acknowledges what forced promotions of the volume may have lost. */
  | { readonly do: 'acknowledge-loss'; readonly name: string }
  /** Part of a map that was rebuilt from extent heads: only at the beginning of a log (A2.18-3). */
  | {
      readonly do: 'recover'
      readonly generation: number
      readonly lastVolume: number
      readonly nodes: readonly Omit<StoredNode, 'changedAt'>[]
      readonly volumes: readonly Omit<VolumeRecord, 'changedAt'>[]
      readonly extents: readonly Omit<ExtentRecord, 'changedAt'>[]
      /** Extents of these that may lack acknowledged writes. */
      readonly lossy: readonly ExtentId[]
      /** Feature level at which the stores were written (amendment 24). Absent: 0. */
      readonly featureLevel?: number
      /** Voters from before the recovery (A2.18-7). Absent: unknown, or below that feature level. */
      readonly formerVoters?: readonly Voter[]
    }
  /** Every node reported that it supports this feature level, whose features are used from here on (amendment 24). */
  | { readonly do: 'raise-feature-level'; readonly level: number }
  /** Stores promised higher epochs than the map names: control's log was rolled back (amendment 35). */
  | {
      readonly do: 'raise-epochs'
      readonly extents: readonly { readonly extent: ExtentId; readonly epoch: Epoch; readonly promised: Epoch }[]
    }
  /**
   * A store that registered as suspect compared all its suspect replicas: this incarnation is trusted from here on
   * (A2.17-4).
   */
  | (Candidates & { readonly do: 'clear-suspicion'; readonly store: StoreId; readonly counter: number })
  /** A node reported why it ended (A2.23-2). */
  | ({ readonly do: 'note-ending'; readonly store: StoreId } & NodeEnd)
  /** The first entry of each leader: commits the entries of earlier terms, and changes nothing. */
  | { readonly do: 'begin-term' }
  /** Members from this entry on: raft follows it as soon as it is appended. */
  | { readonly do: 'set-members'; readonly voters: readonly Voter[]; readonly learners: readonly Voter[] }

export interface LogEntry {
  /** 1, 2, 3, … */
  readonly index: number
  /** Raft term; 1 with a single voter. */
  readonly term: number
  readonly command: Command
}

/** Members of raft. Voters decide; learners receive the log and never campaign. */
export interface Members {
  readonly voters: readonly Voter[]
  readonly learners: readonly Voter[]
}
