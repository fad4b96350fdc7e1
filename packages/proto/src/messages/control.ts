import type { ClusterId, Epoch, ExtentId, NodeName, SessionId, StoreId, VolumeId } from '../ids.ts'
import type {
  AttachMode,
  AttachPolicy,
  ExtentRecord,
  Incarnation,
  MapDelta,
  Trust,
  VolumeRecord,
  Voter,
} from '../map.ts'
import type { NodeEnd } from '../node-ends.ts'
import type { StoreSpace } from '../store-space.ts'
import type { Bytes } from '../units.ts'

/** node <-> node, on each new link and whenever it changes: what the bootstrap of a cluster needs (amendment 9). */
export interface Greet {
  readonly type: 'greet'
  readonly store: StoreId
  /** Advertised address of the sender. */
  readonly address: string
  readonly cluster?: ClusterId
  readonly voters: readonly Voter[]
  /** Advertised addresses of the peers that the sender's options name, itself included, sorted. */
  readonly expect: readonly string[]
}

/** node -> control leader: registers this incarnation of the store. Sent at start and whenever a renewal is refused. */
export interface Register {
  readonly type: 'register'
  readonly request: number
  readonly cluster: ClusterId
  readonly store: StoreId
  readonly name: NodeName
  readonly address: string
  readonly api: string
  readonly incarnation: Incarnation
  readonly trust: Trust
  /** Feature level that the node's build knows (amendment 24); since wire version 3. Absent: 0. */
  readonly level?: number
}
/** control leader -> node. */
export interface Registered {
  readonly type: 'registered'
  readonly request: number
  /**
   * Number of an error code. CONFLICT: this counter is not above the last one seen (a cloned or restored directory).
   */
  readonly code: number
  readonly message: string
  readonly revision: number
}

/** node -> control leader: renews the lease. */
export interface Renew {
  readonly type: 'renew'
  /** Echoed; names the moment of sending to the node that sent it. */
  readonly token: number
  readonly store: StoreId
  readonly counter: number
  /** Map revision that the node has applied. */
  readonly revision: number
  readonly freeBytes: Bytes
  /** The same by the store's own reserves (amendment 17); absent: `free`. */
  readonly space?: StoreSpace
  /** Feature level that the node's build knows (amendment 24); since wire version 3. Absent: 0. */
  readonly level?: number
  /**
   * The store registered as suspect, and all its suspect replicas were compared since, on stable storage (A2.17-4); since wire
   * version 3, used from feature level 1 on. Absent: false.
   */
  readonly cleared?: boolean
}
/** control leader -> node, after a read-index round that began after the renewal arrived (amendment 3). */
export interface Renewed {
  readonly type: 'renewed'
  readonly token: number
  /** 0, or NOT_FOUND when the store must register (again) first. */
  readonly code: number
  /** Map revision of the response: the lease holds once the node has applied that revision. */
  readonly revision: number
}

/** client or node -> node: requests the map from this revision on; with `watch`, also every later change. */
export interface GetMap {
  readonly type: 'get-map'
  readonly have: number
  readonly watch: boolean
}
export interface MapUpdate {
  readonly type: 'map-update'
  readonly delta: MapDelta
}

/** One change of one extent's in-sync set, compare-and-set on revision and epoch (CTL-1). */
export interface SetChange {
  readonly extent: ExtentId
  readonly revision: number
  readonly epoch: Epoch
  readonly inSync: readonly StoreId[]
  /**
   * Stores outside `inSync` that hold all that this primary committed: below minInSync they stay eligible (amendment
   * 27).
   */
  readonly complete?: readonly StoreId[]
}
/** primary -> control leader: shrink or grow, many extents at once. */
export interface ChangeSets {
  readonly type: 'change-sets'
  readonly request: number
  readonly store: StoreId
  readonly counter: number
  readonly changes: readonly SetChange[]
}
/** control leader -> primary: each extent's record after the change, or as it is where the change was refused. */
export interface SetsChanged {
  readonly type: 'sets-changed'
  readonly request: number
  readonly results: readonly { readonly extent: ExtentId; readonly code: number; readonly record?: ExtentRecord }[]
}

/**
 * primary -> control leader: it no longer serves these extents in these epochs; control names another primary (A2.3-4,
 * A2.7-6).
 */
