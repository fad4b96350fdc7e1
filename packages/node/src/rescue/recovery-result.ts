import type { ClusterId, StoreId, Voter } from '@ashlar/proto'

/** Result of rebuilding the map of a cluster from data directories. */
export interface ClusterRecovery {
  /** The cluster that the directories belong to. */
  readonly cluster: ClusterId
  /** The cluster that was made of them; undefined for a plan. */
  readonly newCluster: ClusterId | undefined
  readonly generation: number
  /** The voter that keeps the control log from then on. */
  readonly voter: Voter & { readonly node: string }
  readonly stores: readonly {
    readonly directory: string
    /** Name of its node; its address or its id where no control log names it. */
    readonly node: string
    readonly store: StoreId
    readonly replicas: number
    readonly evidence: readonly string[]
  }[]
  readonly volumes: readonly { readonly name: string; readonly sizeBytes: number; readonly extents: number }[]
  /** Extents, as VOLUME/NUMBER, of which every store that may hold an acknowledged write was given, and one of them is trusted. */
  readonly certain: readonly string[]
  /** Extents that may lack acknowledged writes, with the stores that may hold them and were not given. */
  readonly uncertain: readonly {
    readonly extent: string
    readonly absent: readonly StoreId[]
    readonly absentNodes: readonly string[]
  }[]
  /** Extents of which every store that may hold an acknowledged write was given, and each of them may have lost some. */
  readonly suspect: readonly string[]
  /** Extents that no given store has. */
  readonly missing: readonly string[]
  /** Nodes that are not given, and were voters or are named by an extent. */
  readonly absentNodes: readonly AbsentNode[]
  /** Those of them that voted do again once a node over an empty directory is at their address (A2.18-7). */
  readonly votersReturn: boolean
  /** What is left to do, in order; a command is the end of its line. */
  readonly todo: readonly string[]
}

export interface AbsentNode {
  readonly node: string
  readonly store: StoreId
  readonly address: string | undefined
  readonly voted: boolean
}
