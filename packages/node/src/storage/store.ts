import type { ClusterId, Incarnation, StoreId, Trust, Voter } from '@ashlar/proto'
import type { Effect, Input, StoredReplica } from '../core/machine.ts'
import type { SpaceView } from './space/free-space.ts'

/** The effects that a store executes; each ends in its completion input. */
export type StoreEffect = Extract<
  Effect,
  {
    type:
      | 'commit'
      | 'load'
      | 'merge'
      | 'digests'
      | 'versions'
      | 'allocation'
      | 'create-replica'
      | 'drop-replica'
      | 'repair'
      | 'save-level'
  }
>

/**
 * One opened store: replicas over a storage driver, with group commit. Effects take effect in the order of the calls:
 * a read sees every commit that was handed over before it, whether or not it is on stable storage yet. Completions
 * arrive through `complete`, never from inside `execute`. Any write error, and any failed read that is not a checksum
 * mismatch, ends in one `store-failed`, after which nothing completes any more.
 */
export interface Store {
  readonly identity: StoreIdentity
  readonly replicas: readonly StoredReplica[]
  execute(effect: StoreEffect): void
  /** Writes cluster and voters into the identity, synced. */
  saveCluster(cluster: ClusterId, voters: readonly Voter[], founded: boolean): Promise<void>
  space(): SpaceView
  /** Waits for work in progress, checkpoints, writes the clean-shutdown flag, closes the driver. */
  close(): Promise<void>
}

export interface StoreIdentity {
  readonly store: StoreId
  readonly incarnation: Incarnation
  readonly trust: Trust
  /** Why the store is suspect in this incarnation; undefined for a trusted one. */
  readonly suspicion: string | undefined
  readonly cluster: ClusterId | undefined
  readonly voters: readonly Voter[]
  readonly founded: boolean
  /** Feature level that the data directory is marked with (amendment 24). */
  readonly featureLevel: number
}

export type Complete = (
  input: Extract<
    Input,
    {
      type:
        | 'committed'
        | 'store-failed'
        | 'store-suspect'
        | 'store-cleared'
        | 'versions-lost'
        | 'damage-found'
        | 'loaded'
        | 'merged'
        | 'digests'
        | 'versions'
        | 'allocation'
    }
  >,
) => void
