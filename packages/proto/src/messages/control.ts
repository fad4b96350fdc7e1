import type { ClusterId, Epoch, ExtentId, NodeName, SessionId, StoreId, VolumeId } from '../ids.ts'
import type { AttachMode, ExtentRecord, Incarnation, MapDelta, Trust, VolumeRecord, Voter } from '../map.ts'
import type { StoreSpace } from '../store-space.ts'
import type { Bytes } from '../units.ts'

/** node <-> node, on each new link and whenever it changes: what founding needs to know (amendment 9). */
export interface Greet {
  readonly type: 'greet'
  readonly store: StoreId
  /** Advertised address of the sender. */
  readonly address: string
  readonly cluster?: ClusterId
  readonly voters: readonly Voter[]
  /** Advertised addresses of the peers that the sender was told to expect, itself included, sorted. */
  readonly expect: readonly string[]
}

/** node -> control leader: this store is here, in this incarnation. Sent at start and whenever a renewal is refused. */
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
  /** Number of an error code. CONFLICT: this counter is not above the last one seen (a cloned or restored directory). */
  readonly code: number
  readonly message: string
  readonly revision: number
}

/** node -> control leader: extend my lease. */
export interface Renew {
  readonly type: 'renew'
  /** Echoed; names the moment of sending to the node that sent it. */
  readonly token: number
  readonly store: StoreId
  readonly counter: number
  /** Map revision that the node has applied. */
  readonly revision: number
  readonly freeBytes: Bytes
  /** How much room that is by the store's own reserves (amendment 17); absent: `free`. */
  readonly space?: StoreSpace
  /** Feature level that the node's build knows (amendment 24); since wire version 3. Absent: 0. */
  readonly level?: number
}
/** control leader -> node, after a read-index round that began after the renewal arrived (amendment 3). */
export interface Renewed {
  readonly type: 'renewed'
  readonly token: number
  /** 0, or NOT_FOUND when the store must register (again) first. */
  readonly code: number
  /** Map revision at the answer: the node counts the lease once it has applied that revision. */
  readonly revision: number
}

/** anyone -> node: the map from this revision on, now; with `watch`, also whenever it changes. */
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
  /** Stores outside `inSync` that hold all that this primary committed: below minInSync they stay eligible (amendment 27). */
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

/** primary -> control leader: I no longer serve these extents in these epochs; name another primary (A2.3-4, A2.7-6). */
export interface Release {
  readonly type: 'release'
  readonly request: number
  readonly store: StoreId
  readonly counter: number
  readonly extents: readonly {
    readonly extent: ExtentId
    readonly epoch: Epoch
    /** Of the record, as the sender knew it (amendment 38). Since wire version 3; absent: from an older build, or not `slow`. */
    readonly revision?: number
  }[]
  /** `behind`: this store lost committed data and must leave the in-sync set (A2.8-4). `shutdown`: it stays in it. */
  readonly reason: 'shutdown' | 'slow' | 'behind' | 'poisoned'
}
export interface Released {
  readonly type: 'released'
  readonly request: number
  /** CONFLICT: a record that was named is an older one, and nothing was done about its extent. */
  readonly code: number
}

/**
 * store -> control leader: the map names an epoch below what was promised to a primary, so that no store can lead it. Control's
 * log went back (amendment 35). It has no answer but the map; it is sent again until that names a higher epoch. Since wire
 * version 3; at most LIMITS.promisesPerMessage extents.
 */
export interface Promises {
  readonly type: 'promises'
  readonly store: StoreId
  readonly counter: number
  readonly extents: readonly { readonly extent: ExtentId; readonly epoch: Epoch; readonly promised: Epoch }[]
}

/** What a person or a client asks of control. */
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
      /** It will say every TIMERS.holderRenewMs that it is there. */
      readonly renews?: boolean
    }
  /** `fence`: a person ends it, and the answer comes once no primary takes its operations any more (A2.11-7). */
  | { readonly do: 'detach'; readonly volume: VolumeId; readonly session: SessionId; readonly fence?: boolean }
  /** A session is there; FENCED when it holds the volume no more. Control keeps it in memory only. */
  | { readonly do: 'renew-attachment'; readonly volume: VolumeId; readonly session: SessionId }
  /** Makes a store primary of an extent that nobody can serve, although it may lack acknowledged writes (A2.10). */
  | { readonly do: 'force-primary'; readonly extent: ExtentId; readonly store: StoreId }
  /** A store is lost for good: its places go to others (amendment 15). */
  | { readonly do: 'lose-store'; readonly store: StoreId }
  /** Who keeps control's log: a store becomes a learner, a learner a voter, or a member leaves. One at a time. */
  | { readonly do: 'change-members'; readonly change: 'add' | 'promote' | 'remove'; readonly store: StoreId }
  /** The leader of control's log lets another voter lead. */
  | { readonly do: 'transfer-leadership'; readonly store: StoreId }
  /** A person knows what the forced promotions of a volume may have lost. */
  | { readonly do: 'acknowledge-loss'; readonly name: string }

/** client -> any node (which passes it on to the control leader). The answer to `attach` comes when it is complete. */
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

export type ControlMessage = Greet | ToLeader | FromLeader
