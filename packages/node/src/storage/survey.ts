import { access, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClusterId, ExtentId, StoreId, VolumeId, Voter } from '@ashlar/proto'
import type { LogEntry } from '../core/control/index.ts'
import type { Head } from '../core/machine.ts'
import { lastMarkPath, openControlLog, termMarkPath } from './control-log/index.ts'
import { syncDirectory } from './directories.ts'
import type { StorageDriver } from './driver.ts'
import { openLevelDbDriver } from './leveldb/leveldb-driver.ts'
import { LEVELDB_DEFAULTS } from './leveldb/options.ts'
import { type OfflineStore, openOffline } from './offline/offline-store.ts'
import { moveEngineLogs } from './open/engine-logs.ts'
import { readSidecar } from './open/format.ts'
import { type Layout, layoutOf } from './open/layout.ts'
import { requireIdentity } from './open/require-identity.ts'
import { type IdentityValue, putIdentity } from './repositories/identity-repository.ts'
import type { VolumeValue } from './repositories/volume-repository.ts'

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
  /** `inDoubt`: this replica may lack something acknowledged. */
  readonly replicas: readonly { readonly extent: ExtentId; readonly head: Head; readonly inDoubt: boolean }[]
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

/** What a store that is open for reading tells. */
export function surveyOf({ directory, identity, recovered, evidence, inDoubt }: OfflineStore): Survey {
  const { store, cluster, formerClusters = [], voters, startCounter, featureLevel = 0 } = identity
  return {
    ...{ directory, store, cluster, formerClusters, voters, startCounter, featureLevel, evidence },
    replicas: [...recovered.replicas.values()].map(({ extent, head }) => ({
      ...{ extent, head },
      inDoubt: inDoubt(extent),
    })),
    volumes: [...recovered.volumes].map(([volume, value]) => ({ ...value, volume })),
  }
}

/** A cluster that is made of what is left of others. */
export interface NewCluster {
  readonly cluster: ClusterId
  /** Of which it is made, oldest first. */
  readonly formerClusters: readonly ClusterId[]
  readonly voters: readonly Voter[]
  readonly generation: number
}

/**
 * Makes a store follow the control log of a new cluster: with `entries` it keeps that log, without it is told who does. A log
 * that it had is moved aside, never deleted. The log is on stable storage before the identity names it.
 */
export async function adoptControl(
  directory: string,
  { cluster, formerClusters, voters, generation }: NewCluster,
  entries: readonly LogEntry[] | undefined,
): Promise<void> {
  await withStore(directory, async (driver, identity, layout) => {
    await setAside(layout, generation)
    if (entries !== undefined) {
      const log = await openControlLog(layout.control)
      await log.append(entries)
      await log.close()
    }
    await driver.apply(
      [putIdentity({ ...identity, cluster, formerClusters, voters, founded: entries !== undefined })],
      'synced',
    )
  })
}

/** The old control log, and its marks, under names that no older ones have, so that doing it again loses nothing. */
async function setAside({ store, control }: Layout, generation: number): Promise<void> {
  const exists = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  // The log goes last: after a crash in between marks without their log would tell of a log that was lost.
  const partsOf = (path: string) => [termMarkPath(path), lastMarkPath(path), path]
  const isThere = async (path: string) => (await Promise.all(partsOf(path).map(exists))).includes(true)
  if (!(await isThere(control))) return
  for (let attempt = 1; ; attempt++) {
    const aside = join(store, `control.before-generation-${generation}${attempt === 1 ? '' : `-${attempt}`}`)
    if (await isThere(aside)) continue
    for (const [at, part] of partsOf(control).entries())
      if (await exists(part)) await rename(part, partsOf(aside)[at] as string)
    return await syncDirectory(store)
  }
}

async function withStore<T>(
  directory: string,
  work: (driver: StorageDriver, identity: IdentityValue, layout: Layout) => Promise<T>,
): Promise<T> {
  const layout = layoutOf(directory)
  const store = await readSidecar(layout.sidecar)
  await moveEngineLogs(layout)
  const driver = await openLevelDbDriver(layout.database, LEVELDB_DEFAULTS)
  try {
    return await work(driver, await requireIdentity(driver, store, `the database of ${directory}`), layout)
  } finally {
    await driver.close()
  }
}
