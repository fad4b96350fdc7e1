import { access, rename } from 'node:fs/promises'
import type { ClusterId, Voter } from '@ashlar/proto'
import type { LogEntry } from '../../core/control/index.ts'
import { earlierLogPath, lastMarkPath, openControlLog, termMarkPath } from '../control-log/index.ts'
import type { StorageDriver } from '../driver.ts'
import { syncDirectory } from '../files/directories.ts'
import { requireIdentity } from '../identity/require-identity.ts'
import { openLevelDbDriver } from '../leveldb/leveldb-driver.ts'
import { LEVELDB_DEFAULTS } from '../leveldb/options.ts'
import { moveEngineLogs } from '../open/engine-logs.ts'
import { readSidecar } from '../open/format.ts'
import { type Layout, layoutOf } from '../open/layout.ts'
import { type IdentityValue, putIdentity } from '../repositories/identity-repository.ts'

/** A cluster that is made of what is left of others. */
export interface NewCluster {
  readonly cluster: ClusterId
  /** Of which it is made, oldest first. */
  readonly formerClusters: readonly ClusterId[]
  readonly voters: readonly Voter[]
  readonly generation: number
}

/**
 * Makes a store follow the control log of a new cluster: with `entries` it keeps that log, without it follows their keeper. A log
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
  // The log goes last: after a crash in between marks without their log would look like a lost log.
  const partsOf = (path: string) => [termMarkPath(path), lastMarkPath(path), path]
  const isThere = async (path: string) => (await Promise.all(partsOf(path).map(exists))).includes(true)
  if (!(await isThere(control))) return
  for (let attempt = 1; ; attempt++) {
    const aside = earlierLogPath(control, generation, attempt)
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
