import type { ClusterId, ExtentId, StoreId, VolumeId, Voter } from '@ashlar/proto'
import type { Head } from '../../core/machine.ts'
import type { VolumeValue } from '../repositories/volume-repository.ts'
import { type OfflineStore, openOffline } from './offline-store.ts'

/** What a data directory holds, read while no node runs over it. Nothing of it is changed. */
export interface Survey {
  readonly directory: string
  readonly store: StoreId
  readonly cluster: ClusterId | undefined
  /** Clusters of which that one was made, oldest first. */
  readonly formerClusters: readonly ClusterId[]
  readonly voters: readonly Voter[]
  readonly startCounter: number
  /** Feature level that it was written at (amendment 24). */
  readonly featureLevel: number
  /** `suspect`: this replica may lack something acknowledged. */
  readonly replicas: readonly { readonly extent: ExtentId; readonly head: Head; readonly suspect: boolean }[]
  readonly volumes: readonly (VolumeValue & { readonly volume: VolumeId })[]
  /** Signs that something acknowledged may be missing from it. */
  readonly evidence: readonly string[]
}

/** Throws CONFLICT when there is no store, or a node has it open; INTERNAL when it is corrupt. */
export async function surveyStore(directory: string): Promise<Survey> {
  const store = await openOffline(directory)
  try {
    return surveyOf(store)
  } finally {
    await store.close()
  }
}

/** The survey of a store that is open for reading. */
export function surveyOf({ directory, identity, recovered, evidence, isSuspect }: OfflineStore): Survey {
  const { store, cluster, formerClusters = [], voters, startCounter, featureLevel = 0 } = identity
  return {
    ...{ directory, store, cluster, formerClusters, voters, startCounter, featureLevel, evidence },
    replicas: [...recovered.replicas.values()].map(({ extent, head }) => ({
      ...{ extent, head },
      suspect: isSuspect(extent),
    })),
    volumes: [...recovered.volumes].map(([volume, value]) => ({ ...value, volume })),
  }
}