export interface Release {
  readonly type: 'release'
  readonly request: number
  readonly store: StoreId
  readonly counter: number
  readonly extents: readonly {
    readonly extent: ExtentId
    readonly epoch: Epoch
    /**
     * Of the record, as the sender knew it (amendment 38). Since wire version 3; absent: from an older build, or not
     * `slow`.
     */
    readonly revision?: number
  }[]
  /** `behind`: this store lost committed data and must leave the in-sync set (A2.8-4). `shutdown`: it stays in it. */
  readonly reason: 'shutdown' | 'slow' | 'behind' | 'poisoned'
}
export interface Released {
  readonly type: 'released'
  readonly request: number
  /** CONFLICT: one of the records is out of date, and its extent is unchanged. */
  readonly code: number
}

/**
 * store -> control leader: the map names an epoch below the one that the store promised, so that no store can be
 * primary. Control's log lost entries (amendment 35). The store sends it again until the map names a higher epoch;
 * there is no other response. Since wire version 3; at most LIMITS.promisesPerMessage extents.
 */
export interface Promises {
  readonly type: 'promises'
  readonly store: StoreId
  readonly counter: number
  readonly extents: readonly { readonly extent: ExtentId; readonly epoch: Epoch; readonly promised: Epoch }[]
}

/**
 * node -> every node: this incarnation ends by its own decision, and this is its last message (A2.23-1). Since wire
 * version 3.
 */
export interface Ending extends NodeEnd {
  readonly type: 'ending'
  readonly store: StoreId
}

/** What an operator or a client requests of control. */
export type AdminCommand =
  | {
      readonly do: 'create-volume'
      readonly name: string
      readonly sizeBytes: Bytes
      readonly blockSizeBytes: Bytes
      readonly extentSizeBytes: Bytes
      readonly replicas: number
      readonly minInSync: number
    }
  | { readonly do: 'remove-volume'; readonly name: string }
  | {
      readonly do: 'attach'
      readonly name: string
      readonly session: SessionId
      readonly mode: AttachMode
      readonly ifFree: boolean
      readonly client: string
      /** The session will renew its attachment every TIMERS.holderRenewMs. */
      readonly renews?: boolean
      /** Absent: `free` with ifFree, else `take`. Since wire version 3, as the next two. */
      readonly policy?: AttachPolicy
      /** Name that the program keeps when it starts again (A2.11-13). */
      readonly owner?: string
      /** The client's wall clock at the request: milliseconds since 1970. */
      readonly since?: number
    }
  /**
   * `fence`: an operator ends it; the response comes after every primary has stopped taking its operations (A2.11-7).
   */
  | { readonly do: 'detach'; readonly volume: VolumeId; readonly session: SessionId; readonly fence?: boolean }
  /**
   * Renews an attachment; FENCED when the session does not hold the volume any more. Control keeps the time in memory
   * only.
   */
  | { readonly do: 'renew-attachment'; readonly volume: VolumeId; readonly session: SessionId }
  /** Makes a store primary of an extent without one, although it may lack acknowledged writes (A2.10). */
  | { readonly do: 'force-primary'; readonly extent: ExtentId; readonly store: StoreId }
  /** Declares a store permanently lost: its assignments go to other stores (amendment 15). */
  | { readonly do: 'lose-store'; readonly store: StoreId }
  /** Members of control's log: a store becomes a learner, a learner a voter, or a member leaves. One at a time. */
  | { readonly do: 'change-members'; readonly change: 'add' | 'promote' | 'remove'; readonly store: StoreId }
  /** Transfers the leadership of control's log to another voter. */
  | { readonly do: 'transfer-leadership'; readonly store: StoreId }
  /** An operator acknowledges what the forced promotions of a volume may have lost. */
  | { readonly do: 'acknowledge-loss'; readonly name: string }

/** client -> any node, which forwards it to the control leader. The response to `attach` comes when it is complete. */
export interface Admin {
  readonly type: 'admin'
  readonly request: number
  readonly command: AdminCommand
}
export interface AdminDone {
  readonly type: 'admin-done'
  readonly request: number
  readonly code: number
  readonly message: string
  readonly hint: string
  /** The volume after create or attach; its generation is the attachment's. */
  readonly volume?: VolumeRecord
  /** Map revision at which the command took effect. */
  readonly revision: number
}

/** What nodes send to control's leader. `admin` and `get-map` come from clients too, to the agent of a node. */
export type ToLeader = Register | Renew | ChangeSets | Release | Promises | Admin | GetMap
/** What control's leader sends to nodes; an agent sends `map-update` and `admin-done` to clients. */
export type FromLeader = Registered | Renewed | MapUpdate | SetsChanged | Released | AdminDone

export type ControlMessage = Greet | Ending | ToLeader | FromLeader
